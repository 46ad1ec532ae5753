//! What comes while an answer is waited for.

use std::collections::VecDeque;

use super::Heard;
use super::LinkError;

/// How many bytes of lines are kept while an answer is waited for. A server queues 256 KiB for a session before it
/// takes it for a slow reader, and an answer is waited for half a minute at most; so an honest one, however busy,
/// stays far below. Above it the connection is over.
const WAITING_BYTES: usize = 16 * 1_024 * 1_024;

/// What came while an answer was waited for, in its order.
#[derive(Default)]
pub(super) struct Waiting {
    heard: VecDeque<(Heard, usize)>,
    bytes: usize,
}

impl Waiting {
    /// Keeps something for later. With more than can be kept the connection is over.
    pub(super) fn keep(&mut self, heard: Heard, bytes: usize) -> Result<(), LinkError> {
        if self.bytes.saturating_add(bytes) > WAITING_BYTES {
            return Err(self.close(LinkError::Flooded));
        }
        self.bytes += bytes;
        self.heard.push_back((heard, bytes));
        Ok(())
    }

    /// After what is kept, this ends the connection.
    pub(super) fn close(&mut self, failure: LinkError) -> LinkError {
        self.heard.push_back((Heard::Closed(failure.clone()), 0));
        failure
    }

    pub(super) fn next(&mut self) -> Option<Heard> {
        let (heard, bytes) = self.heard.pop_front()?;
        self.bytes -= bytes;
        Some(heard)
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::{Event, Timestamp};

    use super::*;

    #[test]
    fn what_comes_while_an_answer_is_waited_for_is_bounded_in_bytes() {
        let event = || {
            let (user, device) = ("erik".parse().unwrap(), "0123456789abcdef".parse().unwrap());
            Heard::Event(Event::Revoked {
                user,
                device,
                time: Timestamp::from_millis(0),
                number: None,
                statement: None,
            })
        };
        let mut waiting = Waiting::default();
        let line = 60_000;
        let fit = WAITING_BYTES / line;
        for _ in 0..fit {
            waiting.keep(event(), line).unwrap();
        }
        // What was handled makes room again.
        assert!(matches!(waiting.next(), Some(Heard::Event(_))));
        waiting.keep(event(), line).unwrap();
        assert_eq!(waiting.keep(event(), line), Err(LinkError::Flooded));
        for _ in 0..fit {
            assert!(matches!(waiting.next(), Some(Heard::Event(_))));
        }
        assert!(matches!(waiting.next(), Some(Heard::Closed(LinkError::Flooded))));
    }
}
