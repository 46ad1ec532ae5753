use std::cell::RefCell;
use std::num::NonZero;
use std::rc::Rc;

use proptest::prelude::*;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::{TerminalOptions, Viewport};

use super::*;

const COLUMNS: u16 = 40;
const ROWS: u16 = 4;

/// The bytes that were written.
#[derive(Clone, Default)]
struct Written(Rc<RefCell<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal that counts otherwise: vt100 counts characters, where the client counts clusters.
struct Seen {
    terminal: Terminal<Rows<Written>>,
    writer: Written,
    screen: vt100::Parser,
    written: Vec<u8>,
}

impl Seen {
    fn new() -> Self {
        let viewport = Viewport::Fixed(Rect::new(0, 0, COLUMNS, ROWS));
        let writer = Written::default();
        let options = TerminalOptions { viewport };
        let terminal = Terminal::with_options(Rows::new(writer.clone()), options).unwrap();
        let [rows, columns] = [ROWS, COLUMNS].map(|count| NonZero::new(count).unwrap());
        Self { terminal, writer, screen: vt100::Parser::new(rows, columns, 0), written: Vec::new() }
    }

    fn draw(&mut self, rows: &[&str]) {
        draw(&mut self.terminal, |frame| {
            for (text, y) in rows.iter().zip(0..) {
                frame.render_widget(Line::raw((*text).to_owned()), Rect::new(0, y, COLUMNS, 1));
            }
            frame.set_cursor_position((3, 1));
        })
        .unwrap();
        self.written = std::mem::take(&mut *self.writer.0.borrow_mut());
        self.screen.process(&self.written);
    }

    fn rows(&self) -> Vec<String> {
        self.screen.screen().rows(0, COLUMNS).map(|row| row.trim_end().to_owned()).collect()
    }

    fn written(&self) -> String {
        String::from_utf8(self.written.clone()).unwrap()
    }
}

const FAMILY: &str = "👩\u{200d}👩\u{200d}👧\u{200d}👦";

#[test]
fn clusters_that_are_counted_otherwise_leave_nothing_on_the_screen() {
    let odd = [
        format!("emoji {FAMILY}{FAMILY} end"),
        "flags 🇩🇪🇫🇷🇩🇪 end".to_owned(),
        "indic नमस्ते क्षि हिन्दी end".to_owned(),
        "decomposed e\u{301}e\u{301}e\u{301} o\u{308} end".to_owned(),
        "heart \u{2764}\u{fe0f} keycap 1\u{fe0f}\u{20e3} end".to_owned(),
        "emoji alone ⏰ 👍 end".to_owned(),
    ];
    for odd in &odd {
        for after in ["hello", "emo and so on to the end of the row 123", ""] {
            let mut seen = Seen::new();
            seen.draw(&["above", odd, "below"]);
            assert!(seen.rows()[1].ends_with("end"), "{:?}", seen.rows());
            assert_eq!((seen.rows()[0].as_str(), seen.rows()[2].as_str()), ("above", "below"));
            assert_eq!(seen.screen.screen().cursor_position(), (1, 3));
            seen.draw(&["above", after, "below"]);
            assert_eq!(seen.rows()[..3], ["above", after, "below"], "after {odd}");
        }
    }
}

#[test]
fn text_behind_such_a_cluster_is_where_the_client_counts_it() {
    let mut seen = Seen::new();
    let text = format!("{FAMILY}{FAMILY}│e\u{301}e\u{301}│");
    seen.draw(&[&text]);
    let cell = |x| seen.screen.screen().cell(0, x).unwrap().contents().to_owned();
    assert_eq!((cell(4), cell(7)), ("│".to_owned(), "│".to_owned()), "{:?}", seen.rows());
}

#[test]
fn such_a_row_is_erased_once_before_it_is_written() {
    let mut seen = Seen::new();
    seen.draw(&["", "a e\u{301} b"]);
    let written = seen.written();
    assert!(written.contains("\u{1b}[2;1H\u{1b}[K\u{1b}[2;1Ha e\u{301}"), "{written:?}");
    assert_eq!(written.matches("e\u{301}").count(), 1, "{written:?}");
    // Unchanged cells are not written again.
    seen.draw(&["", "a e\u{301} b"]);
    assert!(!seen.written().contains('a'), "{:?}", seen.written());
    // The change is behind the cluster.
    seen.draw(&["", "a e\u{301} c"]);
    assert!(seen.written().contains("\u{1b}[2;1H\u{1b}[K\u{1b}[2;1Ha e\u{301}"), "{:?}", seen.written());
    // It had one until now.
    seen.draw(&["", "a b"]);
    assert!(seen.written().contains("\u{1b}[2;1H\u{1b}[K\u{1b}[2;1Ha b"), "{:?}", seen.written());
    seen.draw(&["", "a c"]);
    assert!(!seen.written().contains("\u{1b}[K"), "{:?}", seen.written());
}

#[test]
fn rows_without_such_clusters_are_written_as_before() {
    let mut seen = Seen::new();
    let writer = Written::default();
    let mut other = Terminal::with_options(
        CrosstermBackend::new(writer.clone()),
        TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, COLUMNS, ROWS)) },
    )
    .unwrap();
    for rows in [["one", "caf\u{e9} │ 日本語"], ["two", "日本語 … ⏎"], ["two", "three"]] {
        seen.draw(&rows);
        other
            .draw(|frame| {
                for (text, y) in rows.iter().zip(0..) {
                    frame.render_widget(Line::raw(*text), Rect::new(0, y, COLUMNS, 1));
                }
                frame.set_cursor_position((3, 1));
            })
            .unwrap();
        assert_eq!(seen.written, std::mem::take(&mut *writer.0.borrow_mut()));
    }
}

#[test]
fn marks_are_left_out_at_the_right_edge() {
    let mut seen = Seen::new();
    let text = format!("{}e\u{301}", "x".repeat(39));
    seen.draw(&[&text]);
    assert_eq!(seen.rows()[0], format!("{}e", "x".repeat(39)));
}

proptest! {
    #[test]
    fn a_screen_of_ascii_is_drawn_right_over_any_earlier_one(before in ".{0,12}", after in "[a-z ]{0,40}") {
        let mut seen = Seen::new();
        // This terminal leaves U+FFFD out.
        let before = parlour_protocol::clean(&before).replace('\t', " ").replace('\u{fffd}', "?");
        seen.draw(&["above", &before, "below"]);
        seen.draw(&["above", &after, "below"]);
        let rows = seen.rows();
        prop_assert_eq!(&rows[..3], ["above", after.trim_end(), "below"]);
    }
}
