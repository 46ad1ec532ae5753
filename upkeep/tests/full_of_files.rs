//! Tests a log whose process may open no further file for a while. It changes the process's limit, so it runs in a
//! process of its own.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parlour_upkeep::LogFile;

/// The contents of the log's files, oldest line first.
fn lines(path: &Path) -> String {
    [path.with_extension("log.1"), path.to_owned()]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default())
        .concat()
}

#[test]
fn logged_lines_survive_a_next_file_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.log");
    let mut log = LogFile::open(&path, 40, 1).unwrap();
    let mut say = |line: &str| log.write_all(format!("{line}\n").as_bytes()).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The lowest free number: with it as the limit, nothing more can be opened.
    let next = File::open("/dev/null").unwrap();
    let first_free = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&next)).unwrap();
    drop(next);
    setrlimit(Resource::RLIMIT_NOFILE, first_free, hard).unwrap();
    for number in 0..10 {
        say(&format!("line {number:02} of it"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    // The file may grow to twice its length and no further.
    let kept = [0, 1, 2, 3, 4].map(|number| format!("line {number:02} of it\n")).concat();
    assert_eq!(lines(&path), kept);
    say("more");
    assert_eq!(lines(&path), kept + "5 lines of the log could not be written here\nmore\n");
    say("it goes on as before");
    assert!(
        lines(&path).ends_with("could not be written here\nmore\nit goes on as before\n"),
        "{}",
        lines(&path)
    );
}
