//! The files of profiles: written completely or not at all, and used only if nobody else can change them.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::unistd::{Gid, Group, User, geteuid};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::ProfileError;

/// The bits of a file's mode by which the group and others can read it.
const READ_BY_OTHERS: u32 = 0o044;

fn failed(path: &Path, error: &std::io::Error) -> ProfileError {
    let reason = match error.kind() {
        ErrorKind::NotFound => "is missing".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    ProfileError::File { path: path.to_owned(), reason }
}

/// Reads a text file that the client relies on, if nobody but its owner can change it.
pub fn read_text(path: &Path) -> Result<String, ProfileError> {
    let wrong = |error: std::io::Error| failed(path, &error);
    let mut file = File::open(path).map_err(wrong)?;
    refuse_changeable(path, &file.metadata().map_err(wrong)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

/// Returns an error if others than its owner can change a folder's content.
pub(super) fn check_folder(folder: &Path) -> Result<(), ProfileError> {
    refuse_changeable(folder, &std::fs::metadata(folder).map_err(|error| failed(folder, &error))?)
}

/// Returns an error if a file or folder belongs neither to this user nor to root, or if others can change it.
pub fn check_own(path: &Path) -> Result<(), ProfileError> {
    let wrong = |error: std::io::Error| failed(path, &error);
    // The owner of a symbolic link can change its target, so the link itself counts too.
    let owners = [std::fs::symlink_metadata(path).map_err(wrong)?, std::fs::metadata(path).map_err(wrong)?];
    if owners.iter().any(|found| found.uid() != geteuid().as_raw() && found.uid() != 0) {
        return Err(ProfileError::Keys {
            path: path.to_owned(),
            reason: "belongs to somebody else".to_owned(),
            hint: "it was found in the current folder; say which keys and which root you mean: --keys DIR, --ca FILE"
                .to_owned(),
        });
    }
    let [_, found] = owners;
    refuse_changeable(path, &found)
}

fn refuse_changeable(path: &Path, found: &Metadata) -> Result<(), ProfileError> {
    let by_group = found.mode() & 0o020 != 0 && !is_private(found.gid());
    if !by_group && found.mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(ProfileError::Keys {
        path: path.to_owned(),
        reason: "others than its owner can change it".to_owned(),
        hint: format!("'chmod go-w {}' takes that away; first look for changes by others", path.display()),
    })
}

/// True for a group that has only this user: on systems where each user has such a group, it may have write access.
fn is_private(gid: u32) -> bool {
    let user = User::from_uid(geteuid()).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    user.zip(group).is_some_and(|(user, group)| {
        user.gid == group.gid
            && group.name == user.name
            && group.mem.iter().all(|member| *member == user.name)
    })
}

/// Reads a key, if only its owner can read it.
pub fn read_key(path: &Path) -> Result<String, ProfileError> {
    let wrong = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => missing_key(path),
        _ => failed(path, error),
    };
    let mut file = File::open(path).map_err(|error| wrong(&error))?;
    let found = file.metadata().map_err(|error| wrong(&error))?;
    if found.mode() & READ_BY_OTHERS != 0 {
        return Err(ProfileError::Keys {
            path: path.to_owned(),
            reason: "others than its owner can read it".to_owned(),
            hint: format!("'chmod 600 {}' takes that away", path.display()),
        });
    }
    refuse_changeable(path, &found)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| wrong(&error))?;
    Ok(text)
}

/// The error for a key that is missing from a profile.
pub(super) fn missing_key(path: &Path) -> ProfileError {
    ProfileError::Keys {
        path: path.to_owned(),
        reason: "is missing".to_owned(),
        hint: "put it back from a copy: without it nobody can log in with what is left".to_owned(),
    }
}

/// Reads the first certificate of a PEM file, as DER.
pub fn read_certificate(path: &Path) -> Result<Vec<u8>, ProfileError> {
    let text = read_text(path)?;
    match CertificateDer::from_pem_slice(text.as_bytes()) {
        Ok(certificate) => Ok(certificate.to_vec()),
        Err(_) => Err(ProfileError::File {
            path: path.to_owned(),
            reason: "holds no certificate in PEM".to_owned(),
        }),
    }
}

/// A certificate in PEM (RFC 7468).
pub(super) fn certificate_pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Makes a folder, and those above it, with access for its owner alone.
pub fn make_private(folder: &Path) -> Result<(), ProfileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(folder, &error))
}

/// Writes a file for its owner alone (0600), completely or not at all. It is durable when this returns.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), ProfileError> {
    write(path, content, 0o600)
}

/// Writes a file that everyone may read (0644), completely or not at all. It is durable when this returns.
pub fn write_public(path: &Path, content: &str) -> Result<(), ProfileError> {
    write(path, content.as_bytes(), 0o644)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), ProfileError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let attempt = || -> std::io::Result<()> {
        // An interrupted attempt may have left one.
        match std::fs::remove_file(temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
        // The umask may have removed permissions.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(temporary, path)?;
        sync_folder(path)
    };
    attempt().map_err(|error| failed(path, &error))
}

/// Makes a new, renamed or removed name durable.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Moves a finished folder to its place, unless that is taken.
pub(super) fn move_folder(from: &Path, to: &Path) -> Result<(), ProfileError> {
    // `rename` would replace an empty folder, so this looks first; the caller holds a lock.
    if to.exists() {
        return Err(ProfileError::File { path: to.to_owned(), reason: "is there already".to_owned() });
    }
    std::fs::rename(from, to).and_then(|()| sync_folder(to)).map_err(|error| failed(to, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Explain as _;

    #[test]
    fn a_private_file_is_for_its_owner_alone_and_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.key");
        for content in [b"one".as_slice(), b"two"] {
            write_private(&path, content).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.key");
        write_private(&path, b"key").unwrap();
        assert_eq!(read_key(&path).unwrap(), "key");
        for mode in [0o640, 0o604, 0o644] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let failure = read_key(&path).unwrap_err();
            let file = path.display();
            assert_eq!(failure.to_string(), format!("{file}: others than its owner can read it"));
            assert_eq!(failure.explain().hint, Some(format!("'chmod 600 {file}' takes that away")));
        }
    }

    #[test]
    fn a_file_that_others_can_change_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.crt");
        write_public(&path, "text").unwrap();
        assert_eq!(read_text(&path).unwrap(), "text");
        check_own(&path).unwrap();
        for mode in [0o646, 0o666] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let failure = read_text(&path).unwrap_err();
            let file = path.display();
            assert_eq!(failure.to_string(), format!("{file}: others than its owner can change it"));
            assert!(failure.explain().hint.unwrap().starts_with(&format!("'chmod go-w {file}'")));
            assert_eq!(check_own(&path), Err(failure));
        }
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o703)).unwrap();
        assert!(check_folder(folder.path()).is_err());
    }

    #[test]
    fn a_certificate_is_the_same_after_writing_and_reading_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.crt");
        let der: Vec<u8> = (0..200).collect();
        write_public(&path, &certificate_pem(&der)).unwrap();
        assert_eq!(read_certificate(&path).unwrap(), der);
    }
}
