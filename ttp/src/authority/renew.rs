//! Renewal: a known device gets a fresh certificate for its key once half of the newest one's time is over. Until
//! then it gets that one again, so that frequent requests store nothing.

use parlour_envelope::{AwsLc, VerifiedRenewal};
use parlour_keylog::{DeviceCertificate, Leaf, LeafKind, certificate_hash};
use parlour_protocol::ttp::{Der, Issued, TtpRefusal};
use parlour_protocol::{DeviceId, NameError, Timestamp, UserName};

use super::Authority;
use super::outcome::{self, Denied};
use crate::ledger::{IssuedCertificate, LedgerTransaction, RequestKey};
use crate::profile;

/// The age of a certificate, in seconds, at which a fresh one is issued. It is half of its life, less the time by
/// which the clock of a client may be ahead.
const RENEWED_AFTER: i64 = profile::DEVICE_LIFE / 2 - profile::SKEW;

/// A renewal request whose signature is valid.
struct Application<'a> {
    name: UserName,
    device: DeviceId,
    key: VerifiedRenewal,
    request: &'a str,
}

impl Authority {
    /// Carries out [`renew`](Self::renew), and returns the answer as a line.
    pub(crate) fn renew_line(&self, request: &str) -> Result<String, TtpRefusal> {
        let application = application(request).map_err(|denied| denied.tell("renew"))?;
        let prolonged = self.ledger.transact(|ledger| self.prolong(ledger, &application));
        let answer = prolonged.map_err(|denied| denied.tell("renew"))?;
        tracing::info!(name = %application.name, device = %application.device, "renewed");
        Ok(answer)
    }

    fn prolong(
        &self,
        ledger: &LedgerTransaction<'_>,
        application: &Application<'_>,
    ) -> Result<String, Denied> {
        let key = RequestKey::new(application.request, &application.device, application.key.nonce);
        if let Some(answer) = ledger.answer(&key)? {
            return Ok(answer);
        }
        check(ledger, application)?;
        if ledger.has_nonce(&key)? {
            return Err(Denied::bad_request(&"the nonce was used before"));
        }
        let (name, spki, now) = (&application.name, &application.key.device_spki, self.now());
        if let Some(certificate) = self.still_good(ledger, application, now)? {
            return outcome::line(issued(name, &certificate));
        }
        let certificate = DeviceCertificate::from_der(&profile::device(&self.issuer, name, spki, now)?)?;
        certificate.verify(&self.root, now.as_seconds())?;
        ledger.add_certificate(&IssuedCertificate::of_device(&certificate, now))?;
        ledger.add_leaf(&Leaf {
            kind: LeafKind::Renewal {
                name: name.clone(),
                device: application.device.clone(),
                device_key: spki.clone(),
                request: application.request.to_owned(),
            },
            time: now,
            certificates: vec![certificate_hash(certificate.der())],
        })?;
        let answer = outcome::line(issued(name, &certificate))?;
        let expired = now.as_millis().saturating_sub(profile::DEVICE_LIFE.saturating_mul(1_000));
        ledger.forget_renewals(&application.device, Timestamp::from_millis(expired))?;
        ledger.add_answer(&key, &answer, now)?;
        Ok(answer)
    }

    /// The device's newest certificate, if it is valid now and not yet due for renewal.
    fn still_good(
        &self,
        ledger: &LedgerTransaction<'_>,
        application: &Application<'_>,
        now: Timestamp,
    ) -> Result<Option<DeviceCertificate>, Denied> {
        let Some(der) = ledger.newest_certificate(&application.name, &application.device)? else {
            return Ok(None);
        };
        let certificate = DeviceCertificate::from_der(&der)?;
        let age = now.as_seconds().saturating_sub(certificate.not_before());
        let holds = certificate.verify(&self.root, now.as_seconds()).is_ok();
        Ok((holds && age < RENEWED_AFTER).then_some(certificate))
    }
}

fn issued(name: &UserName, certificate: &DeviceCertificate) -> Issued {
    Issued {
        name: name.clone(),
        device_certificate: Der(certificate.der().to_vec()),
        account_certificate: None,
    }
}

/// Checks that the name has this device with this key, and that it is not revoked.
fn check(ledger: &LedgerTransaction<'_>, application: &Application<'_>) -> Result<(), Denied> {
    let (name, device) = (&application.name, &application.device);
    let known = ledger.device_key(name, device)?;
    if known.as_ref() != Some(&application.key.device_spki) {
        let reason = format!("{name} has no device {device} with this key");
        return Err(Denied::Refused(TtpRefusal::UnknownDevice, reason));
    }
    if ledger.revoked(name, device)?.is_some() {
        return Err(Denied::Refused(TtpRefusal::Revoked, format!("{name}'s device {device} is revoked")));
    }
    Ok(())
}

fn application(request: &str) -> Result<Application<'_>, Denied> {
    let key = VerifiedRenewal::read(request, &AwsLc).map_err(|error| Denied::bad_request(&error))?;
    let name = key.name.parse().map_err(|error: NameError| Denied::bad_request(&error))?;
    let device = key.device.parse().map_err(|error: NameError| Denied::bad_request(&error))?;
    Ok(Application { name, device, key, request })
}
