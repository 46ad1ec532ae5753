//! The contents of a backup after decryption: anybody who knows the recipient can write one.

use std::io;
use std::path::{Path, PathBuf};

use parlour_upkeep::{Manifest, UnpackError, archive};

const PROGRAM: &str = "parlour-server";
const FILES: [&str; 2] = ["chat.db", "second"];

/// A tar that claims to be a backup with two files. Files that are accepted have the right names, are no longer
/// than the input, and the manifest stays as it was.
pub fn backup(bytes: &[u8]) {
    let mut taken: Vec<(String, u64)> = Vec::new();
    let read = archive::read_tar(Path::new("backup"), bytes, PROGRAM, &FILES, |name, from| {
        let length = io::copy(from, &mut io::sink())
            .map_err(|source| UnpackError::Unreadable { path: PathBuf::from(name), source })?;
        taken.push((name.to_owned(), length));
        Ok(())
    });
    let names: Vec<&str> = taken.iter().map(|(name, _)| name.as_str()).collect();
    assert!(FILES.starts_with(&names));
    let total: u64 = taken.iter().map(|(_, length)| length).sum();
    assert!(total <= bytes.len() as u64);
    match read {
        Ok(manifest) => {
            assert_eq!(names, FILES);
            assert_eq!(manifest.program, PROGRAM);
            let written = serde_json::to_vec(&manifest).unwrap_or_default();
            assert!(serde_json::from_slice::<Manifest>(&written).is_ok_and(|again| again == manifest));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
