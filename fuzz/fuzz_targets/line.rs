//! Cutting bytes into lines: the result does not depend on how they arrive, and memory is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_protocol::LineSplitter;

fn all(pieces: &[&[u8]]) -> Vec<Result<String, parlour_protocol::LineFault>> {
    let mut splitter = LineSplitter::new(64);
    let mut lines = Vec::new();
    for piece in pieces {
        splitter.feed(piece);
        while let Some(line) = splitter.next_line() {
            lines.push(line.map(str::to_owned));
        }
    }
    lines
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let cut = usize::from(*cut).min(bytes.len());
    let (head, tail) = bytes.split_at(cut);
    assert_eq!(all(&[head, tail]), all(&[bytes]));
});
