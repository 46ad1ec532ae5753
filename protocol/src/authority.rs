//! The protocol between the server and the TTP: one JSON object a line, over a Unix socket.
//!
//! One request is one line, and gets one line of answer; then the TTP closes. `watch` is the
//! exception: its connection stays, and every revocation is a line more.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::{DeviceId, UserName};
use crate::timestamp::Timestamp;

/// What the server asks of the TTP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum AuthorityRequest {
    /// Issue both certificates for a free name.
    Enrol {
        /// The client's enrolment request, a compact JWS.
        request: String,
    },
    /// Issue a fresh device certificate for a known device.
    Renew {
        /// The client's renewal request, a compact JWS.
        request: String,
    },
    /// Tell every revocation with a number above this one, and those to come.
    Watch {
        /// The number of the newest revocation that the server has; 0 for none.
        after: u64,
    },
}

/// A line from the TTP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorityAnswer {
    /// Certificates for a name.
    Issued(Issued),
    /// `watch` has begun.
    Watching {},
    /// A revocation.
    Revoked(Revocation),
    /// Nothing was done.
    Error(AuthorityRefusal),
}

/// Certificates that were issued (now, or before for the same request).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Issued {
    /// To whom.
    pub name: UserName,
    /// The device certificate.
    pub device_certificate: Der,
    /// The account certificate; not for a renewal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account_certificate: Option<Der>,
}

/// A device that may not be used any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// Its number: 1 for the TTP's first, without gaps.
    pub number: u64,
    /// Whose device.
    pub name: UserName,
    /// Which.
    pub device: DeviceId,
    /// Since when.
    pub time: Timestamp,
    /// The key log's signed statement of it, a compact JWS that anybody can verify; an older TTP sends none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statement: Option<String>,
}

/// Why the TTP did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityRefusal {
    /// The line is no request.
    #[error("not a request")]
    Format,
    /// The signed request is not well-formed, not signed by its key, or its keys are not allowed.
    #[error("the signed request does not hold")]
    BadRequest,
    /// The name belongs to an account.
    #[error("the name is taken")]
    NameTaken,
    /// The name is easily taken for one that belongs to an account.
    #[error("the name looks like one that is taken")]
    NameTooLike,
    /// The TTP never issued a certificate to this device of this name.
    #[error("the device is unknown")]
    UnknownDevice,
    /// The device was revoked.
    #[error("the device was revoked")]
    Revoked,
    /// The TTP's own fault.
    #[error("the authority failed")]
    Internal,
}

/// DER bytes, base64url without padding in JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Der(pub Vec<u8>);

impl TryFrom<String> for Der {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        URL_SAFE_NO_PAD.decode(text).map(Self)
    }
}

impl From<Der> for String {
    fn from(der: Der) -> Self {
        URL_SAFE_NO_PAD.encode(der.0)
    }
}

impl AuthorityRequest {
    /// Reads a line.
    pub fn from_json(line: &str) -> Result<Self, AuthorityRefusal> {
        crate::object::from_object(line).map_err(|_| AuthorityRefusal::Format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_have_their_golden_lines() {
        let request: AuthorityRequest = serde_json::from_str(r#"{"op":"enrol","request":"a.b.c"}"#).unwrap();
        assert_eq!(request, AuthorityRequest::Enrol { request: "a.b.c".into() });
        for bad in [r#"{"op":"enrol","request":"a","x":1}"#, r#"["enrol","a.b.c"]"#, "", "{}"] {
            assert_eq!(AuthorityRequest::from_json(bad), Err(AuthorityRefusal::Format), "{bad}");
        }
        let answer = AuthorityAnswer::Issued(Issued {
            name: "sam".parse().unwrap(),
            device_certificate: Der(vec![1, 2, 3]),
            account_certificate: None,
        });
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"issued":{"name":"sam","device_certificate":"AQID"}}"#);
        assert_eq!(serde_json::from_str::<AuthorityAnswer>(&line).unwrap(), answer);
        let refusal = AuthorityAnswer::Error(AuthorityRefusal::NameTaken);
        assert_eq!(serde_json::to_string(&refusal).unwrap(), r#"{"error":"name_taken"}"#);
    }
}
