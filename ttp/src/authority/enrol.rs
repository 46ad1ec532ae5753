//! Enrolment: a free name becomes an account, with certificates for its device key and its account key.

use parlour_envelope::{AwsLc, VerifiedEnrolment};
use parlour_keylog::{AccountCertificate, DeviceCertificate, Leaf, LeafKind, certificate_hash, device_id};
use parlour_protocol::ttp::{Der, Issued, TtpRefusal};
use parlour_protocol::{DeviceId, NameError, Timestamp, UserName};

use super::Authority;
use super::outcome::{self, Denied};
use crate::ledger::{CertificateKind, IssuedCertificate, LedgerTransaction, NewAccount, RequestKey};
use crate::profile;

/// An enrolment request whose signatures and keys are valid.
struct Application<'a> {
    name: UserName,
    device: DeviceId,
    keys: VerifiedEnrolment,
    request: &'a str,
}

impl Authority {
    /// Carries out [`enrol`](Self::enrol), and returns the answer as a line.
    pub(crate) fn enrol_line(&self, request: &str) -> Result<String, TtpRefusal> {
        let application = application(request).map_err(|denied| denied.tell("enrol"))?;
        let granted = self.ledger.transact(|ledger| self.grant(ledger, &application));
        let answer = granted.map_err(|denied| denied.tell("enrol"))?;
        tracing::info!(name = %application.name, device = %application.device, "enrolled");
        Ok(answer)
    }

    fn grant(&self, ledger: &LedgerTransaction<'_>, application: &Application<'_>) -> Result<String, Denied> {
        let key = application.key();
        if let Some(answer) = ledger.answer(&key)? {
            return Ok(answer);
        }
        let name = &application.name;
        if ledger.has_account(name)? {
            return Err(Denied::Refused(TtpRefusal::NameTaken, format!("{name} has an account")));
        }
        if ledger.has_look_alike(name)? {
            let reason = format!("{name} looks like a name that has an account");
            return Err(Denied::Refused(TtpRefusal::NameTaken, reason));
        }
        application.check_keys(ledger)?;
        let now = self.now();
        let (device, account) = self.mint(application, now)?;
        application.record(ledger, now, &device, &account)?;
        let answer = outcome::line(Issued {
            name: name.clone(),
            device_certificate: Der(device.der().to_vec()),
            account_certificate: Some(Der(account.der().to_vec())),
        })?;
        ledger.add_answer(&key, &answer, now)?;
        Ok(answer)
    }

    /// Makes both certificates, and checks them as every client will.
    fn mint(
        &self,
        application: &Application<'_>,
        now: Timestamp,
    ) -> Result<(DeviceCertificate, AccountCertificate), Denied> {
        let (name, keys) = (&application.name, &application.keys);
        let device = profile::device(&self.issuer, name, &keys.device_spki, now)?;
        let device = DeviceCertificate::from_der(&device)?;
        device.verify(&self.root, now.as_seconds())?;
        let account = profile::account(&self.issuer, &self.root, name, &keys.account_spki, now)?;
        let account = AccountCertificate::from_der(&account)?;
        account.verify(&self.root, now.as_seconds())?;
        Ok((device, account))
    }
}

impl Application<'_> {
    fn key(&self) -> RequestKey {
        RequestKey::new(self.request, &self.device, self.keys.nonce)
    }

    /// Refuses a key that is known in any role. With a shared key, a message signed by one user would be valid as
    /// another's, or a message sealed to one device could be opened with another's key.
    fn check_keys(&self, ledger: &LedgerTransaction<'_>) -> Result<(), Denied> {
        let VerifiedEnrolment { device_spki, seal_spki, account_spki, .. } = &self.keys;
        if device_spki == seal_spki {
            return Err(Denied::bad_request(&"the device's key and its seal key are the same"));
        }
        for key in [device_spki, seal_spki, account_spki] {
            if ledger.knows_key(key)? {
                return Err(Denied::bad_request(&"a key belongs to another name"));
            }
        }
        Ok(())
    }

    fn record(
        &self,
        ledger: &LedgerTransaction<'_>,
        now: Timestamp,
        device: &DeviceCertificate,
        account: &AccountCertificate,
    ) -> Result<(), Denied> {
        ledger.add_account(&NewAccount {
            name: &self.name,
            account_key: &self.keys.account_spki,
            device: &self.device,
            device_key: &self.keys.device_spki,
            seal_key: &self.keys.seal_spki,
            created: now,
        })?;
        ledger.add_certificate(&IssuedCertificate::of_device(device, now))?;
        ledger.add_certificate(&IssuedCertificate {
            kind: CertificateKind::Account,
            name: self.name.to_string(),
            device: None,
            serial: account.serial().to_owned(),
            not_before: account.not_before(),
            not_after: account.not_after(),
            der: account.der().to_vec(),
            issued: now,
            revoked: None,
        })?;
        ledger.add_leaf(&Leaf {
            kind: LeafKind::Enrolment {
                name: self.name.clone(),
                device: self.device.clone(),
                device_key: self.keys.device_spki.clone(),
                seal_key: self.keys.seal_spki.clone(),
                account_key: self.keys.account_spki.clone(),
                request: self.request.to_owned(),
            },
            time: now,
            certificates: vec![certificate_hash(device.der()), certificate_hash(account.der())],
        })?;
        Ok(())
    }
}

fn application(request: &str) -> Result<Application<'_>, Denied> {
    let keys = VerifiedEnrolment::read(request, &AwsLc).map_err(|error| Denied::bad_request(&error))?;
    let name = keys.name.parse().map_err(|error: NameError| Denied::bad_request(&error))?;
    Ok(Application { name, device: device_id(&keys.device_spki), keys, request })
}
