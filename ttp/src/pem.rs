//! PEM: writes private keys and certificates, reads certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// A private key in PKCS#8 (RFC 7468, section 10).
pub(crate) fn private_key(pkcs8: &[u8]) -> Zeroizing<String> {
    block("PRIVATE KEY", pkcs8)
}

/// A certificate (RFC 7468, section 5).
pub(crate) fn certificate(der: &[u8]) -> String {
    block("CERTIFICATE", der).to_string()
}

fn block(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    // Large enough from the start: a string that grows leaves copies of its contents behind.
    let mut text = Zeroizing::new(String::with_capacity(base64.len() + base64.len() / 64 + 80));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    let mut rest = base64.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

/// The certificates of a chain, in DER; `None` when a block is damaged.
pub(crate) fn read_chain(pem: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = CertificateDer::pem_slice_iter(pem.as_bytes());
    blocks.map(|block| block.map(|der| der.as_ref().to_vec())).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_64_characters_and_are_read_again() {
        for length in [0, 1, 47, 48, 49, 96, 500] {
            let der = vec![7; length];
            let text = certificate(&der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(read_chain(&format!("{text}{text}")), Some(vec![der.clone(), der]), "{length}");
        }
    }
}
