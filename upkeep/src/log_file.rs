//! A log of bounded size: when its file reaches its length, a new one begins and the oldest one is removed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A log in `PATH`, with older lines in `PATH.1`, `PATH.2` and so on. Each file has at most `bytes` bytes, unless
/// a single write is longer. While no new file can be created, the current one may grow to twice that.
///
/// When another program moves `PATH` away, as logrotate does, the next line creates it again.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    bytes: u64,
    older: u64,
    file: File,
    /// The file's device and inode numbers, to notice when `PATH` is another file.
    identity: (u64, u64),
    written: u64,
    /// The number of writes that failed since the last successful one.
    lost: u64,
}

impl LogFile {
    /// Opens or creates the file, readable by its owner alone, and appends to it.
    pub fn open(path: &Path, bytes: u64, older: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let metadata = file.metadata()?;
        let (identity, written) = (identity(&metadata), metadata.len());
        Ok(Self { path: path.to_owned(), bytes, older, file, identity, written, lost: 0 })
    }

    /// Begins a new file. If that fails, no line is lost and the old file stays open.
    fn turn(&mut self) -> io::Result<()> {
        if self.older == 0 {
            self.file.set_len(0)?;
            self.written = 0;
            return Ok(());
        }
        // Creating the file can fail, so it comes first, under another name; a process that died may have left
        // one.
        let unfinished = self.beside("new");
        let _ = std::fs::remove_file(&unfinished);
        let next = append_to(&unfinished)?;
        let moved = next.metadata().and_then(|metadata| {
            self.move_older()?;
            std::fs::rename(&self.path, self.numbered(1))?;
            // If this fails, the next line finds no file and creates it.
            std::fs::rename(&unfinished, &self.path)?;
            Ok(metadata)
        });
        match moved {
            Ok(metadata) => {
                self.identity = identity(&metadata);
                self.file = next;
                self.written = 0;
                Ok(())
            }
            Err(error) => {
                let _ = std::fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    /// Frees the name `PATH.1` by moving the older files. Stops at the first gap, so that after a failure halfway
    /// nothing is moved a second time.
    fn move_older(&self) -> io::Result<()> {
        let gap = (1..self.older).find(|number| !exists(&self.numbered(*number))).unwrap_or(self.older);
        for number in (1..gap).rev() {
            std::fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        Ok(())
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.beside(&number.to_string())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    /// Follows a file that another program moved away.
    fn follow(&mut self) {
        let is_there = match std::fs::metadata(&self.path) {
            Ok(metadata) => identity(&metadata) == self.identity,
            Err(error) => error.kind() != ErrorKind::NotFound,
        };
        if !is_there && let Ok(next) = Self::open(&self.path, self.bytes, self.older) {
            *self = Self { lost: self.lost, ..next };
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.follow();
        let length = self.written.saturating_add(line.len() as u64);
        if self.written > 0 && length > self.bytes {
            let turned = self.turn();
            // A bounded log matters more than a complete one.
            if length > self.bytes.saturating_mul(2) {
                turned?;
            }
        }
        if self.lost > 0 {
            let note = format!("{} lines of the log could not be written here\n", self.lost);
            self.file.write_all(note.as_bytes())?;
            self.written += note.len() as u64;
            self.lost = 0;
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(())
    }
}

impl Write for LogFile {
    /// Takes whole lines. A line that cannot be written is counted and dropped: the program goes on without its
    /// log, and the log says how many lines are missing once it can be written again.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.append(line).is_err() {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn say(log: &mut LogFile, line: &str) {
        log.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[test]
    fn the_newest_lines_are_kept_and_the_oldest_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let mut log = LogFile::open(&path, 40, 2).unwrap();
        for number in 0..20 {
            say(&mut log, &format!("line {number:02} of it"));
        }
        assert_eq!(names(folder.path()), ["server.log", "server.log.1", "server.log.2"]);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("server.log"), "line 18 of it\nline 19 of it\n");
        assert_eq!(read("server.log.2"), "line 14 of it\nline 15 of it\n");
        // The next process appends.
        let mut log = LogFile::open(&path, 40, 2).unwrap();
        say(&mut log, "more");
        assert_eq!(read("server.log"), "line 18 of it\nline 19 of it\nmore\n");
    }

    #[test]
    fn without_older_files_it_begins_anew_and_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let mut log = LogFile::open(&path, 40, 0).unwrap();
        for number in 0..20 {
            say(&mut log, &format!("line {number:02} of it"));
        }
        assert_eq!(names(folder.path()), ["server.log"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 18 of it\nline 19 of it\n");
    }

    #[test]
    fn a_next_file_that_cannot_be_opened_costs_nothing_up_to_twice_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let mut log = LogFile::open(&path, 10, 2).unwrap();
        for line in ["first", "second", "third"] {
            say(&mut log, line);
        }
        let in_the_way = folder.path().join("server.log.new");
        std::fs::create_dir(&in_the_way).unwrap();
        for line in ["fourth", "fifth", "sixth", "seventh"] {
            say(&mut log, line);
        }
        assert_eq!([read("server.log.2"), read("server.log.1")], ["first\n", "second\n"]);
        assert_eq!(read("server.log"), "third\nfourth\nfifth\n");
        std::fs::remove_dir(&in_the_way).unwrap();
        say(&mut log, "eighth");
        assert_eq!([read("server.log.2"), read("server.log.1")], ["second\n", "third\nfourth\nfifth\n"]);
        assert_eq!(read("server.log"), "2 lines of the log could not be written here\neighth\n");
        assert_eq!(names(folder.path()), ["server.log", "server.log.1", "server.log.2"]);
    }

    #[test]
    fn a_failure_halfway_moves_no_older_file_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let mut log = LogFile::open(&path, 10, 3).unwrap();
        for line in ["first", "second", "third"] {
            say(&mut log, line);
        }
        // The state after a rotation that failed once the older files were moved.
        for number in [2, 1] {
            std::fs::rename(log.numbered(number), log.numbered(number + 1)).unwrap();
        }
        say(&mut log, "fourth");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let older = ["server.log.3", "server.log.2", "server.log.1"].map(read);
        assert_eq!(older, ["first\n", "second\n", "third\n"]);
    }

    #[test]
    fn a_file_that_was_moved_away_begins_anew_with_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let mut log = LogFile::open(&path, 1_000, 1).unwrap();
        say(&mut log, "one");
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        say(&mut log, "two");
        // logrotate does this when it creates the new file itself.
        std::fs::rename(&path, folder.path().join("moved again")).unwrap();
        std::fs::write(&path, "").unwrap();
        say(&mut log, "three");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(["moved", "moved again", "server.log"].map(read), ["one\n", "two\n", "three\n"]);
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let mut log = LogFile::open(&path, 1_000, 1).unwrap();
        let good = std::mem::replace(&mut log.file, File::open("/dev/null").unwrap());
        say(&mut log, "one");
        say(&mut log, "two");
        log.file = good;
        say(&mut log, "three");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "2 lines of the log could not be written here\nthree\n");
    }
}
