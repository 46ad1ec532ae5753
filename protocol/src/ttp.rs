//! The protocol between the server and the TTP: one JSON object on each line, over a Unix socket.
//!
//! A request is one line and gets one line of answer; then the TTP closes the connection. Only the connection of
//! `watch` stays open: every revocation is a further line on it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::{DeviceId, UserName};
use crate::timestamp::Timestamp;

/// The server's requests to the TTP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum TtpRequest {
    /// Issue both certificates for a free name.
    Enrol {
        /// The client's enrolment request, a compact JWS.
        request: String,
    },
    /// Issue a new device certificate for a known device.
    Renew {
        /// The client's renewal request, a compact JWS.
        request: String,
    },
    /// Send every revocation with a number above this one, and all future ones.
    Watch {
        /// The number of the newest revocation that the server has; 0 for none.
        after: u64,
    },
}

/// A line from the TTP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TtpAnswer {
    /// The certificates that were requested.
    Issued(Issued),
    /// `watch` has begun; revocations follow.
    Watching {},
    /// A revocation.
    Revoked(Revocation),
    /// The request was refused.
    Error(TtpRefusal),
    /// An answer from a newer TTP. It is only read, never sent, and never a success.
    #[serde(skip)]
    Unknown,
}

/// The names of the known answers.
const KNOWN: [&str; 4] = ["issued", "watching", "revoked", "error"];

impl TtpAnswer {
    /// Reads a line: an object with exactly one of the known names. Members of other names beside it are ignored; an
    /// object that has nothing else is [`Unknown`](Self::Unknown).
    pub fn from_json(line: &str) -> serde_json::Result<Self> {
        // Most lines have nothing else.
        serde_json::from_str(line).or_else(|_| {
            let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
            members.retain(|name, _| KNOWN.contains(&name.as_str()));
            if members.is_empty() { Ok(Self::Unknown) } else { serde_json::from_value(members.into()) }
        })
    }
}

/// Certificates that were issued now, or earlier for the same request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Issued {
    /// The user.
    pub name: UserName,
    /// The device certificate.
    pub device_certificate: Der,
    /// The account certificate; absent for a renewal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account_certificate: Option<Der>,
}

/// The revocation of a device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// Its number: 1 for the TTP's first, without gaps.
    pub number: u64,
    /// The device's owner.
    pub name: UserName,
    /// The device's id.
    pub device: DeviceId,
    /// The time of the revocation.
    pub time: Timestamp,
    /// The key log's signed statement of it, a compact JWS that anybody can verify; an older TTP sends none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statement: Option<String>,
}

/// The reasons why the TTP refuses a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum TtpRefusal {
    /// The line is not a request.
    #[error("not a request")]
    Format,
    /// The signed request is malformed, not signed by its key, or has keys that are not allowed.
    #[error("the signed request does not hold")]
    BadRequest,
    /// The name belongs to an account, or looks like one that does.
    #[error("the name is taken")]
    NameTaken,
    /// The TTP never issued a certificate to this device of this user.
    #[error("the device is unknown")]
    UnknownDevice,
    /// The device was revoked.
    #[error("the device was revoked")]
    Revoked,
    /// The TTP failed.
    #[error("the TTP failed")]
    Internal,
    /// A reason from a newer TTP. It is only read and never sent.
    #[error("for a reason that is not known here")]
    #[serde(other, skip_serializing)]
    Unknown,
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

impl TtpRequest {
    /// Reads a line.
    pub fn from_json(line: &str) -> Result<Self, TtpRefusal> {
        crate::object::from_object(line).map_err(|_| TtpRefusal::Format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::future_cases;

    #[test]
    fn requests_and_answers_have_their_golden_lines() {
        let request: TtpRequest = serde_json::from_str(r#"{"op":"enrol","request":"a.b.c"}"#).unwrap();
        assert_eq!(request, TtpRequest::Enrol { request: "a.b.c".into() });
        for bad in [r#"{"op":"enrol","request":"a","x":1}"#, r#"["enrol","a.b.c"]"#, "", "{}"] {
            assert_eq!(TtpRequest::from_json(bad), Err(TtpRefusal::Format), "{bad}");
        }
        let answer = TtpAnswer::Issued(Issued {
            name: "sam".parse().unwrap(),
            device_certificate: Der(vec![1, 2, 3]),
            account_certificate: None,
        });
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"issued":{"name":"sam","device_certificate":"AQID"}}"#);
        assert_eq!(TtpAnswer::from_json(&line).unwrap(), answer);
        let refusal = TtpAnswer::Error(TtpRefusal::NameTaken);
        assert_eq!(serde_json::to_string(&refusal).unwrap(), r#"{"error":"name_taken"}"#);
    }

    /// Reads lines of a newer TTP. The word above each says what it becomes.
    #[test]
    fn lines_from_the_future_are_kept_as_unknown() {
        let cases = future_cases(include_str!("../../tests/vectors/future/ttp.jsonl"), 1);
        for (word, lines) in &cases {
            let found = match TtpAnswer::from_json(lines[0]).unwrap() {
                TtpAnswer::Unknown => "answer",
                TtpAnswer::Error(TtpRefusal::Unknown) => "refusal",
                _ => "known",
            };
            assert_eq!(found, *word, "{}", lines[0]);
        }
        assert!(cases.len() >= 6, "only {}", cases.len());
        for bad in [
            "",
            "{}x",
            "[1]",
            r#"{"issued":{"name":"SAM"}}"#,
            r#"{"error":7}"#,
            r#"{"error":"revoked","watching":{}}"#,
        ] {
            assert!(TtpAnswer::from_json(bad).is_err(), "{bad}");
        }
    }

    /// Reads requests of a newer server. Each is followed by the TTP's answer, which the end-to-end tests expect of the
    /// real one; the reader finds only faults of form.
    #[test]
    fn requests_from_the_future_are_refused() {
        let cases = future_cases(include_str!("../../tests/vectors/future/server-to-ttp.jsonl"), 2);
        for (word, lines) in &cases {
            let refused = TtpRequest::from_json(lines[0]).err();
            assert_eq!(refused, (*word == "format").then_some(TtpRefusal::Format), "{}", lines[0]);
        }
        assert!(cases.len() >= 8, "only {}", cases.len());
    }
}
