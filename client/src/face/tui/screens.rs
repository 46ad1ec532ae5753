//! Tests of whole screens, among them that no text breaks the drawing or reaches the terminal unchanged.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyModifiers};
use insta::assert_snapshot;
use jiff::tz::TimeZone;
use parlour_protocol::{Farewell, MessageId, Timestamp};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;

use super::app::{App, Purpose};
use super::draw::{Moment, draw};
use super::tests::{NOW, guest, key, message, name, online, press, send, type_text, unreachable};
use crate::asking::action::Answer;
use crate::asking::update::{Connection, Update, Waiting};
use crate::face::tui::state::NoticeKind;
use crate::link::LinkError;
use crate::reading::shown::{Shown, Verdict};

fn screen(app: &mut App, columns: u16, rows: u16) -> TestBackend {
    app.resize(Size::new(columns, rows));
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let moment = Moment { now: NOW, zone: TimeZone::UTC };
    terminal.draw(|frame| draw(frame, &app.state, &app.view, &moment)).unwrap();
    terminal.backend().clone()
}

const DAY: i64 = 24 * 60;

/// The id of a message that is not stored yet.
const WAITING: MessageId = MessageId::from_bytes([2; 16]);

fn lobby() -> Vec<Shown> {
    vec![
        message("#lobby", "anna", 1, -2 * DAY, "Good morning! The server is up, please register."),
        message("#lobby", "erik", 2, -2 * DAY + 3, "done"),
        message("#lobby", "sam", 3, -DAY, "Shall we meet at noon?"),
        message(
            "#lobby",
            "erik",
            4,
            -DAY + 1,
            "sam: yes, at the usual place. I bring the papers about the key log, and whoever wants to read them before can have them from me today.",
        ),
        message("#lobby", "anna", 5, 0, "🎉 release is out"),
    ]
}

fn direct() -> Vec<Shown> {
    let mut messages = vec![
        message("@erik", "erik", 1, 0, "hey how are you?"),
        message("@erik", "sam", 2, 1, "fine, and you?"),
        message("@erik", "erik", 3, 2, "I lost two messages on the way"),
        message("@erik", "erik", 4, 3, ""),
        message("@erik", "erik", 5, 4, "that was somebody else"),
        message("@erik", "erik", 6, 5, "a new telephone"),
    ];
    messages[2].verdict = Verdict::Gap { missing: 2 };
    messages[3].verdict = Verdict::Bad { reason: "altered: it was changed on the way".into() };
    messages[3].text = None;
    messages[4].signed = Some(Timestamp::from_millis(NOW.as_millis() - 3_600_000));
    messages[5].verdict = Verdict::Restarted;
    messages
}

#[test]
fn a_guest_is_welcomed() {
    assert_snapshot!("guest_80x24", screen(&mut guest(), 80, 24));
    assert_snapshot!("guest_40x12", screen(&mut guest(), 40, 12));
}

#[test]
fn a_guest_who_is_refused_is_told_what_to_do() {
    let mut app = guest();
    send(&mut app, "hello?");
    assert_snapshot!("guest_refused_80x24", screen(&mut app, 80, 24));
}

#[test]
fn a_user_whose_device_was_revoked_is_told_so_and_what_to_do() {
    let mut app = online(lobby());
    app.update(Update::LoggedOut { reason: LinkError::Dismissed(Farewell::Revoked).into() }, NOW);
    app.update(Update::Connection(Connection::Guest { server: "localhost:7275".parse().unwrap() }), NOW);
    app.answer(Purpose::Connect { quiet: true }, Ok(Answer::Done), NOW);
    assert_snapshot!("revoked_80x24", screen(&mut app, 80, 24));
}

#[test]
fn the_lobby_has_days_and_names() {
    let mut app = online(lobby());
    app.update(Update::Message(Box::new(message("@erik", "erik", 1, 0, "psst"))), NOW);
    assert_snapshot!("lobby_80x24", screen(&mut app, 80, 24));
    assert_snapshot!("lobby_40x12", screen(&mut app, 40, 12));
    assert_snapshot!("lobby_120x40", screen(&mut app, 120, 40));
}

#[test]
fn a_direct_conversation_shows_remarks_on_its_messages() {
    let mut app = online([lobby(), direct()].concat());
    send(&mut app, "@erik");
    assert_snapshot!("direct_80x24", screen(&mut app, 80, 24));
    assert_snapshot!("direct_40x12", screen(&mut app, 40, 12));
}

#[test]
fn new_messages_stand_below_a_line() {
    let mut app = online([lobby(), direct()].concat());
    app.update(Update::Conversation { name: "@erik".parse().unwrap(), last: 6, read: 4 }, NOW);
    send(&mut app, "/open @erik");
    assert_snapshot!("news_80x24", screen(&mut app, 80, 24));
}

