//! The JSON of a leaf: its members, written and read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_envelope::AccountPublicKey;
use parlour_envelope::p256::point_in_spki;
use parlour_protocol::{DeviceId, Timestamp, UserName};
use serde::{Deserialize, Serialize};

use super::{Leaf, LeafError, LeafKind};
use crate::certificate::device_id;

/// The version of the form.
const VERSION: u32 = 1;

/// Bytes as base64url without padding.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Base64(Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        URL_SAFE_NO_PAD.decode(text).map(Self)
    }
}

impl From<Base64> for String {
    fn from(bytes: Base64) -> Self {
        URL_SAFE_NO_PAD.encode(bytes.0)
    }
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Enrolment,
    Renewal,
    Revocation,
}

/// All members of all kinds, in the order of RFC 8785: by name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    account_key: Option<Base64>,
    certificates: Vec<Base64>,
    device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    device_key: Option<Base64>,
    kind: Kind,
    name: UserName,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seal_key: Option<Base64>,
    time: Timestamp,
    v: u32,
}

pub(super) fn encode(leaf: &Leaf) -> Vec<u8> {
    let (kind, device_key, seal_key, account_key, request) = match &leaf.kind {
        LeafKind::Enrolment { device_key, seal_key, account_key, request, .. } => {
            (Kind::Enrolment, Some(device_key), Some(seal_key), Some(account_key), Some(request))
        }
        LeafKind::Renewal { device_key, request, .. } => {
            (Kind::Renewal, Some(device_key), None, None, Some(request))
        }
        LeafKind::Revocation { .. } => (Kind::Revocation, None, None, None, None),
    };
    let form = Form {
        account_key: account_key.cloned().map(Base64),
        certificates: leaf.certificates.iter().map(|hash| Base64(hash.to_vec())).collect(),
        device: leaf.device().clone(),
        device_key: device_key.cloned().map(Base64),
        kind,
        name: leaf.name().clone(),
        request: request.cloned(),
        seal_key: seal_key.cloned().map(Base64),
        time: leaf.time,
        v: VERSION,
    };
    // Serialization fails only for keys that are not text and for values that cannot be serialized; a form has
    // neither.
    serde_json::to_vec(&form).unwrap_or_default()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Leaf, LeafError> {
    let form: Form = serde_json::from_slice(bytes).map_err(|_| LeafError::Form)?;
    if form.v != VERSION {
        return Err(LeafError::Version);
    }
    let certificates = form.certificates.into_iter().map(|hash| hash.0.try_into());
    let certificates = certificates.collect::<Result<_, _>>().map_err(|_| LeafError::Form)?;
    let (name, device) = (form.name, form.device);
    let keys = (form.device_key, form.seal_key, form.account_key);
    let kind = match (form.kind, keys, form.request) {
        (Kind::Enrolment, (Some(key), Some(seal), Some(account)), Some(request)) => LeafKind::Enrolment {
            name,
            device_key: device_key(key, &device)?,
            device,
            seal_key: checked(seal, is_p256)?,
            account_key: checked(account, is_rsa_3072)?,
            request,
        },
        (Kind::Renewal, (Some(key), None, None), Some(request)) => {
            LeafKind::Renewal { name, device_key: device_key(key, &device)?, device, request }
        }
        (Kind::Revocation, (None, None, None), None) => LeafKind::Revocation { name, device },
        (Kind::Enrolment | Kind::Renewal | Kind::Revocation, _, _) => return Err(LeafError::Members),
    };
    Ok(Leaf { kind, time: form.time, certificates })
}

fn checked(key: Base64, is_of_its_kind: fn(&[u8]) -> bool) -> Result<Vec<u8>, LeafError> {
    if is_of_its_kind(&key.0) { Ok(key.0) } else { Err(LeafError::Key) }
}

fn is_p256(spki: &[u8]) -> bool {
    point_in_spki(spki).is_some()
}

fn is_rsa_3072(spki: &[u8]) -> bool {
    AccountPublicKey::from_spki_der(spki).is_ok()
}

fn device_key(key: Base64, device: &DeviceId) -> Result<Vec<u8>, LeafError> {
    let key = checked(key, is_p256)?;
    if device_id(&key) == *device { Ok(key) } else { Err(LeafError::Device) }
}
