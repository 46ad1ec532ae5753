//! Writes changed cells to the terminal, and rewrites rows with uncertain clusters as a whole.
//!
//! Terminals disagree about the width of some clusters: one draws a family of four in two cells, another in eight.
//! Behind such a cluster, cells that are written one by one land in the wrong place, and old content stays. So if
//! anything changes in a row that has such a cluster, or had one, the row is erased and written from its beginning, and
//! the cursor is placed again behind each cluster. Other rows cost next to nothing: only the cells that are written
//! anyway are checked.

use std::io::{self, Write};

use crossterm::cursor::MoveTo;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType as Erased};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::{Buffer, Cell, CellWidth as _};
use ratatui::layout::{Position, Size};
use ratatui::{Frame, Terminal};
use unicode_width::UnicodeWidthChar as _;

/// Draws the changes since the last call.
pub(super) fn draw<W: Write>(
    terminal: &mut Terminal<Rows<W>>,
    draw: impl Fn(&mut Frame<'_>),
) -> io::Result<()> {
    terminal.draw(&draw)?;
    loop {
        let due = std::mem::take(&mut terminal.backend_mut().due);
        if due.is_empty() {
            return Ok(());
        }
        // The same again writes nothing, and lends us the buffer; after a change of size it writes, and
        // there may be rows that are due once more.
        let mut rows = Vec::new();
        terminal.draw(|frame| {
            draw(frame);
            rows.extend(due.iter().map(|y| Row::of(frame.buffer_mut(), *y)));
        })?;
        terminal.backend_mut().write_whole(&rows)?;
    }
}

/// The terminal's output.
pub(super) struct Rows<W: Write> {
    inner: CrosstermBackend<W>,
    /// For each row, true if it has an uncertain cluster on the screen, or gets one.
    uncertain: Vec<bool>,
    /// The rows that must be rewritten as a whole.
    due: Vec<u16>,
    cursor: Position,
}

/// A whole row: its cells without those that wide ones cover, each with its column.
struct Row {
    y: u16,
    cells: Vec<(u16, Cell)>,
}

impl Row {
    fn of(buffer: &Buffer, y: u16) -> Self {
        let (mut x, right) = (buffer.area.left(), buffer.area.right());
        let mut cells = Vec::new();
        while x < right
            && let Some(cell) = buffer.cell((x, y))
        {
            let mut cell = cell.clone();
            let begin = x;
            x = x.saturating_add(cell.cell_width().max(1));
            // In the last column a cursor cannot go further, and some terminals then give the marks to the
            // character before.
            if x >= right
                && is_uncertain(&cell)
                && let Some(first) = cell.symbol().chars().next()
            {
                cell.set_char(first);
            }
            cells.push((begin, cell));
        }
        Self { y, cells }
    }
}

impl<W: Write> Rows<W> {
    pub(super) fn new(writer: W) -> Self {
        let inner = CrosstermBackend::new(writer);
        Self { inner, uncertain: Vec::new(), due: Vec::new(), cursor: Position::ORIGIN }
    }

    fn write_whole(&mut self, rows: &[Row]) -> io::Result<()> {
        for Row { y, cells } in rows {
            let mut rest = cells.as_slice();
            while let Some((x, _)) = rest.first() {
                // This erases also what the cluster before took beyond its own cells.
                queue!(self.inner, MoveTo(*x, *y), Clear(Erased::UntilNewLine))?;
                let uncertain = rest.iter().position(|(_, cell)| is_uncertain(cell));
                let (part, after) = rest.split_at(uncertain.map_or(rest.len(), |last| last + 1));
                self.inner.draw(part.iter().map(|(x, cell)| (*x, *y, cell)))?;
                rest = after;
            }
            if let Some(uncertain) = self.uncertain.get_mut(usize::from(*y)) {
                *uncertain = cells.iter().any(|(_, cell)| is_uncertain(cell));
            }
        }
        self.inner.set_cursor_position(self.cursor)
    }
}

/// True if terminals disagree about the width of a symbol: any of more than one character (letters with marks,
/// syllables, flags, joined emoji), and single emoji.
fn is_uncertain(cell: &Cell) -> bool {
    let symbol = cell.symbol();
    // Nearly all symbols, and no cluster.
    if symbol.len() < 3 {
        return false;
    }
    let mut chars = symbol.chars();
    let first = chars.next();
    chars.next().is_some()
        || first.is_some_and(|c| {
            c >= '\u{10000}' || (matches!(c, '\u{2300}'..='\u{2bff}') && c.width() == Some(2))
        })
}

impl<W: Write> Write for Rows<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.inner)
    }
}

impl<W: Write> Backend for Rows<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let Self { inner, uncertain, due, .. } = self;
        inner.draw(content.filter(|(_, y, cell)| {
            let row = usize::from(*y);
            if !uncertain.get(row).is_some_and(|row| *row) {
                if !is_uncertain(cell) {
                    return true;
                }
                if uncertain.len() <= row {
                    uncertain.resize(row + 1, false);
                }
                if let Some(row) = uncertain.get_mut(row) {
                    *row = true;
                }
            }
            if due.last() != Some(y) {
                due.push(*y);
            }
            false
        }))
    }

    fn append_lines(&mut self, count: u16) -> io::Result<()> {
        self.inner.append_lines(count)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        self.inner.set_cursor_position(self.cursor)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        if region == ClearType::All {
            self.uncertain.clear();
            self.due.clear();
        }
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests;
