//! Lines that arrive while the client waits for an answer.

use std::collections::VecDeque;

use super::Heard;
use super::LinkError;

/// The most bytes of lines that are kept while an answer is pending. A server queues 256 KiB for a session before it
/// counts it as a slow reader, and an answer takes half a minute at most; so an honest server, however busy,
/// stays far below. Beyond this the connection ends.
const WAITING_BYTES: usize = 16 * 1_024 * 1_024;

/// The lines that came while an answer was pending, in order.
#[derive(Default)]
pub(super) struct Waiting {
    heard: VecDeque<(Heard, usize)>,
    bytes: usize,
}

impl Waiting {
    /// Keeps a line for later. If that is more than can be kept, the connection ends.
    pub(super) fn keep(&mut self, heard: Heard, bytes: usize) -> Result<(), LinkError> {
        if self.bytes.saturating_add(bytes) > WAITING_BYTES {
            return Err(self.close(LinkError::Flooded));
        }
        self.bytes += bytes;
        self.heard.push_back((heard, bytes));
        Ok(())
    }

    /// Ends the connection once the kept lines have been read.
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
    fn lines_that_come_while_an_answer_is_pending_are_bounded_in_bytes() {
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
        // Handling a line makes room again.
        assert!(matches!(waiting.next(), Some(Heard::Event(_))));
        waiting.keep(event(), line).unwrap();
        assert_eq!(waiting.keep(event(), line), Err(LinkError::Flooded));
        for _ in 0..fit {
            assert!(matches!(waiting.next(), Some(Heard::Event(_))));
        }
        assert!(matches!(waiting.next(), Some(Heard::Closed(LinkError::Flooded))));
    }
}
