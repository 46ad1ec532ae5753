//! Sealed envelopes: JWE in the general JSON serialization (RFC 7516 section 7.2.1) for exactly two
//! readers, with RSA-OAEP-256 and A256GCM.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account_key::AccountKey;
use crate::account_public_key::AccountPublicKey;
use crate::base64url;
use crate::content_cipher::{self, KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::private_key::KeyFailure;
use crate::strict_json::{self, Object};

const ALG: &str = "RSA-OAEP-256";
const ENC: &str = "A256GCM";
const CTY: &str = "JWS";

/// Which of the two readers opens an envelope, and so which of its two wrapped keys is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one it was sent to: `key1`, the first in `recipients`.
    Recipient,
    /// The one who sent it: `key2`, the second in `recipients`.
    Sender,
}

/// Why an envelope could not be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// Not a JSON object with exactly the expected members, each of its form and length.
    #[error("not a JWE for two recipients")]
    Malformed,
    /// The protected header has not exactly the expected members, or one of them another value.
    #[error("the JWE's protected header is not the expected one")]
    Header,
}

/// Why an envelope could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It names another key than the one given.
    #[error("not sealed for this key")]
    NotForThisKey,
    /// Wrapped key, header, ciphertext or tag do not belong together. Which, is not told.
    #[error("altered")]
    Altered,
}

/// The protected header (RFC 7516 section 4), with `id` and `cmt` of our own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    cty: String,
    id: String,
    cmt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    protected: String,
    recipients: [Object<WireRecipient>; 2],
    iv: String,
    ciphertext: String,
    tag: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRecipient {
    header: Object<WireRecipientHeader>,
    encrypted_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRecipientHeader {
    kid: String,
}

/// Encrypts `content` for two readers, in the order recipient, sender. `id` and `commitment` stand
/// in the protected header, readable by all. Gives compact JSON on one line.
pub(crate) fn encrypt(
    rng: &mut impl CryptoRng,
    id: &str,
    commitment: &[u8; 32],
    content: &[u8],
    readers: [&AccountPublicKey; 2],
) -> Result<String, KeyFailure> {
    let header = Header {
        alg: ALG.into(),
        enc: ENC.into(),
        cty: CTY.into(),
        id: id.into(),
        cmt: base64url::encode(commitment),
    };
    let protected = base64url::encode(serde_json::to_vec(&header).map_err(|_| KeyFailure::Encrypt)?);

    let mut cek = Zeroizing::new([0; KEY_LEN]);
    rng.fill_bytes(cek.as_mut_slice());
    let mut iv = [0; NONCE_LEN];
    rng.fill_bytes(&mut iv);
    let mut text = content.to_vec();
    let tag = content_cipher::encrypt(&cek, &iv, protected.as_bytes(), &mut text)
        .map_err(|_| KeyFailure::Encrypt)?;

    let [recipient, sender] = readers;
    let wire = Wire {
        protected,
        recipients: [wrap(recipient, &cek)?, wrap(sender, &cek)?],
        iv: base64url::encode(iv),
        ciphertext: base64url::encode(text),
        tag: base64url::encode(tag),
    };
    serde_json::to_string(&wire).map_err(|_| KeyFailure::Encrypt)
}

fn wrap(reader: &AccountPublicKey, cek: &[u8; KEY_LEN]) -> Result<Object<WireRecipient>, KeyFailure> {
    Ok(Object(WireRecipient {
        header: Object(WireRecipientHeader { kid: reader.kid().to_owned() }),
        encrypted_key: base64url::encode(reader.wrap_cek(cek)?),
    }))
}

/// An envelope taken apart; nothing in it is proven before [`Jwe::decrypt`].
pub(crate) struct Jwe {
    protected: String,
    id: String,
    commitment: [u8; 32],
    recipients: [Recipient; 2],
    iv: [u8; NONCE_LEN],
    ciphertext: Vec<u8>,
    tag: [u8; TAG_LEN],
}

struct Recipient {
    kid: String,
    encrypted_key: Vec<u8>,
}

impl Jwe {
    pub(crate) fn parse(json: &str) -> Result<Self, JweError> {
        let wire: Wire = strict_json::from_object(json.as_bytes()).ok_or(JweError::Malformed)?;
        let [recipient, sender] = wire.recipients;
        let recipients = [Recipient::parse(recipient.0)?, Recipient::parse(sender.0)?];
        let (id, commitment) = read_header(&wire.protected)?;
        Ok(Self {
            protected: wire.protected,
            id,
            commitment,
            recipients,
            iv: base64url::decode_array(&wire.iv).ok_or(JweError::Malformed)?,
            ciphertext: base64url::decode(&wire.ciphertext).ok_or(JweError::Malformed)?,
            tag: base64url::decode_array(&wire.tag).ok_or(JweError::Malformed)?,
        })
    }

    /// The member `id` of the protected header.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The member `cmt` of the protected header.
    pub(crate) fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// Decrypts with the wrapped key at the role's place, which must name `key`.
    ///
    /// A wrapped key that cannot be opened does not end the work early: decryption goes on with a
    /// stand-in and fails at the tag like any other alteration (RFC 7516 section 11.5).
    pub(crate) fn decrypt(
        mut self,
        key: &AccountKey,
        role: Role,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let [first, second] = &self.recipients;
        let entry = match role {
            Role::Recipient => first,
            Role::Sender => second,
        };
        if entry.kid != key.public().kid() {
            return Err(DecryptError::NotForThisKey);
        }
        let (cek, unwrapped) = key.unwrap_or_stand_in(&entry.encrypted_key);
        let decrypted = content_cipher::decrypt(
            &cek,
            &self.iv,
            self.protected.as_bytes(),
            &mut self.ciphertext,
            &self.tag,
        );
        let text = Zeroizing::new(self.ciphertext);
        // One `if` for both: the second half only matters should a stand-in ever fit by chance.
        if decrypted.is_ok() & bool::from(unwrapped) { Ok(text) } else { Err(DecryptError::Altered) }
    }
}

impl Recipient {
    fn parse(wire: WireRecipient) -> Result<Self, JweError> {
        let encrypted_key = base64url::decode(&wire.encrypted_key).ok_or(JweError::Malformed)?;
        Ok(Self { kid: wire.header.0.kid, encrypted_key })
    }
}

fn read_header(protected: &str) -> Result<(String, [u8; 32]), JweError> {
    let json = base64url::decode(protected).ok_or(JweError::Malformed)?;
    let header: Header = strict_json::from_object(&json).ok_or(JweError::Header)?;
    if header.alg != ALG || header.enc != ENC || header.cty != CTY {
        return Err(JweError::Header);
    }
    let commitment = base64url::decode_array(&header.cmt).ok_or(JweError::Header)?;
    Ok((header.id, commitment))
}

#[cfg(test)]
mod tests;
