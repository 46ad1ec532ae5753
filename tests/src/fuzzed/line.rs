//! Cutting bytes into lines.

use std::cell::RefCell;

use parlour_protocol::{LineFault, LineSplitter};

/// Short, so that lines beyond it are short as well: inputs of 64 bytes contain every case, and hundreds of
/// thousands run in a second.
const LONGEST: usize = 16;

thread_local! {
    /// One for all runs, like a long connection: each run ends at the end of a line.
    static SPLITTER: RefCell<LineSplitter> = RefCell::new(LineSplitter::new(LONGEST));
}

/// Bytes from the network, in pieces whose lengths follow from the first byte. However they are cut, the lines are
/// those that the rules give when each line is judged by itself. Allocates no memory.
pub fn line(bytes: &[u8]) {
    let Some((pieces, bytes)) = bytes.split_first() else { return };
    SPLITTER.with_borrow_mut(|splitter| {
        let mut expected = expected(bytes);
        let sizes = [usize::from(pieces & 15) + 1, usize::from(pieces >> 4) * 4 + 1];
        let mut sizes = sizes.iter().cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = sizes.next().copied().unwrap_or(1).min(rest.len());
            let (piece, later) = rest.split_at(size);
            splitter.feed(piece);
            while let Some(line) = splitter.next_line() {
                assert_eq!(Some(line), expected.next());
            }
            rest = later;
        }
        assert_eq!(None, expected.next());
        end_the_line(splitter, last_of(bytes));
    });
}

/// At the end of the input, a line feed ends the line that has begun.
fn end_the_line(splitter: &mut LineSplitter, begun: &[u8]) {
    assert_eq!(splitter.is_empty(), begun.is_empty());
    splitter.feed(b"\n");
    if begun.len() <= LONGEST + 1 {
        assert_eq!(splitter.next_line(), Some(judged(begun)));
    }
    assert_eq!(splitter.next_line(), None);
    assert!(splitter.is_empty());
}

/// The bytes after the last line feed.
fn last_of(bytes: &[u8]) -> &[u8] {
    bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// The results for these bytes: every line that has ended, and one that is already too long.
fn expected(bytes: &[u8]) -> impl Iterator<Item = Result<&str, LineFault>> {
    let begun = last_of(bytes);
    let ended = bytes.len().checked_sub(begun.len() + 1).and_then(|end| bytes.get(..end));
    let ended = ended.into_iter().flat_map(|lines| lines.split(|byte| *byte == b'\n')).map(judged);
    // A CR at the end may turn out to be part of the line's end.
    ended.chain((begun.len() > LONGEST + 1).then_some(Err(LineFault::TooLong)))
}

/// A line without its line feed, judged by the rules.
fn judged(line: &[u8]) -> Result<&str, LineFault> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LONGEST {
        return Err(LineFault::TooLong);
    }
    let text = str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(LineFault::ControlCharacter);
    }
    Ok(text)
}
