//! The vault: encrypts the rows of a client's local database, and makes tags for blind look-up of names.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::content_cipher::{self, KEY_LEN, NONCE_LEN, TAG_LEN};

/// The first byte of every sealed value; another layout gets another number.
const VERSION: u8 = 1;

/// A key for local data, with the two keys derived from it.
///
/// Nonces are random 96-bit values, so one vault may seal at most 2^32 values.
pub struct Vault {
    key: Zeroizing<[u8; KEY_LEN]>,
    seal: Zeroizing<[u8; KEY_LEN]>,
    tag: hmac::Key,
}

/// The failures of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A key could not be derived; this happens only when memory is exhausted.
    #[error("the vault's keys could not be derived")]
    Derive,
    /// The value to be sealed is longer than 64 GiB.
    #[error("the value is too long for the vault")]
    TooLong,
    /// The value was written by a later version, or not by a vault at all.
    #[error("the sealed value has a layout that is not known")]
    Layout,
    /// The value was sealed with another key or for another context, or was altered.
    #[error("the sealed value was altered or belongs elsewhere")]
    Altered,
}

impl Vault {
    /// Makes a vault with a new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, VaultError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rng.fill_bytes(key.as_mut_slice());
        Self::from_key(*key)
    }

    /// The vault with this key, which must be uniformly random.
    pub fn from_key(key: [u8; KEY_LEN]) -> Result<Self, VaultError> {
        let key = Zeroizing::new(key);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key.as_slice());
        let mut seal = Zeroizing::new([0; KEY_LEN]);
        extracted
            .expand(&[b"parlour vault seal v1"], hkdf::HKDF_SHA256)
            .and_then(|material| material.fill(seal.as_mut_slice()))
            .map_err(|_| VaultError::Derive)?;
        let tag = extracted
            .expand(&[b"parlour vault tag v1"], hmac::HMAC_SHA256)
            .map_err(|_| VaultError::Derive)?
            .into();
        Ok(Self { key, seal, tag })
    }

    /// The key, to be stored in a file of mode 0600.
    pub fn key_bytes(&self) -> Zeroizing<[u8; KEY_LEN]> {
        self.key.clone()
    }

    /// Encrypts `plain`, bound to `context` (such as table, column and row), which is needed again to open it.
    /// Returns version byte, nonce (12 bytes), ciphertext and tag (16 bytes).
    pub fn seal(
        &self,
        rng: &mut impl CryptoRng,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        // Encrypted in its final place, with room for the tag, because a vector that grows would leave plain text
        // behind.
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_LEN);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, text) = sealed.split_at_mut(1 + NONCE_LEN);
        let tag =
            content_cipher::encrypt(&self.seal, &nonce, context, text).map_err(|_| VaultError::TooLong)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens a value that [`Vault::seal`] made for the same context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, ciphertext, tag) = layout(sealed).ok_or(VaultError::Layout)?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        content_cipher::decrypt(&self.seal, nonce, context, &mut text, tag)
            .map_err(|_| VaultError::Altered)?;
        Ok(text)
    }

    /// A tag for finding equal labels without storing them: HMAC-SHA256, 32 bytes.
    pub fn tag(&self, label: &[u8]) -> [u8; 32] {
        let mac = hmac::sign(&self.tag, label);
        // An HMAC-SHA256 tag always has 32 bytes; zip copies it without an error to handle.
        let mut tag = [0; 32];
        tag.iter_mut().zip(mac.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

type Parts<'a> = (&'a [u8; NONCE_LEN], &'a [u8], &'a [u8; TAG_LEN]);

fn layout(sealed: &[u8]) -> Option<Parts<'_>> {
    let (VERSION, rest) = sealed.split_first().map(|(version, rest)| (*version, rest))? else {
        return None;
    };
    let (nonce, rest) = rest.split_first_chunk()?;
    let (ciphertext, tag) = rest.split_last_chunk()?;
    Some((nonce, ciphertext, tag))
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Left out: key, seal, tag.
        formatter.debug_struct("Vault").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vault(byte: u8) -> Vault {
        Vault::from_key([byte; KEY_LEN]).unwrap()
    }

    #[test]
    fn a_generated_vault_comes_back_from_its_key() {
        let first = Vault::generate(&mut rand::rng()).unwrap();
        let again = Vault::from_key(*first.key_bytes()).unwrap();
        let sealed = first.seal(&mut rand::rng(), b"row 1", b"hello").unwrap();
        assert_eq!(again.open(b"row 1", &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(again.tag(b"sam"), first.tag(b"sam"));
    }

    #[test]
    fn another_key_or_context_does_not_open() {
        let sealed = vault(1).seal(&mut rand::rng(), b"row 1", b"hello").unwrap();
        assert_eq!(vault(1).open(b"row 2", &sealed), Err(VaultError::Altered));
        assert_eq!(vault(2).open(b"row 1", &sealed), Err(VaultError::Altered));
    }

    #[test]
    fn another_version_or_too_few_bytes_are_named_as_an_unknown_layout() {
        let mut sealed = vault(1).seal(&mut rand::rng(), b"", b"").unwrap();
        assert_eq!(sealed.len(), 1 + NONCE_LEN + TAG_LEN);
        for length in 0..sealed.len() {
            assert_eq!(vault(1).open(b"", &sealed[..length]), Err(VaultError::Layout));
        }
        sealed[0] = 2;
        assert_eq!(vault(1).open(b"", &sealed), Err(VaultError::Layout));
    }

    /// The expected values were computed with Python's hmac and hashlib from RFC 5869 and RFC 2104.
    #[test]
    fn the_derived_keys_are_those_of_hkdf_sha256() {
        let tag: [u8; 32] = [
            0x8c, 0x53, 0x13, 0x53, 0xd8, 0xb0, 0x4b, 0xd4, 0xc6, 0x4f, 0xdc, 0xde, 0xa0, 0x01, 0xcd, 0x5f,
            0xff, 0x0c, 0x4c, 0xff, 0x44, 0x3f, 0x61, 0x34, 0x69, 0x5a, 0x4b, 0x35, 0x8e, 0x37, 0xdc, 0x67,
        ];
        let seal: [u8; 32] = [
            0xc0, 0x6a, 0x59, 0xe3, 0x2a, 0xf9, 0xf5, 0x61, 0x23, 0x66, 0x55, 0xfd, 0xf4, 0xb4, 0xa2, 0x7e,
            0x97, 0x9a, 0x61, 0xd9, 0x9a, 0x87, 0xa0, 0x4b, 0xa6, 0x28, 0xb7, 0xd6, 0x36, 0x92, 0xc3, 0x81,
        ];
        assert_eq!(vault(1).tag(b"sam"), tag);
        assert_eq!(*vault(1).seal, seal);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", vault(1)), "Vault { .. }");
    }

    proptest! {
        #[test]
        fn a_sealed_value_opens(context: Vec<u8>, plain: Vec<u8>) {
            let sealed = vault(1).seal(&mut rand::rng(), &context, &plain).unwrap();
            let opened = vault(1).open(&context, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plain);
        }

        #[test]
        fn no_bit_can_be_changed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut sealed = vault(1).seal(&mut rand::rng(), b"row", b"hello").unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(vault(1).open(b"row", &sealed).is_err());
        }
    }
}
