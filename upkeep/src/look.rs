//! Checks that every program shares: file modes, dates of certificates, room on the disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, eaccess};

use crate::finding::Finding;
use crate::inspection::moment;
use crate::key::Recipient;

/// A certificate with fewer days left should be renewed.
const RENEWAL_DAYS: i64 = 30;

const DAY_SECONDS: i64 = 24 * 60 * 60;

const GIB: u64 = 1 << 30;

/// With less room than this, something will fail soon.
const LEAST_FREE: u64 = GIB;

/// On a small disk, at least one part in this many should be free; on a large one, [`ENOUGH_FREE`] is enough.
const LEAST_SHARE: u64 = 5;
const ENOUGH_FREE: u64 = 10 * GIB;

/// Returns true if others than its owner can read a file or list a folder.
pub fn is_readable_by_others(path: &Path) -> bool {
    has_mode(path, 0o044)
}

/// Returns true if others than its owner can change a file or the entries of a folder.
pub fn is_writable_by_others(path: &Path) -> bool {
    has_mode(path, 0o022)
}

fn has_mode(path: &Path, bits: u32) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & bits != 0)
}

/// The fix for every case of missing rights.
const AS_ITS_USER: &str = "run this as the program's user, or as root";

/// A finding for a file that this user may not read; `None` for a file that does not exist. Missing rights are not
/// a fault of the program, so the only advice is to run the check as another user.
pub fn withheld(what: &'static str, path: &Path) -> Option<Finding> {
    may_not(path, AccessFlags::R_OK).then(|| out_of_reach(what, &path.display().to_string()))
}

/// Returns true if this user may not write to a file or into a folder.
pub fn is_read_only(path: &Path) -> bool {
    may_not(path, AccessFlags::W_OK)
}

/// Something that this user may not look at.
pub fn out_of_reach(what: &'static str, name: &str) -> Finding {
    Finding::wrong(what, format!("this user may not look at {name}"), AS_ITS_USER)
}

fn may_not(path: &Path, access: AccessFlags) -> bool {
    eaccess(path, access) == Err(Errno::EACCES)
}

/// A finding for a folder that does not exist or that this user may not list. Nothing can be said about its files
/// then.
pub fn unusable_folder(what: &'static str, folder: &Path, fix: &str) -> Option<Finding> {
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            Some(Finding::wrong(what, format!("{} is no folder", folder.display()), fix))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(Finding::wrong(what, format!("there is no folder {}", folder.display()), fix))
        }
        _ => may_not(folder, AccessFlags::X_OK).then(|| out_of_reach(what, &folder.display().to_string())),
    }
}

/// Checks that files are readable by their owner alone. A file whose mode cannot be read counts as wrong too.
pub fn private_files(what: &'static str, paths: &[&Path]) -> Finding {
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                let mode = metadata.permissions().mode() & 0o777;
                return Finding::wrong(
                    what,
                    format!("{} has mode {mode:04o}: others than its owner can use it", path.display()),
                    format!("chmod 600 '{}'", path.display()),
                );
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return out_of_reach(what, &path.display().to_string());
            }
            Err(error) => {
                return Finding::wrong(
                    what,
                    format!("{} cannot be read: {error}", path.display()),
                    "put it back, or name the folder in which it is",
                );
            }
        }
    }
    let names = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    Finding::well(what, format!("only their owner can use {names}"))
}

/// A finding for a folder that others than its owner can change.
pub fn guarded_folder(what: &'static str, folder: &Path) -> Option<Finding> {
    is_writable_by_others(folder).then(|| {
        Finding::wrong(
            what,
            format!("others than its owner can change what is in {}", folder.display()),
            format!("chmod go-w '{}'", folder.display()),
        )
    })
}

/// Checks that a certificate is valid now and for some time to come. Times are Unix seconds.
pub fn certificate_dates(
    what: &'static str,
    name: &str,
    not_before: i64,
    not_after: i64,
    now: i64,
    fix: &str,
) -> Finding {
    let days = not_after.saturating_sub(now).div_euclid(DAY_SECONDS);
    if now < not_before {
        let problem = format!("{name} is valid from {} on, which is in the future", date(not_before));
        Finding::wrong(what, problem, "set the clock of this machine")
    } else if now > not_after {
        Finding::wrong(what, format!("{name} expired on {}", date(not_after)), fix)
    } else if days < RENEWAL_DAYS {
        Finding::wrong(what, format!("{name} expires on {}, in {days} days", date(not_after)), fix)
    } else {
        Finding::well(what, format!("{name} is valid until {}", date(not_after)))
    }
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "a day beyond the calendar".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}

