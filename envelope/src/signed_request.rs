//! A device's requests to the TTP: each is a JWS that carries the signing key in its header.

use parlour_protocol::object::{Object, from_object};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::jws::{CompactJws, Es256, JwsError};
use crate::p256::{Jwk, P256PublicKey};
use crate::verifier::Verifier;

/// The longest request that is read, in bytes of its compact form.
pub const MAX_COMPACT: usize = 16 * 1024;

/// The version in the member `v` of every payload.
pub const VERSION: u32 = 1;

/// The reasons why the envelope of a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedRequestError {
    /// Longer than [`MAX_COMPACT`].
    #[error("the request is too long")]
    TooLong,
    /// Not a JWS with ES256 and the header of this type of request, or signed with another key than it names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The payload does not have exactly the required members.
    #[error("the request's payload is malformed")]
    Payload,
}

/// The protected header. `typ` keeps one type of request from being taken for another (RFC 8725 section 3.11).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    alg: Es256,
    typ: String,
    jwk: Object<Jwk>,
}

impl Header {
    /// The header of a request of type `typ` signed by `key`.
    pub fn new(typ: &str, key: P256PublicKey) -> Self {
        Self { alg: Es256, typ: typ.to_owned(), jwk: Object(key.to_jwk()) }
    }
}

/// Opens a request of type `typ`; returns the key that signed it and the payload.
pub fn open<T: DeserializeOwned>(
    compact: &str,
    typ: &str,
    verifier: &dyn Verifier,
) -> Result<(P256PublicKey, T), SignedRequestError> {
    if compact.len() > MAX_COMPACT {
        return Err(SignedRequestError::TooLong);
    }
    let jws = CompactJws::parse(compact)?;
    let header: Header = jws.header()?;
    if header.typ != typ {
        return Err(JwsError::Header.into());
    }
    let key = header.jwk.0.to_key(verifier).map_err(|_| JwsError::Header)?;
    jws.verify(&key, verifier)?;
    let json = str::from_utf8(jws.payload()).map_err(|_| SignedRequestError::Payload)?;
    let payload = from_object(json).map_err(|_| SignedRequestError::Payload)?;
    Ok((key, payload))
}
