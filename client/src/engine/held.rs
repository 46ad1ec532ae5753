//! Messages that came while others before them were still being fetched.

use parlour_protocol::{Body, Message};

use crate::asking::asker::Answering;

/// The most messages that are held. With more, the connection begins anew and they are fetched instead.
const MOST: usize = 10_000;

/// The most bytes that held messages take, with the same consequence: about as much as [`MOST`] messages of a busy
/// lobby. Without it a server that sends the longest sealed messages could take 600 MB.
const MOST_BYTES: usize = 16 * 1_024 * 1_024;

/// A message that must wait for those before it.
pub(super) struct Held {
    pub(super) message: Message,
    /// Takes the outcome, if somebody here sent the message.
    pub(super) answer: Option<Answering>,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(super) struct HeldMessages {
    held: Vec<Held>,
    bytes: usize,
}

impl HeldMessages {
    pub(super) fn push(&mut self, held: Held) {
        self.bytes = self.bytes.saturating_add(bytes(&held.message));
        self.held.push(held);
    }

    /// True if no more can be held.
    pub(super) const fn is_full(&self) -> bool {
        self.held.len() >= MOST || self.bytes >= MOST_BYTES
    }

    /// Drops the messages that nobody here has sent.
    pub(super) fn keep_asked(&mut self) {
        self.held.retain(|held| held.answer.is_some());
        self.bytes = self.held.iter().map(|held| bytes(&held.message)).sum();
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Vec<Held> {
        std::mem::take(self).held
    }
}

fn bytes(message: &Message) -> usize {
    size_of::<Held>()
        + match &message.body {
            Body::Text(text) => text.as_str().len(),
            Body::Sealed(sealed) => sealed.as_json().len(),
            Body::Unknown => 0,
        }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::{MessageId, SafeText, Timestamp};

    use super::*;

    fn message(length: usize) -> Message {
        Message {
            to: "#lobby".parse().unwrap(),
            from: "erik".parse().unwrap(),
            seq: 1,
            id: MessageId::from_bytes([1; 16]),
            time: Timestamp::from_millis(0),
            body: Body::Text(SafeText::parse(&"x".repeat(length)).unwrap()),
        }
    }

    #[test]
    fn long_messages_are_bounded_in_bytes_and_short_ones_in_number() {
        for (length, least, most) in [(8_000, 2_000, 2_200), (1, MOST, MOST)] {
            let mut held = HeldMessages::default();
            while !held.is_full() {
                held.push(Held { message: message(length), answer: None });
            }
            // The next connection starts without those that it will fetch.
            let (answer, _asked) = tokio::sync::oneshot::channel();
            held.push(Held { message: message(length), answer: Some(answer) });
            assert!(held.is_full());
            let count = held.held.len() - 1;
            assert!((least..=most).contains(&count), "{count} of {length} bytes");
            held.keep_asked();
            assert!(!held.is_full());
            assert_eq!(held.bytes, bytes(&message(length)));
            assert_eq!(held.take().len(), 1);
        }
    }
}
