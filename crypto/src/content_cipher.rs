//! AES-256-GCM in place, for envelopes and the vault.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};

/// Bytes in a key.
pub(crate) const KEY_LEN: usize = 32;
/// Bytes in a nonce. Nonces are random, so one key may encrypt at most 2^32 messages (NIST SP 800-38D 8.3).
pub(crate) const NONCE_LEN: usize = 12;
/// Bytes in a tag.
pub(crate) const TAG_LEN: usize = 16;

/// The text is longer than AES-GCM allows (64 GiB).
pub(crate) struct TooLong;

/// Tag, key, nonce, associated data and ciphertext do not match.
pub(crate) struct NotAuthentic;

/// Encrypts `text` in place and returns the tag.
pub(crate) fn encrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    text: &mut [u8],
) -> Result<[u8; TAG_LEN], TooLong> {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached(nonce.into(), associated, text.into())
        .map(Into::into)
        .map_err(|_| TooLong)
}

/// Decrypts `text` in place if the tag matches; otherwise it stays ciphertext.
pub(crate) fn decrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), NotAuthentic> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, text.into(), tag.into())
        .map_err(|_| NotAuthentic)
}