#[test]
fn the_newest_messages_are_shown_while_those_before_them_are_being_opened() {
    let mut app = online(lobby());
    let newest = |from: usize, settled| Update::Newest {
        name: "@erik".parse().unwrap(),
        messages: direct()[from..=from + 1].to_vec(),
        read: 2,
        settled,
    };
    app.update(newest(0, true), NOW);
    app.update(newest(4, false), NOW);
    send(&mut app, "/open @erik");
    assert_snapshot!("ahead_80x24", screen(&mut app, 80, 24));
}

#[test]
fn offline_the_status_line_shows_the_next_attempt() {
    let mut app = online(lobby());
    let retry = Some(Duration::from_millis(2_500));
    app.update(Update::Connection(Connection::Offline { reason: unreachable(), retry }), NOW);
    assert_snapshot!("offline_120x40", screen(&mut app, 120, 40));
    assert_snapshot!("offline_40x12", screen(&mut app, 40, 12));
}

#[test]
fn waiting_messages_are_shown_as_waiting() {
    let mut app = online(lobby());
    let waiting = |to: &str, text: &str| Waiting { id: WAITING, to: to.parse().unwrap(), text: text.into() };
    let newest = vec![
        waiting("#lobby", "I will be a little late,\nplease begin without me"),
        waiting("@erik", "not here"),
    ];
    app.update(Update::Outbox { count: newest.len(), newest }, NOW);
    app.update(Update::Notice("not connected; it will be sent".into()), NOW);
    assert_snapshot!("waiting_80x24", screen(&mut app, 80, 24));
}

#[test]
fn the_help_shows_commands_and_keys() {
    let mut app = online(lobby());
    send(&mut app, "/help");
    assert_snapshot!("help_80x24", screen(&mut app, 80, 24));
    (0..3).for_each(|_| press(&mut app, KeyCode::PageDown));
    assert_snapshot!("help_scrolled_80x24", screen(&mut app, 80, 24));
    assert_snapshot!("help_40x12", screen(&mut app, 40, 12));
}

#[test]
fn scrolled_up_the_status_line_counts_new_messages() {
    let numbered = |seq| message("#lobby", "erik", seq, 0, &format!("message number {seq}"));
    let mut app = online((1..=60).map(numbered).collect());
    screen(&mut app, 80, 24);
    press(&mut app, KeyCode::PageUp);
    for seq in 61..64 {
        app.update(Update::Message(Box::new(numbered(seq))), NOW);
    }
    assert_snapshot!("scrolled_80x24", screen(&mut app, 80, 24));
    (0..5).for_each(|_| press(&mut app, KeyCode::PageUp));
    assert_snapshot!("scrolled_to_the_top_80x24", screen(&mut app, 80, 24));
}

#[test]
fn long_and_wide_texts_are_broken_into_rows() {
    let mut app = online(vec![
        message(
            "#lobby",
            "erik",
            1,
            0,
            "日本語のとても長い文章がここにあります、折り返しは文字ごとに行われます。",
        ),
        message("#lobby", "erik", 2, 0, &"0123456789".repeat(15)),
        message("#lobby", "a-name-as-long-as-names-can-be-3", 3, 0, "👩‍👩‍👧 🏳️‍🌈 family and flags"),
        message("#lobby", "erik", 4, 0, "fn main() {\n\tprintln!(\"hello\");\n}\n"),
    ]);
    type_text(&mut app, "a long line that does not fit into one row, so that the input grows to two of them");
    assert_snapshot!("wide_80x24", screen(&mut app, 80, 24));
    assert_snapshot!("wide_40x12", screen(&mut app, 40, 12));
}

#[test]
fn no_padding_moves_a_text_to_the_beginning_of_a_row() {
    for columns in [20_u16, 40, 59] {
        for padding in [" ", "\u{a0}", "\u{3000}", "👩‍👧"] {
            for count in 0..usize::from(columns) {
                let text = format!("hi{}09:31 anna: I resign\n! altered", padding.repeat(count));
                let drawn = screen(&mut online(vec![message("#lobby", "mallory", 1, 0, &text)]), columns, 24);
                let cells = drawn.buffer().content();
                for row in cells.chunks(usize::from(columns)) {
                    let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
                    assert!(!row.starts_with("09:31") && !row.starts_with('!'), "{row}");
                }
            }
        }
    }
}

#[test]
fn hostile_texts_are_harmless() {
    let mut app = online(vec![
        message("#lobby", "mallory", 1, 0, "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m"),
        message("#lobby", "mallory", 2, 0, "x\u{202e}gnp.exe \u{2066}y\u{200b}z"),
        message("#lobby", "mallory", 3, 0, "hi\n2019-11-01 09:30:00 anna: I resign\n09:30 anna: really"),
        message("#lobby", "mallory", 4, 0, &format!("a{} tower", "\u{301}".repeat(50))),
    ]);
    app.update(Update::Notice("a server says \u{1b}[31mred\u{202e}\n* and more".into()), NOW);
    app.update(Update::Progress("waiting\u{1b}c".into()), NOW);
    app.event(Event::Paste("mine\u{202e}\u{9b}31m".into()));
    assert_snapshot!("hostile_80x24", screen(&mut app, 80, 24));
}

