//! Cutting bytes into lines.

use std::cell::RefCell;

use parlour_protocol::{LineFault, LineSplitter};

/// Short, so that lines that are too long are short as well: inputs of 64 bytes hold every case, and a second takes
/// hundreds of thousands of them.
const LONGEST: usize = 16;

thread_local! {
    /// One for all runs, like a connection that lives long: each run ends with the end of a line.
    static SPLITTER: RefCell<LineSplitter> = RefCell::new(LineSplitter::new(LONGEST));
}

/// Bytes from the network, in pieces whose lengths the first byte says: the lines are those that the rules
/// say, judged one by one without any of the splitter's memory, however the bytes arrive. Asks for no memory.
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

/// What is held when the bytes are over is the beginning of a line, which a line feed ends.
fn end_the_line(splitter: &mut LineSplitter, begun: &[u8]) {
    assert_eq!(splitter.is_empty(), begun.is_empty());
    splitter.feed(b"\n");
    if begun.len() <= LONGEST + 1 {
        assert_eq!(splitter.next_line(), Some(judged(begun)));
    }
    assert_eq!(splitter.next_line(), None);
    assert!(splitter.is_empty());
}

/// What stands behind the last line feed.
fn last_of(bytes: &[u8]) -> &[u8] {
    bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// What comes of bytes: every line that has ended, and one that is too long already.
fn expected(bytes: &[u8]) -> impl Iterator<Item = Result<&str, LineFault>> {
    let begun = last_of(bytes);
    let ended = bytes.len().checked_sub(begun.len() + 1).and_then(|end| bytes.get(..end));
    let ended = ended.into_iter().flat_map(|lines| lines.split(|byte| *byte == b'\n')).map(judged);
    // A CR may still turn out to stand before the line feed.
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
