//! The keys of backups: age's X25519 keys, which age's own programs accept too.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::ExposeSecret as _;
use age::x25519;
use thiserror::Error;

use crate::inspection::moment;

/// The reasons why a key cannot be used.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum KeyError {
    /// The text is not a recipient.
    #[error("'{0}' is no recipient of a backup, which begins with age1")]
    Recipient(String),
    /// The file of a new key cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The key file cannot be read, or contains no key.
    #[error("cannot use the key {}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
}

/// The public half of a key, written `age1...`; its owner can open the backup.
#[derive(Clone)]
pub struct Recipient(x25519::Recipient);

impl Recipient {
    pub(crate) fn age(&self) -> &x25519::Recipient {
        &self.0
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.trim().parse().map(Self).map_err(|_| KeyError::Recipient(text.trim().to_owned()))
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipient({})", self.0)
    }
}

/// The private keys in one file; a backup encrypted to any of them can be opened.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Identities {
    /// Reads a file as `age-keygen` or [`make`] writes it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unusable = |reason: String| KeyError::Read { path: path.to_owned(), reason };
        let file = std::fs::File::open(path).map_err(|error| unusable(error.to_string()))?;
        // The file is read here because age's own message would name it a second time.
        let parsed = age::IdentityFile::from_buffer(io::BufReader::new(file));
        let identities = parsed.map_err(|_| unusable("it holds no age identity".to_owned()))?;
        match identities.into_identities() {
            Ok(identities) if !identities.is_empty() => Ok(Self(identities)),
            Ok(_) | Err(_) => Err(unusable("it holds no age identity".to_owned())),
        }
    }

    pub(crate) fn age(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|identity| &**identity as &dyn age::Identity)
    }
}

/// The keys are secret and left out.
impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

/// Makes a new key in a new file, readable by its owner alone, and returns the recipient for backups.
pub fn make(path: &Path) -> Result<Recipient, KeyError> {
    let unwritable = |source| KeyError::Write { path: path.to_owned(), source };
    let identity = x25519::Identity::generate();
    let recipient = Recipient(identity.to_public());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    let made = moment(jiff::Timestamp::now().as_millisecond());
    let written = write!(file, "# created: {made}\n# public key: {recipient}\n")
        .and_then(|()| writeln!(file, "{}", identity.to_string().expose_secret()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // A partly written key is useless.
        let _ = std::fs::remove_file(path);
        return Err(unwritable(error));
    }
    Ok(recipient)
}

impl KeyError {
    /// Advice for the operator.
    pub fn hint(&self, program: &str) -> String {
        match self {
            Self::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "a key is never overwritten: it may be the only one that opens a backup; name another file"
                    .to_owned()
            }
            Self::Write { .. } => "choose a folder that this user may write".to_owned(),
            Self::Recipient(_) | Self::Read { .. } => {
                format!("'{program} backup-key FILE' makes a key and prints its recipient, age-keygen too")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.key");
        let recipient = make(&path).unwrap();
        assert!(recipient.to_string().starts_with("age1"));
        assert_eq!(recipient.to_string().parse::<Recipient>().unwrap().to_string(), recipient.to_string());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Identities::read(&path).unwrap().0.len(), 1);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(make(&path), Err(KeyError::Write { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_its_contents_are_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.key");
        for content in ["", "# nothing\n", "secret words\n"] {
            std::fs::write(&path, content).unwrap();
            let error = Identities::read(&path).unwrap_err().to_string();
            assert!(error.ends_with("it holds no age identity"), "{error}");
        }
        assert!("age1nonsense".parse::<Recipient>().is_err());
    }
}
