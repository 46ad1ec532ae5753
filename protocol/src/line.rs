//! Cuts a stream of bytes into lines, and continues after a bad one.

use thiserror::Error;

use crate::text::has_control;

/// The reasons why a line is refused. The connection continues with the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineFault {
    /// More bytes before the line feed than allowed; they were skipped.
    #[error("line too long")]
    TooLong,
    /// Not UTF-8.
    #[error("line is not UTF-8")]
    NotUtf8,
    /// A control character other than TAB.
    #[error("line holds a control character")]
    ControlCharacter,
}

/// Collects bytes into lines. Feed it the bytes that were read, then take lines until there are no more. It never
/// holds more than one line of the greatest length and the bytes last fed.
#[derive(Debug)]
pub struct LineSplitter {
    longest: usize,
    bytes: Vec<u8>,
    /// Bytes before this were already returned.
    start: usize,
    /// Bytes before this contain no line feed.
    searched: usize,
    skipping: bool,
}

impl LineSplitter {
    /// A splitter for lines of up to `longest` bytes, not counting the line feed.
    pub fn new(longest: usize) -> Self {
        Self { longest, bytes: Vec::new(), start: 0, searched: 0, skipping: false }
    }

    /// Adds bytes as they were received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.tidy();
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns true if no line has begun: all bytes fed were returned.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len() && !self.skipping
    }

    /// The next complete line without its LF and a CR before it, a fault, or `None` when more bytes are needed.
    pub fn next_line(&mut self) -> Option<Result<&str, LineFault>> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', unsearched) else {
            self.searched = self.bytes.len();
            if self.skipping {
                self.drop_held();
                return None;
            }
            // A CR at the end may turn out to be part of the line's end.
            if self.bytes.len() - self.start > self.longest + 1 {
                self.drop_held();
                self.skipping = true;
                return Some(Err(LineFault::TooLong));
            }
            return None;
        };
        let end = self.searched + found;
        let begin = std::mem::replace(&mut self.start, end + 1);
        self.searched = end + 1;
        if std::mem::take(&mut self.skipping) {
            return self.next_line();
        }
        let line = self.bytes.get(begin..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(check(line, self.longest))
    }

    /// Returns the bytes that were fed and not returned yet, for reading on in another way.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.bytes.split_off(self.start)
    }

    fn drop_held(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.searched = 0;
    }

    /// Moves the remaining bytes to the front, and frees memory after a long line.
    fn tidy(&mut self) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        if self.bytes.is_empty() && self.bytes.capacity() > 4_096 {
            self.bytes = Vec::new();
        }
    }
}

fn check(line: &[u8], longest: usize) -> Result<&str, LineFault> {
    if line.len() > longest {
        return Err(LineFault::TooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
    if has_control(text, b"\t") {
        return Err(LineFault::ControlCharacter);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(splitter: &mut LineSplitter) -> Vec<Result<String, LineFault>> {
        let mut lines = Vec::new();
        while let Some(line) = splitter.next_line() {
            lines.push(line.map(str::to_owned));
        }
        lines
    }

    #[test]
    fn lines_are_cut_at_line_feeds_and_lose_a_carriage_return() {
        let mut splitter = LineSplitter::new(10);
        splitter.feed(b"a\r\nb\n\nc");
        assert_eq!(all(&mut splitter), [Ok("a".into()), Ok("b".into()), Ok(String::new())]);
        assert!(!splitter.is_empty());
        splitter.feed(b"d\n");
        assert_eq!(all(&mut splitter), [Ok("cd".into())]);
        assert!(splitter.is_empty());
    }

    #[test]
    fn a_line_of_the_longest_length_is_taken_and_one_byte_more_is_not() {
        let mut splitter = LineSplitter::new(4);
        splitter.feed(b"1234\r\n12345\n1234\n");
        assert_eq!(all(&mut splitter), [Ok("1234".into()), Err(LineFault::TooLong), Ok("1234".into())]);
    }

    #[test]
    fn bytes_that_were_not_returned_can_be_taken_back() {
        let mut splitter = LineSplitter::new(10);
        splitter.feed(b"one\ntwo\nthr");
        assert_eq!(splitter.next_line(), Some(Ok("one")));
        assert_eq!(splitter.into_rest(), b"two\nthr");
    }

    #[test]
    fn an_endless_line_is_one_fault_and_is_not_kept() {
        let mut splitter = LineSplitter::new(100);
        let mut faults = 0;
        for _ in 0..1_000 {
            splitter.feed(&[b'x'; 100]);
            faults += all(&mut splitter).len();
            assert!(splitter.bytes.len() <= 300);
        }
        assert_eq!(faults, 1);
        splitter.feed(b"tail\nnext\n");
        assert_eq!(all(&mut splitter), [Ok("next".into())]);
    }

    #[test]
    fn bad_bytes_cost_only_their_line() {
        let mut splitter = LineSplitter::new(100);
        splitter.feed(b"\xff\xfe\n\x1b[2J\nfine\ttab\na\rb\n");
        assert_eq!(
            all(&mut splitter),
            [
                Err(LineFault::NotUtf8),
                Err(LineFault::ControlCharacter),
                Ok("fine\ttab".into()),
                Err(LineFault::ControlCharacter)
            ]
        );
    }

    proptest! {
        #[test]
        fn the_cut_does_not_depend_on_how_bytes_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
            pieces in proptest::collection::vec(1_usize..40, 1..40),
        ) {
            let mut whole = LineSplitter::new(32);
            whole.feed(&bytes);
            let expected = all(&mut whole);
            let mut split = LineSplitter::new(32);
            let mut got = Vec::new();
            let mut rest = bytes.as_slice();
            for size in pieces.iter().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                split.feed(head);
                got.extend(all(&mut split));
                rest = tail;
            }
            prop_assert_eq!(got, expected);
        }
    }
}
