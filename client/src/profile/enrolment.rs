//! Takes a name. Keys are made and stored before the request is sent, so that a crash loses neither keys nor name.

use std::path::{Path, PathBuf};

use parlour_crypto::{AccountKey, DeviceKey, EnrolmentRequest, SealKey};
use parlour_keylog::{AccountCertificate, DeviceCertificate, RootCertificate};
use parlour_protocol::{ServerAddress, UserName};

use super::ProfileError;
use super::{Notes, ProfileLock, Profiles, file, files};
use crate::clock::doubted;

/// The enrolment request as it was signed; sent again after a crash, it gets the same answer.
const REQUEST: &str = "request.jws";

/// Keys for a name that is not registered yet, in `.pending/NAME/`.
pub struct Pending {
    name: UserName,
    folder: PathBuf,
    home: PathBuf,
    device_key: DeviceKey,
    account_key: AccountKey,
    /// The request to the TTP.
    pub request: String,
    _lock: ProfileLock,
}

impl Pending {
    /// Continues an attempt that was interrupted, or makes keys for a new one. This takes about a second, so it must
    /// not run on the interface's thread.
    pub fn prepare(profiles: &Profiles, name: &UserName) -> Result<Self, ProfileError> {
        let all_pending = profiles.folder().join(".pending");
        files::make_private(&all_pending)?;
        let folder = all_pending.join(name.as_str());
        files::make_private(&folder)?;
        let lock = ProfileLock::take(&folder)?;
        // The request is written last: without it the keys were never used. Keys with a request are never
        // overwritten, even if they cannot be read now, because the name may belong to them already.
        let pending =
            if folder.join(REQUEST).exists() { Self::load(&folder)? } else { Self::make(name, &folder)? };
        let (device_key, account_key, request) = pending;
        Ok(Self {
            name: name.clone(),
            home: profiles.of(name),
            folder,
            device_key,
            account_key,
            request,
            _lock: lock,
        })
    }

    fn load(folder: &Path) -> Result<(DeviceKey, AccountKey, String), ProfileError> {
        let wrong =
            |file: &str| ProfileError::File { path: folder.join(file), reason: "is not usable".to_owned() };
        let read = |file: &str| files::read_key(&folder.join(file));
        let request = files::read_text(&folder.join(REQUEST))?;
        let device =
            DeviceKey::from_pkcs8_pem(&read(file::DEVICE_KEY)?).map_err(|_| wrong(file::DEVICE_KEY))?;
        let account =
            AccountKey::from_pkcs8_pem(&read(file::ACCOUNT_KEY)?).map_err(|_| wrong(file::ACCOUNT_KEY))?;
        SealKey::from_pkcs8_pem(&read(file::SEAL_KEY)?).map_err(|_| wrong(file::SEAL_KEY))?;
        Ok((device, account, request))
    }

    fn make(name: &UserName, folder: &Path) -> Result<(DeviceKey, AccountKey, String), ProfileError> {
        let mut rng = rand::rng();
        let device = DeviceKey::generate()?;
        let seal = SealKey::generate()?;
        let account = AccountKey::generate(&mut rng)?;
        let request =
            EnrolmentRequest { name: name.as_str(), device: &device, account: &account, seal: &seal }
                .build(&mut rng)?;
        for (file, pem) in [
            (file::DEVICE_KEY, device.to_pkcs8_pem()?),
            (file::SEAL_KEY, seal.to_pkcs8_pem()?),
            (file::ACCOUNT_KEY, account.to_pkcs8_pem()?),
        ] {
            files::write_private(&folder.join(file), pem.as_bytes())?;
        }
        files::write_private(&folder.join(REQUEST), request.as_bytes())?;
        Ok((device, account, request))
    }

    /// Checks the answer against the keys, the name and the root, and moves the finished profile to its place.
    pub fn complete(
        self,
        device_certificate: &[u8],
        account_certificate: &[u8],
        root: &RootCertificate,
        server: &ServerAddress,
        now: i64,
    ) -> Result<(), ProfileError> {
        let wrong = |what: &str| ProfileError::WrongAnswer(what.to_owned());
        // The same request gets the same certificate, however late. One that has expired meanwhile is
        // renewed at the login.
        let device = DeviceCertificate::from_der(device_certificate)
            .and_then(|found| found.verify(root, now.min(found.not_after())).map(|()| found))
            .map_err(|error| {
                ProfileError::WrongAnswer(format!("the device certificate: {}", doubted(&error)))
            })?;
        let account = AccountCertificate::from_der(account_certificate)
            .and_then(|certificate| certificate.verify(root, now).map(|()| certificate))
            .map_err(|error| {
                ProfileError::WrongAnswer(format!("the account certificate: {}", doubted(&error)))
            })?;
        if *device.user() != self.name || *account.user() != self.name {
            return Err(wrong("the certificates are for another name"));
        }
        if device.spki_der() != self.device_key.public_spki()
            || account.spki_der() != self.account_key.public().to_spki_der()
        {
            return Err(wrong("the certificates are for other keys"));
        }
        let notes = toml::to_string(&Notes { server: server.to_string() })
            .map_err(|error| ProfileError::WrongAnswer(error.to_string()))?;
        for (file, content) in [
            (file::DEVICE_CERTIFICATE, files::certificate_pem(device.der())),
            (file::ACCOUNT_CERTIFICATE, files::certificate_pem(account.der())),
            (file::ROOT, files::certificate_pem(root.der())),
            (file::NOTES, notes),
        ] {
            files::write_public(&self.folder.join(file), &content)?;
        }
        files::move_folder(&self.folder, &self.home)?;
        // The finished profile does not need the request.
        let _ = std::fs::remove_file(self.home.join(REQUEST));
        Ok(())
    }
}
