//! A backup file: a tar with `manifest.json` and the files that it lists, encrypted by age.
//!
//! `age -d -i KEY FILE | tar x` therefore opens one without any program of Parlour. age authenticates every byte
//! that is read from the file, but not who made it, since a recipient is public.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use age::{DecryptError, Decryptor, Encryptor};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::inspection::{Inventory, moment};
use crate::key::{Identities, Recipient};

/// The version of this format; any other version is refused.
const FORMAT: u32 = 1;

/// The name of the first entry of every backup.
const MANIFEST: &str = "manifest.json";

/// The length in bytes of the longest manifest that is read.
const MANIFEST_BYTES: u64 = 65_536;

/// The length in bytes of the longest key file.
const KEY_BYTES: usize = 65_536;

/// The contents of a file in a backup, erased from memory when dropped.
pub type FileInMemory = Zeroizing<Vec<u8>>;

/// The description at the beginning of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The program whose data it contains.
    pub program: String,
    /// The version of the program that made it.
    pub version: String,
    /// The time at which it was made, RFC 3339 in UTC.
    pub made: String,
    /// A summary of its database.
    pub inventory: Inventory,
}

impl Manifest {
    /// A manifest for the data of `program`, made now.
    pub fn new(program: &str, version: &str, inventory: Inventory) -> Self {
        let made = moment(jiff::Timestamp::now().as_millisecond());
        Self { format: FORMAT, program: program.to_owned(), version: version.to_owned(), made, inventory }
    }
}

/// The reasons why a backup cannot be made.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum PackError {
    /// A file with the backup's name exists already.
    #[error("{} is there already", .0.display())]
    AlreadyThere(PathBuf),
    /// The name belongs to a device, a link or a folder, which a backup never replaces.
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// Standard output was named as the place of the backup.
    #[error("a backup is a file, and is not written to standard output")]
    StandardOutput,
    /// The backup cannot be written, or a file for it cannot be read.
    #[error("cannot write {}: {reason}", path.display())]
    Failed { path: PathBuf, reason: String },
}

/// The reasons why a backup cannot be opened.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum UnpackError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// It is encrypted to another key.
    #[error("{} is not encrypted to this key", .0.display())]
    OtherKey(PathBuf),
    /// It is not a backup, or was changed after it was written.
    #[error("{} is damaged, or no backup: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// It belongs to another program, or has an unknown format.
    #[error("{} is a backup of {program} in format {format}", path.display())]
    Foreign { path: PathBuf, program: String, format: u32 },
    /// A file from the backup cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// Writes a backup of `files`, each with its name in the backup, encrypted to `recipient`. The backup gets its
