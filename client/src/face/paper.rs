//! Writes lines of text: unchanged to a pipe, broken into rows to a terminal.
//!
//! If a terminal breaks a long line, the rest begins at the margin, where the client's own lines begin: a text padded
//! with blanks could pass for a line of its own. So the client breaks the line, and each row after the first begins
//! with a mark that begins no line.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use crate::face::wrap;
use crate::locale::Charset;

/// The beginning of a row that continues the one above.
const MARK: &str = "  │ ";

/// The width of a terminal that does not report it.
const COLUMNS: usize = 80;

/// Reports the number of columns; `None` if it is not a terminal.
pub type Columns = fn() -> Option<usize>;

/// A stream that lines are written to.
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    charset: Charset,
    columns: Columns,
}

impl Paper {
    /// A stream with these columns and characters.
    pub fn new(charset: Charset, columns: Columns) -> Self {
        Self { charset, columns }
    }

    /// Standard output.
    pub fn output() -> Self {
        Self::new(Charset::of_process(), || columns(&std::io::stdout()))
    }

    /// Standard error.
    pub fn errors() -> Self {
        Self::new(Charset::of_process(), || columns(&std::io::stderr()))
    }

    /// The rows of a line, without a line feed at the end.
    pub fn rows(self, line: &str) -> String {
        let Some(columns) = (self.columns)() else { return self.charset.line(line).into_owned() };
        // Replacing characters that are not ASCII makes the line longer, so that comes first. The last column stays
        // free, because some terminals go to the next row as soon as it is filled.
        let line = wrap::plain(&self.charset.line(line));
        let columns = columns.saturating_sub(1).max(1);
        let mark = if columns > 2 * MARK.chars().count() { MARK } else { "│" };
        let room = columns.saturating_sub(mark.chars().count());
        wrap::wrap_for_any(&line, columns, room).join(&format!("\n{}", self.charset.line(mark)))
    }
}

fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(stream).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { COLUMNS } else { columns })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthChar as _;

    use super::*;

    const PIPE: Paper = Paper { charset: Charset::Utf8, columns: || None };
    const NARROW: Paper = Paper { charset: Charset::Utf8, columns: || Some(20) };

    #[test]
    fn a_pipe_gets_unchanged_lines_and_a_terminal_gets_marked_rows() {
        let line = "09:30:00 erik: one two three four";
        assert_eq!(PIPE.rows(line), line);
        assert_eq!(NARROW.rows(line), "09:30:00 erik: one\n  │ two three four");
        let ascii = Paper { charset: Charset::Ascii, ..NARROW };
        assert_eq!(ascii.rows("09:30:00 erik: caf\u{e9} two"), "09:30:00 erik:\n  | caf\\u{e9} two");
    }

    #[test]
    fn no_padding_brings_a_text_to_the_margin() {
        for blank in [" ", "\u{a0}", "\u{3000}", "\t", "\u{2003}", "\u{2800}"] {
            for count in 0..45 {
                let line = format!("09:30:00 erik: hi{}09:31:00 anna: I resign", blank.repeat(count));
                let rows = NARROW.rows(&line);
                assert!(rows.split('\n').skip(1).all(|row| row.starts_with(MARK)), "{rows}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_row_is_so_long_that_a_terminal_would_break_it(text in any::<String>(), columns in 0_usize..4) {
            let columns: Columns = [|| Some(0), || Some(4), || Some(11), || Some(40)][columns];
            let limit = columns().unwrap().max(2);
            for row in (Paper { columns, ..NARROW }).rows(&parlour_protocol::clean(&text)).split('\n') {
                // Even on a terminal that joins no characters.
                let cells: usize = row.chars().map(|c| c.width().unwrap_or(0)).sum();
                prop_assert!(cells <= limit, "{cells} in {limit}: {row:?}");
            }
        }
    }
}
