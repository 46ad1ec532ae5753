//! The bytes that a device signs to log in.

use crate::name::UserName;

/// The label of the TLS exporter (RFC 9266, `tls-exporter`); its context is empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The length of the exported value.
pub const EXPORTER_BYTES: usize = 32;

/// The bytes that a device signs to log in on the TLS connection identified by `exporter`: `"parlour login v1" ||
/// 0x00 || user || 0x00 || exporter`. A signature for one connection is worthless on another, so a man in the
/// middle cannot pass it on.
pub fn login_transcript(user: &UserName, exporter: &[u8; EXPORTER_BYTES]) -> Vec<u8> {
    let mut bytes = b"parlour login v1\0".to_vec();
    bytes.extend_from_slice(user.as_str().as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(exporter);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_is_what_the_specification_says() {
        let bytes = login_transcript(&"sam".parse().unwrap(), &[0xee; 32]);
        assert_eq!(&bytes[..21], b"parlour login v1\0sam\0");
        assert_eq!(&bytes[21..], &[0xee; 32]);
    }
}
