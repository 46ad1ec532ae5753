//! Renewal: a known device gets a fresh certificate for the key that it has, once its newest one is halfway
//! through its time. Before, it gets that one again, so that asking often stores nothing.

use parlour_envelope::{AwsLc, VerifiedRenewal};
use parlour_keylog::{DeviceCertificate, Leaf, LeafKind, certificate_hash};
use parlour_protocol::ttp::{Der, Issued, TtpRefusal};
use parlour_protocol::{DeviceId, NameError, Timestamp, UserName};

use super::Authority;
use super::outcome::{self, Denied};
use crate::ledger::{IssuedCertificate, LedgerTransaction, RequestKey};
use crate::profile;

/// How old a certificate is, in seconds since it began, when a fresh one is issued: half of its life, less what the
/// clock of a client that asks at half-time may be ahead.
const RENEWED_AFTER: i64 = profile::DEVICE_LIFE / 2 - profile::SKEW;

/// A renewal whose signatures are in order.
struct Application<'a> {
    name: UserName,
    device: DeviceId,
    key: VerifiedRenewal,
    request: &'a str,
}

impl Authority {
    /// Does what [`renew`](Self::renew) says; gives the line of the answer.
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

    /// The device's newest certificate, if it holds now and is younger than half of its life.
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

/// Whether the device is known by this key under this name, and not revoked.
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
