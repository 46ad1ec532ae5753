//! A user's keys on this machine, in `keys/clients/NAME/`. A profile is written completely or not at all: [`enrolment`]
//! prepares it, [`files`] writes its files, and [`lock`] gives it to one process.

mod enrolment;
mod error;
mod files;
mod lock;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parlour_crypto::{AccountKey, DeviceKey, SealKey};
use parlour_envelope::AwsLc;
use parlour_keylog::{AccountCertificate, DeviceCertificate, RootCertificate};
use parlour_protocol::{ServerAddress, UserName};
use serde::{Deserialize, Serialize};

pub use enrolment::Pending;
pub use error::ProfileError;
pub use files::{
    check_own, make_private, read_certificate as read_root, read_key, read_text, write_private, write_public,
};
pub use lock::ProfileLock;

/// The folder with the profiles of this machine's users.
#[derive(Debug, Clone)]
pub struct Profiles {
    folder: PathBuf,
}

impl Profiles {
    /// The profiles in this folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder that holds all profiles.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of one profile.
    pub fn of(&self, name: &UserName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// True if there is a profile of this name.
    pub fn has(&self, name: &UserName) -> bool {
        self.of(name).join("device.key").exists()
    }

    /// The folder of an existing profile that nobody else can change.
    pub fn find(&self, name: &UserName) -> Result<PathBuf, ProfileError> {
        let folder = self.of(name);
        if self.has(name) {
            files::check_folder(&self.folder)?;
            files::check_folder(&folder)?;
            Ok(folder)
        } else if folder.exists() {
            Err(files::missing_key(&folder.join(file::DEVICE_KEY)))
        } else {
            Err(ProfileError::NoKeys { name: name.clone(), folder: self.folder.clone() })
        }
    }

    /// The names of all profiles, sorted.
    pub fn names(&self) -> Vec<UserName> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut names: Vec<UserName> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|name| self.has(name))
            .collect();
        names.sort_unstable();
        names
    }

    /// The servers of all profiles whose notes can be read.
    pub fn servers(&self) -> Vec<ServerAddress> {
        self.names().iter().filter_map(|name| self.server_of(name)).collect()
    }

    fn server_of(&self, name: &UserName) -> Option<ServerAddress> {
        let text = files::read_text(&self.of(name).join(file::NOTES)).ok()?;
        toml::from_str::<Notes>(&text).ok()?.server.parse().ok()
    }

    /// The server and the root of one profile, if they can be read, even if other parts of it are damaged.
    pub fn home_of(&self, name: &UserName) -> Option<(ServerAddress, RootCertificate)> {
        files::check_folder(&self.folder).and_then(|()| files::check_folder(&self.of(name))).ok()?;
        let root = read_root(&self.of(name).join(file::ROOT)).ok()?;
        Some((self.server_of(name)?, RootCertificate::from_der(&root, &AwsLc).ok()?))
    }
}

/// A profile's keys and certificates, checked against each other.
pub struct Profile {
    /// The user.
    pub name: UserName,
    /// The folder with its files.
    pub folder: PathBuf,
    /// The key that signs and logs in.
    pub device_key: DeviceKey,
    /// The device's certificate, perhaps expired.
    pub device: DeviceCertificate,
    /// The key for data meant for this device alone.
    pub seal_key: SealKey,
    /// The key that opens private messages.
    pub account_key: Arc<AccountKey>,
    /// The account's certificate.
    pub account: AccountCertificate,
    /// The root that issued both certificates.
    pub root: RootCertificate,
    /// The address of this user's server.
    pub server: ServerAddress,
}

/// `profile.toml`: the settings of a profile.
#[derive(Serialize, Deserialize)]
struct Notes {
    server: String,
}

/// The files of a profile.
mod file {
    pub(super) const DEVICE_KEY: &str = "device.key";
    pub(super) const DEVICE_CERTIFICATE: &str = "device.crt";
    pub(super) const SEAL_KEY: &str = "seal.key";
    pub(super) const ACCOUNT_KEY: &str = "account.key";
    pub(super) const ACCOUNT_CERTIFICATE: &str = "account.crt";
    pub(super) const ROOT: &str = "ca.crt";
    pub(super) const NOTES: &str = "profile.toml";
}

impl Profile {
    /// Reads a profile and checks that its parts belong together.
    pub fn load(folder: &Path, name: &UserName) -> Result<Self, ProfileError> {
        let path = |file: &str| folder.join(file);
        let key = |file: &str| files::read_key(&path(file));
        let wrong = |file: &str, reason: String| ProfileError::File { path: path(file), reason };
        let certificate = |file: &str| files::read_certificate(&path(file));

        let device_key = DeviceKey::from_pkcs8_pem(&key(file::DEVICE_KEY)?)
            .map_err(|error| wrong(file::DEVICE_KEY, error.to_string()))?;
        let seal_key = SealKey::from_pkcs8_pem(&key(file::SEAL_KEY)?)
            .map_err(|error| wrong(file::SEAL_KEY, error.to_string()))?;
        let account_key = AccountKey::from_pkcs8_pem(&key(file::ACCOUNT_KEY)?)
            .map_err(|error| wrong(file::ACCOUNT_KEY, error.to_string()))?;
        let device = DeviceCertificate::from_der(&certificate(file::DEVICE_CERTIFICATE)?)
            .map_err(|error| wrong(file::DEVICE_CERTIFICATE, error.to_string()))?;
        let account = AccountCertificate::from_der(&certificate(file::ACCOUNT_CERTIFICATE)?)
            .map_err(|error| wrong(file::ACCOUNT_CERTIFICATE, error.to_string()))?;
        let root = RootCertificate::from_der(&certificate(file::ROOT)?, &AwsLc)
            .map_err(|error| wrong(file::ROOT, error.to_string()))?;
        if device.user() != name || device.spki_der() != device_key.public_spki() {
            return Err(wrong(file::DEVICE_CERTIFICATE, "is not for device.key and this name".to_owned()));
        }
        if account.user() != name || account.spki_der() != account_key.public().to_spki_der() {
            return Err(wrong(file::ACCOUNT_CERTIFICATE, "is not for account.key and this name".to_owned()));
        }
        let notes: Notes = toml::from_str(&files::read_text(&path(file::NOTES))?)
            .map_err(|error| wrong(file::NOTES, error.message().to_owned()))?;
        let server = notes.server.parse().map_err(|_| wrong(file::NOTES, "names no server".to_owned()))?;
        Ok(Self {
            name: name.clone(),
            folder: folder.to_owned(),
            device_key,
            device,
            seal_key,
            account_key: Arc::new(account_key),
            account,
            root,
            server,
        })
    }

    /// Replaces the device's certificate by a new one.
    pub fn renew(&mut self, fresh: DeviceCertificate) -> Result<(), ProfileError> {
        files::write_public(
            &self.folder.join(file::DEVICE_CERTIFICATE),
            &files::certificate_pem(fresh.der()),
        )?;
        self.device = fresh;
        Ok(())
    }

    /// True if more than half of the device certificate's lifetime is over at `at`, in Unix seconds.
    pub fn is_past_half(&self, at: i64) -> bool {
        let (from, to) = (self.device.not_before(), self.device.not_after());
        at >= from + (to - from) / 2
    }
}
