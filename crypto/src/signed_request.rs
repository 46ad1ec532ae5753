//! Signs a device's requests to the TTP: a JWS that carries the signing key in its header.

use parlour_envelope::signed_request::Header;
use serde::Serialize;

use crate::device_key::DeviceKey;
use crate::jws;
use crate::private_key::KeyFailure;

/// Signs `payload` as a request of type `typ`.
pub(crate) fn sign(key: &DeviceKey, typ: &str, payload: &impl Serialize) -> Result<String, KeyFailure> {
    let payload = serde_json::to_vec(payload).map_err(|_| KeyFailure::Sign)?;
    Ok(jws::sign(key, &Header::new(typ, *key.public()), &payload)?.as_str().to_owned())
}
