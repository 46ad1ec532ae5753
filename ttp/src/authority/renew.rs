//! Renewal: a known device gets a fresh certificate for the key that it has.

use parlour_crypto::renewal::{RenewalRequest, VerifiedRenewal};
use parlour_keylog::{DeviceCertificate, Leaf, LeafKind, certificate_hash};
use parlour_protocol::authority::{AuthorityRefusal, Der, Issued};
use parlour_protocol::{DeviceId, NameError, UserName};

use super::Authority;
use super::outcome::{self, Denied};
use crate::ledger::{IssuedCertificate, LedgerTransaction, RequestKey};
use crate::profile;

/// A renewal whose signatures are in order.
struct Application<'a> {
    name: UserName,
    device: DeviceId,
    key: VerifiedRenewal,
    request: &'a str,
}

impl Authority {
    /// Does what [`renew`](Self::renew) says; gives the line of the answer.
    pub(crate) fn renew_line(&self, request: &str) -> Result<String, AuthorityRefusal> {
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
        let answer = outcome::line(Issued {
            name: name.clone(),
            device_certificate: Der(certificate.der().to_vec()),
            account_certificate: None,
        })?;
        ledger.add_answer(&key, &answer, now)?;
        Ok(answer)
    }
}

/// Whether the device is known by this key under this name, and not revoked.
fn check(ledger: &LedgerTransaction<'_>, application: &Application<'_>) -> Result<(), Denied> {
    let (name, device) = (&application.name, &application.device);
    let known = ledger.device_key(name, device)?;
    if known.as_ref() != Some(&application.key.device_spki) {
        let reason = format!("{name} has no device {device} with this key");
        return Err(Denied::Refused(AuthorityRefusal::UnknownDevice, reason));
    }
    if ledger.revoked(name, device)?.is_some() {
        return Err(Denied::Refused(
            AuthorityRefusal::Revoked,
            format!("{name}'s device {device} is revoked"),
        ));
    }
    Ok(())
}

fn application(request: &str) -> Result<Application<'_>, Denied> {
    let key = RenewalRequest::verify(request).map_err(|error| Denied::bad_request(&error))?;
    let name = key.name.parse().map_err(|error: NameError| Denied::bad_request(&error))?;
    let device = key.device.parse().map_err(|error: NameError| Denied::bad_request(&error))?;
    Ok(Application { name, device, key, request })
}
