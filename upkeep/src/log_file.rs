//! A log that is bounded: when its file is long enough, the next one begins and the oldest one goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A log in `PATH`, with what was before in `PATH.1`, `PATH.2` and so on. All together have at most
/// `bytes * (older + 1)` bytes, and what one write is longer than that.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    bytes: u64,
    older: u64,
    file: File,
    written: u64,
    /// Writes that failed since the last one that did not.
    lost: u64,
}

impl LogFile {
    /// Opens or makes the file, for its owner alone, and writes at its end.
    pub fn open(path: &Path, bytes: u64, older: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), bytes, older, file, written, lost: 0 })
    }

    /// Begins the next file.
    fn turn(&mut self) -> io::Result<()> {
        if self.older == 0 {
            return self.begin_anew();
        }
        for number in (1..self.older).rev() {
            // Not all of them are there.
            let _ = std::fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        let next = std::fs::rename(&self.path, self.numbered(1)).and_then(|()| append_to(&self.path));
        match next {
            Ok(file) => {
                self.file = file;
                self.written = 0;
                Ok(())
            }
            // In a folder that only lets this file be written, bounded goes before complete.
            Err(_) => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.written = 0;
        Ok(())
    }

    fn numbered(&self, number: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.written > 0 && self.written.saturating_add(line.len() as u64) > self.bytes {
            self.turn()?;
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
    /// Takes whole lines. What cannot be written is counted and let go: a program goes on without its log,
    /// which says so when it can be written again.
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
        // The next process goes on at the end.
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
    fn what_could_not_be_written_is_counted_when_it_can_be_again() {
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