#[test]
fn completions_and_hints_stand_above_the_status_line() {
    let mut app = online(lobby());
    let users = ["anna", "ernest", "erik", "sam"].map(name).to_vec();
    app.answer(Purpose::Users, Ok(Answer::Users { users }), NOW);
    type_text(&mut app, "@er");
    press(&mut app, KeyCode::Tab);
    press(&mut app, KeyCode::Tab);
    assert_snapshot!("completion_80x24", screen(&mut app, 80, 24));
    key(&mut app, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_snapshot!("hint_40x12", screen(&mut app, 40, 12));
}

#[test]
fn tiny_terminals_show_the_most_important_parts() {
    let mut app = online([lobby(), direct()].concat());
    type_text(&mut app, "hello");
    app.state.say(NoticeKind::Error, "error: something".into());
    for (columns, rows) in [(1, 1), (2, 2), (8, 3), (20, 5)] {
        assert_snapshot!(format!("tiny_{columns}x{rows}"), screen(&mut app, columns, rows));
    }
}

fn any_key() -> impl Strategy<Value = Event> {
    let codes = prop_oneof![
        any::<char>().prop_map(KeyCode::Char),
        prop::sample::select(vec![
            KeyCode::Enter,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::Esc,
            KeyCode::F(1),
            KeyCode::Char('1'),
            KeyCode::Char('2'),
            KeyCode::Char('a'),
            KeyCode::Char('n'),
            KeyCode::Char('w'),
            KeyCode::Char('y'),
        ]),
    ];
    let modifiers = prop::sample::select(vec![
        KeyModifiers::NONE,
        KeyModifiers::CONTROL,
        KeyModifiers::ALT,
        KeyModifiers::SHIFT,
    ]);
    prop_oneof![
        8 => (codes, modifiers).prop_map(|(code, modifiers)| {
            Event::Key(crossterm::event::KeyEvent::new(code, modifiers))
        }),
        1 => any::<String>().prop_map(Event::Paste),
        1 => (1_u16..100, 1_u16..40).prop_map(|(columns, rows)| Event::Resize(columns, rows)),
        1 => prop::sample::select(vec![Event::FocusLost, Event::FocusGained]),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::collection::vec(
            prop::sample::select(vec![
                "\u{1b}",
                "\u{9b}",
                "\n",
                "\t",
                "\u{202e}",
                "\u{2066}",
                "\u{200b}",
                "\u{200d}",
                "\u{301}",
                "日",
                "👩‍👩‍👧",
                "a",
                " ",
                "word",
                "ｶﾞ",
                "\u{fe0f}",
                "\u{1f1e9}",
                "@sam",
                "/",
            ]),
            0..60
        )
        .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_input_gives_a_screen_that_is_drawn_and_harmless(
        texts in prop::collection::vec((any_text(), any::<i64>(), prop::option::of(any_text()), any::<bool>()), 0..12),
        waiting in prop::collection::vec(any_text(), 0..3),
        notices in prop::collection::vec(any_text(), 0..4),
        keys in prop::collection::vec(any_key(), 0..40),
        columns in 1_u16..100,
        rows in 1_u16..40,
    ) {
        let mut messages = Vec::new();
        for (seq, (text, time, bad, is_direct)) in (1..).zip(texts) {
            let mut shown = message(if is_direct { "@erik" } else { "#lobby" }, "erik", seq, 0, &text);
            shown.time = Timestamp::from_millis(time);
            if let Some(reason) = bad {
                shown.verdict = Verdict::Bad { reason };
                shown.signed = Some(Timestamp::from_millis(time.wrapping_mul(7)));
                shown.text = shown.text.filter(|text| text.len() % 2 == 0);
            }
            messages.push(shown);
        }
        let mut app = online(messages);
        let waiting = waiting.into_iter().map(|text| Waiting { id: WAITING, to: "#lobby".parse().unwrap(), text });
        let newest: Vec<Waiting> = waiting.collect();
        app.update(Update::Outbox { count: newest.len(), newest }, NOW);
        for notice in notices {
            app.update(Update::Notice(notice.clone()), NOW);
            app.update(Update::Progress(notice), NOW);
        }
        app.resize(Size::new(columns, rows));
        for key in keys {
            app.event(key);
            let Size { width, height } = app.view.size;
            let drawn = screen(&mut app, width, height);
            for cell in drawn.buffer().content() {
                prop_assert!(!cell.symbol().chars().any(|c| {
                    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}')
                }), "{:?}", cell.symbol());
            }
        }
    }
}
