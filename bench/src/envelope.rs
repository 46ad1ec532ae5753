//! Sealed messages that nobody can open, in the form and size of real ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_protocol::MessageId;

/// Bytes of the encrypted part of a message of a hundred bytes: the claims, a certificate and a
/// signature, twice in base64.
const CIPHERTEXT: usize = 1_500;

/// The outside of a sealed message, except for its id.
pub struct Envelope {
    after: String,
}

impl Envelope {
    /// An envelope for two readers who share the account key with the thumbprint `kid`.
    pub fn new(kid: &str) -> Self {
        let key = |byte: u8| {
            let wrapped = URL_SAFE_NO_PAD.encode([byte; 384]);
            format!(r#"{{"header":{{"kid":"{kid}"}},"encrypted_key":"{wrapped}"}}"#)
        };
        let after = format!(
            r#"","recipients":[{},{}],"iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
            key(1),
            key(2),
            URL_SAFE_NO_PAD.encode([3; 12]),
            URL_SAFE_NO_PAD.encode([4; CIPHERTEXT]),
            URL_SAFE_NO_PAD.encode([5; 16])
        );
        Self { after }
    }

    /// The JWE with this id, as clients write it.
    pub fn json(&self, id: MessageId) -> String {
        let cmt = "A".repeat(43);
        let header =
            format!(r#"{{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"{id}","cmt":"{cmt}"}}"#);
        format!(r#"{{"protected":"{}{}"#, URL_SAFE_NO_PAD.encode(header), self.after)
    }
}
