//! The hash that chains a conversation's messages, so that changed data is noticed.

use aws_lc_rs::digest::{Context, SHA256};
use parlour_protocol::{Body, Message};

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// What stands before the first message.
pub(super) const GENESIS: Hash = [0; 32];

/// SHA-256 over `before`, the hash of the message in front, and every column of this one, each with
/// its length in front (8 bytes, big-endian).
pub(super) fn link(before: &Hash, message: &Message) -> Hash {
    let mut sha = Context::new(&SHA256);
    let mut field = |bytes: &[u8]| {
        sha.update(&(bytes.len() as u64).to_be_bytes());
        sha.update(bytes);
    };
    field(before);
    field(&message.seq.to_be_bytes());
    field(message.id.as_bytes());
    field(message.from.as_str().as_bytes());
    field(message.to.to_string().as_bytes());
    field(&message.time.as_millis().to_be_bytes());
    match &message.body {
        Body::Text(text) => field(text.as_str().as_bytes()),
        Body::Sealed(sealed) => {
            field(sealed.rest_json().as_bytes());
            field(sealed.key1().json.as_bytes());
            field(sealed.key2().json.as_bytes());
        }
    }
    let mut hash = GENESIS;
    hash.copy_from_slice(sha.finish().as_ref()); // both are of 32 bytes
    hash
}
