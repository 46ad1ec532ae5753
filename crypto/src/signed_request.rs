//! What a device asks of the TTP: a JWS that carries the key it is signed with in its header.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::device_key::DeviceKey;
use crate::jws::{self, CompactJws, Es256, JwsError};
use crate::p256::{Jwk, P256PublicKey};
use crate::private_key::KeyFailure;
use crate::strict_json::{self, Object};

/// The longest request that is read, in bytes of its compact form.
pub const MAX_COMPACT: usize = 16 * 1024;

/// The version that stands in the member `v` of every payload.
pub(crate) const VERSION: u32 = 1;

/// Why the envelope of a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedRequestError {
    /// Longer than [`MAX_COMPACT`].
    #[error("the request is too long")]
    TooLong,
    /// Not a JWS with ES256, or with another header than a request of this type has, or signed
    /// with another key than it names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The payload has not exactly the members that it must have.
    #[error("the request's payload is malformed")]
    Payload,
}

/// The protected header. `typ` keeps one kind of request from being taken for another (RFC 8725
/// section 3.11).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Es256,
    typ: String,
    jwk: Object<Jwk>,
}

/// Signs `payload` as a request of type `typ`.
pub(crate) fn sign(key: &DeviceKey, typ: &str, payload: &impl Serialize) -> Result<String, KeyFailure> {
    let header = Header { alg: Es256, typ: typ.to_owned(), jwk: Object(key.public().to_jwk()) };
    let payload = serde_json::to_vec(payload).map_err(|_| KeyFailure::Sign)?;
    Ok(jws::sign(key, &header, &payload)?.as_str().to_owned())
}

/// Opens a request of type `typ`; gives the key that signed it and the payload.
pub(crate) fn open<T: DeserializeOwned>(
    compact: &str,
    typ: &str,
) -> Result<(P256PublicKey, T), SignedRequestError> {
    if compact.len() > MAX_COMPACT {
        return Err(SignedRequestError::TooLong);
    }
    let jws = CompactJws::parse(compact)?;
    let header: Header = jws.header()?;
    if header.typ != typ {
        return Err(JwsError::Header.into());
    }
    let key = header.jwk.0.to_key().map_err(|_| JwsError::Header)?;
    jws.verify(&key)?;
    let payload = strict_json::from_object(jws.payload()).ok_or(SignedRequestError::Payload)?;
    Ok((key, payload))
}
