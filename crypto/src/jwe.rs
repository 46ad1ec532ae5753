//! Encrypts and decrypts sealed envelopes (JWE, RFC 7516) for exactly two readers, with RSA-OAEP-256 and A256GCM.
//! [`SealedMessage`] is their form.

use parlour_envelope::base64url;
use parlour_protocol::{MessageId, SealedMessage, SealedParts};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::account_key::AccountKey;
use crate::content_cipher::{self, KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::private_key::KeyFailure;
use crate::wrapping_key::WrappingKey;

/// The reader who opens an envelope, which decides which of its two wrapped keys is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The recipient of the message: `key1`, the first in `recipients`.
    Recipient,
    /// The sender of the message: `key2`, the second in `recipients`.
    Sender,
}

/// The reasons why an envelope cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It names another key than the given one.
    #[error("not sealed for this key")]
    NotForThisKey,
    /// Wrapped key, header, ciphertext or tag do not match. The part is deliberately not named.
    #[error("altered")]
    Altered,
}

/// Encrypts `content` for two readers, in the order recipient, sender. `id` and `commitment` are in the protected
/// header, which everybody can read.
pub(crate) fn encrypt(
    rng: &mut impl CryptoRng,
    id: MessageId,
    commitment: &[u8; 32],
    content: &[u8],
    readers: [&WrappingKey; 2],
) -> Result<SealedMessage, KeyFailure> {
    let protected = SealedMessage::protected_header(id, commitment);
    let mut cek = Zeroizing::new([0; KEY_LEN]);
    rng.fill_bytes(cek.as_mut_slice());
    let mut iv = [0; NONCE_LEN];
    rng.fill_bytes(&mut iv);
    let mut text = content.to_vec();
    let tag = content_cipher::encrypt(&cek, &iv, protected.as_bytes(), &mut text)
        .map_err(|_| KeyFailure::Encrypt)?;

    let [recipient, sender] = readers;
    let wrap = |reader: &WrappingKey| reader.wrap_cek(&cek).map(base64url::encode);
    let (recipient_key, sender_key) = (wrap(recipient)?, wrap(sender)?);
    let [iv, text, tag] = [iv.as_slice(), &text, &tag].map(base64url::encode);
    SealedMessage::from_members(&SealedParts {
        protected: &protected,
        recipients: [(recipient.kid(), &recipient_key), (sender.kid(), &sender_key)],
        iv: &iv,
        ciphertext: &text,
        tag: &tag,
    })
    .map_err(|_| KeyFailure::Encrypt)
}

/// Decrypts with the wrapped key in the role's place, which must name `key`.
///
/// A wrapped key that cannot be opened does not end the work early: decryption continues with a stand-in and fails
/// at the tag like any other alteration (RFC 7516 section 11.5).
pub(crate) fn decrypt(
    envelope: &SealedMessage,
    key: &AccountKey,
    role: Role,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let parts = envelope.parts();
    let [first, second] = parts.recipients;
    let (kid, encrypted_key) = match role {
        Role::Recipient => first,
        Role::Sender => second,
    };
    if kid != key.public().kid() {
        return Err(DecryptError::NotForThisKey);
    }
    let encrypted_key = base64url::decode(encrypted_key).ok_or(DecryptError::Altered)?;
    let iv: [u8; NONCE_LEN] = base64url::decode_array(parts.iv).ok_or(DecryptError::Altered)?;
    let tag: [u8; TAG_LEN] = base64url::decode_array(parts.tag).ok_or(DecryptError::Altered)?;
    let mut text = base64url::decode(parts.ciphertext).ok_or(DecryptError::Altered)?;

    let (cek, unwrapped) = key.unwrap_or_stand_in(&encrypted_key);
    let decrypted = content_cipher::decrypt(&cek, &iv, parts.protected.as_bytes(), &mut text, &tag);
    let text = Zeroizing::new(text);
    // One `if` for both. The second condition only matters if a stand-in ever matches by chance.
    if decrypted.is_ok() & bool::from(unwrapped) { Ok(text) } else { Err(DecryptError::Altered) }
}

#[cfg(test)]
mod tests;
