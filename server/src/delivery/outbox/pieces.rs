//! The bytes of an outbox, in pieces of bounded size.

use std::collections::VecDeque;

/// Room for lines that is kept for the next ones, in bytes: a short message is passed on without asking
/// for memory, and a session that was busy once does not hold more for ever.
const KEPT: usize = 512;

/// Bytes after which the next lines begin a piece of their own: more than is usually sent at once. One piece
/// that grows on would be moved again and again, and leave holes of memory behind it.
const FIRST_PIECE: usize = 62 * 1024;

/// Bytes of memory of each further piece; there are such pieces only for a slow reader.
const PIECE: usize = 16 * 1024;

/// Bytes of a piece that stay free, for a line that is longer than the rest of the piece.
const SPARE: usize = 1_024;

/// Lines, one after the other, that are sent together.
#[derive(Default)]
struct Piece {
    lines: Vec<u8>,
    /// Bytes of them that are events; replies do not count against the limit.
    events: usize,
}

/// Lines that wait to be taken, and the count of those that were taken and are being written.
#[derive(Default)]
pub(super) struct Pieces {
    /// Pieces that are full, oldest first.
    full: VecDeque<Piece>,
    /// The piece after them.
    last: Piece,
    /// Bytes of all pieces.
    bytes: usize,
    /// Bytes of them that are events.
    events: usize,
    /// Bytes that were taken and are being written.
    writing: usize,
    /// Bytes of those that are events.
    writing_events: usize,
}

impl Pieces {
    /// Appends the lines that `write` appends.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>), is_event: bool) {
        let before = self.last.lines.len();
        write(&mut self.last.lines);
        let count = self.last.lines.len() - before;
        self.bytes += count;
        if is_event {
            self.events += count;
            self.last.events += count;
        }
        let most = if self.full.is_empty() { FIRST_PIECE } else { PIECE - SPARE };
        if self.last.lines.len() >= most {
            let next = Piece { lines: Vec::with_capacity(PIECE), events: 0 };
            self.full.push_back(std::mem::replace(&mut self.last, next));
        }
    }

    /// Takes the oldest lines into `buffer`, in place of what is in it. Returns false when there are none.
    pub(super) fn take(&mut self, buffer: &mut Vec<u8>) -> bool {
        if let Some(piece) = self.full.pop_front() {
            *buffer = piece.lines;
            self.writing_events = piece.events;
        } else if self.last.lines.is_empty() {
            return false;
        } else {
            if self.last.lines.capacity() <= KEPT {
                buffer.clear();
                buffer.append(&mut self.last.lines);
            } else {
                *buffer = std::mem::take(&mut self.last.lines);
            }
            self.writing_events = std::mem::take(&mut self.last.events);
        }
        self.writing = buffer.len();
        self.bytes -= self.writing;
        self.events -= self.writing_events;
        true
    }

    /// Notes that everything taken was written. Returns true if there was something.
    pub(super) fn written(&mut self) -> bool {
        self.writing_events = 0;
        std::mem::take(&mut self.writing) > 0
    }

    /// Bytes that nobody has taken yet.
    pub(super) const fn waiting(&self) -> usize {
        self.bytes
    }

    /// Bytes that wait or are being written.
    pub(super) const fn used(&self) -> usize {
        self.bytes + self.writing
    }

    /// Bytes of those that are events.
    pub(super) const fn used_by_events(&self) -> usize {
        self.events + self.writing_events
    }

    /// Drops the lines that nobody has taken yet.
    pub(super) fn forget_waiting(&mut self) {
        self.full = VecDeque::new();
        self.last = Piece::default();
        self.bytes = 0;
        self.events = 0;
    }
}