/// name only when it is complete and on the disk. It replaces an existing file only if `replace` is true, and
/// never anything but a regular file.
pub fn pack(
    path: &Path,
    replace: bool,
    recipient: &Recipient,
    manifest: &Manifest,
    files: &[(&str, &Path)],
) -> Result<(), PackError> {
    refuse_place(path, replace)?;
    let failed = |error: io::Error| PackError::Failed { path: path.to_owned(), reason: error.to_string() };
    let folder = folder_of(path);
    // Readable by its owner alone, and removed if packing fails.
    let mut unfinished = tempfile::Builder::new().prefix(".backup-").tempfile_in(folder).map_err(failed)?;
    encrypt(unfinished.as_file_mut(), recipient, manifest, files).map_err(failed)?;
    unfinished.as_file().sync_all().map_err(failed)?;
    let named = if replace { unfinished.persist(path) } else { unfinished.persist_noclobber(path) };
    named.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => PackError::AlreadyThere(path.to_owned()),
        _ => failed(error.error),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Refuses `-`, which stands for standard output everywhere else and would make a file here that nobody looks for.
fn refuse_place(path: &Path, replace: bool) -> Result<(), PackError> {
    if path == Path::new("-") {
        return Err(PackError::StandardOutput);
    }
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(PackError::NotAFile(path.to_owned())),
        Ok(_) if !replace => Err(PackError::AlreadyThere(path.to_owned())),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn encrypt(
    file: &mut File,
    recipient: &Recipient,
    manifest: &Manifest,
    files: &[(&str, &Path)],
) -> io::Result<()> {
    let recipient: &dyn age::Recipient = recipient.age();
    let encryptor = Encryptor::with_recipients(std::iter::once(recipient)).map_err(io::Error::other)?;
    let mut tar = tar::Builder::new(encryptor.wrap_output(BufWriter::new(file))?);
    let manifest = serde_json::to_vec_pretty(manifest)?;
    tar.append(&header(MANIFEST, manifest.len() as u64)?, manifest.as_slice())?;
    for (name, path) in files {
        let content = File::open(path)?;
        let length = content.metadata()?.len();
        // If the file grows meanwhile, the tar must not get more bytes than its header says.
        tar.append(&header(name, length)?, content.take(length))?;
    }
    tar.into_inner()?.finish()?.flush()
}

fn header(name: &str, length: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(length);
    header.set_mode(0o600);
    header.set_cksum();
    Ok(header)
}

/// Writes the files of a backup of `program` into the given ones, each with its name in the backup; these must be
/// its files, in their order. Success means that the whole backup is authentic and on the disk; after a failure the
/// files must not be used.
pub fn unpack(
    path: &Path,
    identities: &Identities,
    program: &str,
    files: &mut [(&str, &mut File)],
) -> Result<Manifest, UnpackError> {
    let broken = |error: io::Error| UnpackError::Damaged { path: path.to_owned(), reason: error.to_string() };
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let mut targets = files.iter_mut();
    open(path, identities, program, &names, |name, from| match targets.next() {
        Some((_, target)) => write(from, name, target, &broken),
        None => Ok(()),
    })
}

/// Reads the files of a backup of `program` into memory, and writes nothing anywhere. They must be `names`, in
/// this order, and are returned in it. Success means that the whole backup is authentic.
pub fn read(
    path: &Path,
    identities: &Identities,
    program: &str,
    names: &[&str],
) -> Result<(Manifest, Vec<FileInMemory>), UnpackError> {
    let mut files = Vec::new();
    let manifest = open(path, identities, program, names, |_, from| {
        // Large enough for a key from the start: a vector that grows leaves copies of its contents behind.
        let mut content = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
        from.read_to_end(&mut content)
            .map_err(|error| UnpackError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
        files.push(content);
        Ok(())
    })?;
    Ok((manifest, files))
}

/// Opens a backup and hands each file in it to `take`, see [`read_tar`].
fn open(
    path: &Path,
    identities: &Identities,
    program: &str,
    names: &[&str],
    take: impl FnMut(&str, &mut dyn Read) -> Result<(), UnpackError>,
) -> Result<Manifest, UnpackError> {
    let damaged = |reason: String| UnpackError::Damaged { path: path.to_owned(), reason };
    let file =
        File::open(path).map_err(|source| UnpackError::Unreadable { path: path.to_owned(), source })?;
    let plain = Decryptor::new_buffered(BufReader::new(file))
        .and_then(|decryptor| decryptor.decrypt(identities.age()))
        .map_err(|error| match error {
            DecryptError::NoMatchingKeys => UnpackError::OtherKey(path.to_owned()),
            error => damaged(error.to_string()),
        })?;
    read_tar(path, plain, program, names, take)
}

/// Reads the decrypted but not yet authenticated tar of a backup of `program`: the manifest, then the files
/// `names`, in this order and nothing else. Each file is handed to `take`. `path` is for error messages only.
pub fn read_tar(
    path: &Path,
    plain: impl Read,
    program: &str,
    names: &[&str],
    mut take: impl FnMut(&str, &mut dyn Read) -> Result<(), UnpackError>,
) -> Result<Manifest, UnpackError> {
    let damaged = |reason: String| UnpackError::Damaged { path: path.to_owned(), reason };
    let broken = |error: io::Error| damaged(error.to_string());
    let mut tar = tar::Archive::new(plain);
    // Extensions have no place in a backup, and the tar library would read them into memory before we see them.
    let mut entries = tar.entries().map_err(broken)?.raw(true);
    let mut expect = |name: &str| {
        let entry = entries.next().ok_or_else(|| damaged(format!("{name} is not in it")))?.map_err(broken)?;
        let named = entry.path_bytes() == name.as_bytes() && entry.header().entry_type().is_file();
        if named { Ok(entry) } else { Err(damaged(format!("{name} is not where it should be"))) }
    };

    let mut text = Vec::new();
    expect(MANIFEST)?.take(MANIFEST_BYTES).read_to_end(&mut text).map_err(broken)?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if manifest.format != FORMAT || manifest.program != program {
        let Manifest { program, format, .. } = manifest;
        return Err(UnpackError::Foreign { path: path.to_owned(), program, format });
    }
    for name in names {
        take(name, &mut expect(name)?)?;
    }
    if entries.next().is_some() {
        return Err(damaged("there is more in it than there should be".to_owned()));
    }
    // Only age's last piece proves that none is missing, and it may come after the end of the tar.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(broken)?;
    Ok(manifest)
}

/// Writes one file. A failure to read is the backup's fault, a failure to write the disk's.
fn write(
    from: &mut dyn Read,
    name: &str,
    target: &mut File,
    broken: &impl Fn(io::Error) -> UnpackError,
) -> Result<(), UnpackError> {
    let unwritable = |source| UnpackError::Unwritable { path: name.into(), source };
    let mut buffer = vec![0; 65_536];
    loop {
        let count = from.read(&mut buffer).map_err(broken)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
        target.write_all(read).map_err(unwritable)?;
    }
    target.sync_all().map_err(unwritable)
}

/// The folder that contains a file; the current one for a bare name.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Moves an unpacked file to its place, durably. Both paths must be on the same file system.
pub fn settle(from: &Path, to: &Path) -> Result<(), UnpackError> {
    fs::rename(from, to)
        .and_then(|()| File::open(folder_of(to))?.sync_all())
        .map_err(|source| UnpackError::Unwritable { path: to.to_owned(), source })
}

impl PackError {
    /// Advice for the operator.
    pub fn hint(&self) -> String {
        match self {
            Self::AlreadyThere(_) => "name another file, or replace it with --force".to_owned(),
            Self::NotAFile(_) => "name another file; only a regular one is replaced, with --force".to_owned(),
            Self::StandardOutput => {
                "name a file; it has its name once it is whole and on the disk".to_owned()
            }
            Self::Failed { .. } => "choose a place that this user may write and that has room".to_owned(),
        }
    }
}

impl UnpackError {
    /// Advice for the operator.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "name the file that 'backup' wrote".to_owned(),
            Self::OtherKey(_) => {
                "name the key whose recipient it was made for, with --identity; if it is this one, the \
                 backup's head is damaged"
                    .to_owned()
            }
            Self::Damaged { .. } => "take another copy, or an older backup".to_owned(),
            Self::Foreign { program, .. } => format!("use {program}, of the version that made it or newer"),
            Self::Unwritable { .. } => "choose a place that this user may write and that has room".to_owned(),
        }
    }

    /// Returns true if the backup itself is at fault. This cannot be known of a backup encrypted to another key.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Foreign { .. } => true,
            Self::OtherKey(_) | Self::Unreadable { .. } | Self::Unwritable { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
