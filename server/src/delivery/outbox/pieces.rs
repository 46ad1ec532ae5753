//! The bytes of an outbox, in pieces of bounded size.

use std::collections::VecDeque;

/// Bytes of memory that are kept for the next lines: a short message needs no new allocation, and a session that
/// was busy once does not hold more for ever.
const KEPT: usize = 512;

/// Bytes after which further lines begin a new piece: more than is usually sent at once. A single growing piece
/// would be moved again and again, and fragment the memory.
const FIRST_PIECE: usize = 62 * 1024;

/// Bytes of memory of each further piece; only slow readers have such pieces.
const PIECE: usize = 16 * 1024;

/// Bytes of a piece that stay free, for a line that is longer than the rest of the piece.
const SPARE: usize = 1_024;

/// Consecutive lines that are sent together.
#[derive(Default)]
struct Piece {
    lines: Vec<u8>,
    /// The bytes of events among them; replies do not count against the limit.
    events: usize,
}

/// Lines that wait to be taken, and the count of those that were taken and are being written.
#[derive(Default)]
pub(super) struct Pieces {
    /// Pieces that are full, oldest first.
    full: VecDeque<Piece>,
    /// The piece after the full ones.
    last: Piece,
    /// Bytes of all pieces.
    bytes: usize,
    /// The bytes of events among them.
    events: usize,
    /// Bytes that were taken and are being written.
    writing: usize,
    /// The bytes of events among those.
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

    /// Moves the oldest lines into `buffer`, replacing its content. Returns false if there are none.
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

    /// Notes that everything taken was written. Returns true if that was anything.
    pub(super) fn written(&mut self) -> bool {
        self.writing_events = 0;
        std::mem::take(&mut self.writing) > 0
    }

    /// Bytes that have not been taken yet.
    pub(super) const fn waiting(&self) -> usize {
        self.bytes
    }

    /// Bytes that wait or are being written.
    pub(super) const fn used(&self) -> usize {
        self.bytes + self.writing
    }

    /// The bytes of events among those.
    pub(super) const fn used_by_events(&self) -> usize {
        self.events + self.writing_events
    }

    /// Drops the lines that have not been taken yet.
    pub(super) fn forget_waiting(&mut self) {
        self.full = VecDeque::new();
        self.last = Piece::default();
        self.bytes = 0;
        self.events = 0;
    }
}
