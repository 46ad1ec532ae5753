//! The address of a server, and the root that it must have.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// The port for addresses that name none.
pub const DEFAULT_PORT: u16 = 7275;

/// The reasons why a text is refused as an address or an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// Not `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
    #[error("a server's address is HOST:PORT")]
    Address,
    /// Not 64 hex digits.
    #[error("a fingerprint is 64 hex digits")]
    Fingerprint,
    /// Not `parlour://HOST:PORT/#FINGERPRINT[?invite=CODE]`.
    #[error("an invitation is parlour://HOST:PORT/#FINGERPRINT")]
    Form,
}

/// A server's host name or address, and its port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServerAddress {
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl ServerAddress {
    /// True if the server is on this very machine.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for ServerAddress {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(InvitationError::Address)?;
            host.parse::<Ipv6Addr>().map_err(|_| InvitationError::Address)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) };
            (host, port)
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvitationError::Address)?
            }
            Some(_) => return Err(InvitationError::Address),
        };
        let is_host = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
        if !is_host || port == 0 {
            return Err(InvitationError::Address);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// SHA-256 of a root certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl FromStr for Fingerprint {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(InvitationError::Fingerprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(pair).map_err(|_| InvitationError::Fingerprint)?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(InvitationError::Fingerprint);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvitationError::Fingerprint)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Everything needed to join: `parlour://HOST:PORT/#FINGERPRINT[?invite=CODE]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// The server's address.
    pub server: ServerAddress,
    /// The root that it must have.
    pub root: Fingerprint,
    /// The invitation code, for servers that ask for one.
    pub code: Option<String>,
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let rest = text.strip_prefix("parlour://").ok_or(InvitationError::Form)?;
        let (server, rest) = rest.split_once('#').ok_or(InvitationError::Form)?;
        let server = server.strip_suffix('/').unwrap_or(server).parse()?;
        let (root, code) = match rest.split_once('?') {
            None => (rest, None),
            Some((root, query)) => {
                let code = query.strip_prefix("invite=").ok_or(InvitationError::Form)?;
                let fits = (1..=128).contains(&code.len())
                    && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if !fits {
                    return Err(InvitationError::Form);
                }
                (root, Some(code.to_owned()))
            }
        };
        Ok(Self { server, root: root.parse()?, code })
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parlour://{}/#{}", self.server, self.root)?;
        match &self.code {
            Some(code) => write!(f, "?invite={code}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_distinguished_from_others() {
        let is_loopback = |text: &str| text.parse::<ServerAddress>().unwrap().is_loopback();
        for here in ["localhost", "LOCALHOST:7275", "127.0.0.1", "127.8.9.1:1", "::1", "[::1]:7275"] {
            assert!(is_loopback(here), "{here}");
        }
        for there in
            ["localhost.example.org", "10.0.0.1", "0.0.0.0", "::", "127.0.0.1.example.org", "128.0.0.1"]
        {
            assert!(!is_loopback(there), "{there}");
        }
    }

    #[test]
    fn addresses_parse_with_and_without_a_port() {
        for (text, host, port) in [
            ("localhost", "localhost", 7275),
            ("chat.example.org:443", "chat.example.org", 443),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:9", "::1", 9),
            ("::1", "::1", 7275),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string().parse::<ServerAddress>().unwrap(), address);
        }
        for bad in ["", ":1", "host:", "host:0", "host:65536", "host:+1", "a b", "[::1", "[x]:1", "a/b:1"] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn invitations_parse_and_print_alike() {
        let print = "ab".repeat(32);
        for text in [
            format!("parlour://chat.example.org:7275/#{print}"),
            format!("parlour://[::1]:7275/#{print}?invite=Ab-9_"),
        ] {
            assert_eq!(text.parse::<Invitation>().unwrap().to_string(), text);
        }
        for bad in [
            format!("http://h:1/#{print}"),
            "parlour://h:1/".to_owned(),
            format!("parlour://h:1/#{}", &print[1..]),
            format!("parlour://h:1/#{print}?code=1"),
            format!("parlour://h:1/#{print}?invite="),
        ] {
            assert!(bad.parse::<Invitation>().is_err(), "{bad}");
        }
    }
}
