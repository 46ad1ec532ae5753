//! A host that a server certificate is for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// A DNS name in lower case, or an IP address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Host(Kind);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Kind {
    Dns(Box<str>),
    Ip(IpAddr),
}

/// A text that does not name a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a host is a DNS name or an IP address, without port and wildcard")]
pub struct HostError;

impl Host {
    /// The DNS name, if it is one.
    pub fn dns(&self) -> Option<&str> {
        match &self.0 {
            Kind::Dns(name) => Some(name),
            Kind::Ip(_) => None,
        }
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match &self.0 {
            Kind::Dns(_) => None,
            Kind::Ip(address) => Some(*address),
        }
    }
}

/// RFC 1123, 2.1: labels of letters, digits and inner hyphens. A last label of digits alone would be a mistyped
/// address.
fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if let Ok(address) = text.parse() {
            Ok(Self(Kind::Ip(address)))
        } else if is_dns_name(text) {
            Ok(Self(Kind::Dns(text.to_ascii_lowercase().into())))
        } else {
            Err(HostError)
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self(Kind::Ip(address))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Dns(name) => f.write_str(name),
            Kind::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts() {
        for (text, shown) in [
            ("localhost", "localhost"),
            ("Chat.Example.org", "chat.example.org"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1st.example", "1st.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("0:0:0:0:0:0:0:1", "::1"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), shown);
        }
        assert!("::1".parse::<Host>().unwrap().ip().is_some());
        assert_eq!("a.b".parse::<Host>().unwrap().dns(), Some("a.b"));
    }

    #[test]
    fn other_texts_are_not() {
        let long = format!("{}.example", "x".repeat(64));
        let longest = "x.".repeat(127);
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "*.a",
            "a b",
            "a:1",
            "[::1]",
            "1.2.3",
            "256.1.1.1",
            "bücher.example",
            "a\0",
            "a/b",
            &long,
            &longest,
        ] {
            assert_eq!(text.parse::<Host>(), Err(HostError), "{text}");
        }
    }
}