/// Checks that the clock was not set back: everything was stored before now. `newest` is the [`moment`] of the
/// newest row; `now` and `tolerance` are in milliseconds.
pub fn clock(newest: Option<&str>, now: i64, tolerance: i64) -> Finding {
    let Some(newest) = newest else {
        return Finding::not_checked("clock", "nothing is stored yet to compare it with");
    };
    let here = moment(now);
    if *newest > *moment(now.saturating_add(tolerance)) {
        let problem = format!("the newest row is from {newest}, and by this clock it is {here}");
        Finding::wrong("clock", problem, "set the clock of this machine, by NTP for example")
    } else {
        Finding::well("clock", format!("it is {here}; the newest row is from {newest}"))
    }
}

/// Checks the recipient of backups in the configuration.
pub fn recipient(recipient: Option<&str>, program: &str) -> Finding {
    match recipient.map(str::parse::<Recipient>) {
        None => Finding::not_checked("backups", "no backup-recipient is in the configuration"),
        Some(Ok(recipient)) => Finding::well("backups", format!("they are encrypted to {recipient}")),
        Some(Err(error)) => Finding::wrong("backups", error.to_string(), error.hint(program)),
    }
}

/// Reports if the system can confine the program: `available` says what it offers or what it lacks. `wanted` is
/// what the configuration asks for.
pub fn sandbox(available: Result<String, String>, wanted: bool) -> Finding {
    match available {
        _ if !wanted => Finding::wrong("sandbox", "it is turned off", "leave out sandbox = \"off\""),
        Ok(parts) => Finding::well("sandbox", parts),
        Err(reason) => {
            Finding::wrong("sandbox", reason, "use a kernel with Landlock (Linux 5.19 or newer) and seccomp")
        }
    }
}

/// Checks the free room on the disk of a folder.
pub fn disk(folder: &Path) -> Finding {
    match statvfs(folder) {
        Ok(system) => {
            let bytes = |blocks: u64| blocks.saturating_mul(system.fragment_size());
            room(bytes(system.blocks_available()), bytes(system.blocks()), folder)
        }
        Err(Errno::EACCES) => out_of_reach("disk", &folder.display().to_string()),
        Err(error) => Finding::wrong(
            "disk",
            format!("{} cannot be looked at: {error}", folder.display()),
            "name a folder that is there",
        ),
    }
}

fn room(free: u64, all: u64, folder: &Path) -> Finding {
    let share = (all / 100).saturating_mul(LEAST_SHARE).min(ENOUGH_FREE);
    let seen = format!("{} of {} are free for {}", size(free), size(all), folder.display());
    if free < share.max(LEAST_FREE) {
        Finding::wrong("disk", seen, "free some space: with a full disk nothing can be stored")
    } else {
        Finding::well("disk", seen)
    }
}

/// A size in GiB, or in MiB if it is small.
fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < GIB { (GIB >> 10, "MiB") } else { (GIB, "GiB") };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    fn is_wrong(finding: &Finding) -> bool {
        matches!(finding.state, State::Wrong { .. })
    }

    #[test]
    fn a_certificate_is_well_from_its_first_day_to_its_last_month() {
        let (from, until) = (1_000 * DAY_SECONDS, 1_365 * DAY_SECONDS);
        for (day, wrong) in [(999, true), (1_000, false), (1_335, false), (1_336, true), (1_366, true)] {
            let finding =
                certificate_dates("certificate", "a.crt", from, until, day * DAY_SECONDS, "mint it");
            assert_eq!(is_wrong(&finding), wrong, "day {day}: {finding:?}");
        }
    }

    #[test]
    fn a_clock_behind_the_newest_row_is_wrong_beyond_the_tolerance() {
        let stored = moment(100_000);
        assert!(!is_wrong(&clock(Some(&stored), 100_000, 0)));
        assert!(!is_wrong(&clock(Some(&stored), 90_000, 10_000)));
        assert!(is_wrong(&clock(Some(&stored), 90_000, 5_000)));
        assert!(!is_wrong(&clock(None, 0, 0)));
    }

    #[test]
    fn room_is_measured_against_a_gibibyte_and_a_share() {
        let folder = Path::new("data");
        for (free, all, wrong) in [
            (GIB - 1, 10 * GIB, true),
            (GIB, 10 * GIB, false),
            (4 * GIB, 100 * GIB, true),
            (6 * GIB, 100 * GIB, false),
            (10 * GIB, 10_000 * GIB, false),
        ] {
            assert_eq!(is_wrong(&room(free, all, folder)), wrong, "{free} of {all}");
        }
        assert_eq!([12 * GIB / 1024 + GIB / 2048, GIB, 0].map(size), ["12.5 MiB", "1.0 GiB", "0.0 MiB"]);
    }

    #[test]
    fn files_that_others_can_use_are_named_with_their_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(&path, "").unwrap();
        for (mode, wrong) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let finding = private_files("keys", &[&path]);
            assert_eq!(is_wrong(&finding), wrong, "{mode:o}");
        }
        assert!(is_wrong(&private_files("keys", &[&folder.path().join("missing")])));
    }
}
