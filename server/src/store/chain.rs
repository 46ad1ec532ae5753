//! The hashes that reveal changed rows. Messages are chained within their conversation, and so are revocations and
//! the entries of the audit log.

use aws_lc_rs::digest::{Context, SHA256};
use parlour_protocol::{Body, Message};

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// The hash before the first row.
pub(super) const GENESIS: Hash = [0; 32];

/// SHA-256 over the hash of the row before and the fields of this row, each preceded by its length
/// (8 bytes, big-endian).
pub(super) struct Link(Context);

impl Link {
    /// Begins the hash of a row that comes after the one whose hash is `before`.
    pub(super) fn after(before: &Hash) -> Self {
        let mut link = Self(Context::new(&SHA256));
        link.field(before);
        link
    }

    /// Adds a field.
    pub(super) fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// Finishes the row's hash.
    pub(super) fn hash(self) -> Hash {
        let mut hash = GENESIS;
        hash.copy_from_slice(self.0.finish().as_ref()); // both have 32 bytes
        hash
    }
}

/// The hash of a message that comes after the one whose hash is `before`.
pub(super) fn link(before: &Hash, message: &Message) -> Hash {
    let mut link = Link::after(before);
    link.field(&message.seq.to_be_bytes());
    link.field(message.id.as_bytes());
    link.field(message.from.as_str().as_bytes());
    link.field(message.to.to_string().as_bytes());
    link.field(&message.time.as_millis().to_be_bytes());
    match &message.body {
        Body::Text(text) => link.field(text.as_str().as_bytes()),
        Body::Sealed(sealed) => {
            link.field(sealed.rest_json().as_bytes());
            link.field(sealed.key1().json.as_bytes());
            link.field(sealed.key2().json.as_bytes());
        }
        // Never posted, and therefore never stored.
        Body::Unknown => {}
    }
    link.hash()
}
