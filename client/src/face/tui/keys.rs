//! The keys and their meanings.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::composer::Edit;

/// The meaning of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Press {
    Insert(char),
    Edit(Edit),
    Send,
    LineBreak,
    Up,
    Down,
    Complete,
    CompleteBack,
    PreviousConversation,
    NextConversation,
    /// The conversation with this number, counted from 0.
    Conversation(usize),
    NextUnread,
    PageUp,
    PageDown,
    RowUp,
    RowDown,
    End,
    Escape,
    Help,
    Interrupt,
    EndOfInput,
    Leave,
    Suspend,
    Redraw,
}

/// All keys, as the help shows them.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Enter", "send"),
    ("Alt-Enter", "line break in the message"),
    ("Tab, Shift-Tab", "complete a command, a name, a conversation"),
    ("Up, Down", "lines sent before"),
    ("Alt-Up, Alt-Down", "previous, next conversation (also Ctrl-P, Ctrl-N)"),
    ("Alt-1 to Alt-9", "conversation by its number"),
    ("Alt-A", "next conversation with unread messages"),
    ("PgUp, PgDn", "scroll a page; at the top, older messages are loaded"),
    ("Ctrl-Up, Ctrl-Down", "scroll a row"),
    ("End", "back to the newest message, or to the end of the line"),
    ("Esc", "close the help, go back to the newest message, dismiss notices"),
    ("Left, Right", "move the cursor"),
    ("Ctrl-Left, Ctrl-Right", "move by words (also Alt-B, Alt-F)"),
    ("Home, Ctrl-A", "to the beginning of the line"),
    ("Ctrl-E", "to the end of the line"),
    ("Backspace, Delete", "delete a character (also Ctrl-H, Ctrl-D)"),
    ("Ctrl-W, Alt-Backspace", "cut back to a blank, to the beginning of a word"),
    ("Alt-D", "cut to the end of a word"),
    ("Ctrl-U, Ctrl-K", "cut to the beginning, to the end of the line"),
    ("Ctrl-Y", "put back what was cut"),
    ("Ctrl-L", "draw the screen again"),
    ("Ctrl-Z", "suspend; fg in the shell comes back"),
    ("F1", "help"),
    ("Ctrl-Q", "leave (also Ctrl-C twice, Ctrl-D on an empty line)"),
];

/// The meaning of a key; `None` if it has none.
pub(super) fn read(key: KeyEvent) -> Option<Press> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        // Some keyboards send both for their third level.
        KeyCode::Char(c) if control == alt => (!c.is_control()).then_some(Press::Insert(c)),
        KeyCode::Char(c) if control => with_control(c.to_ascii_lowercase()),
        KeyCode::Char(c) => with_alt(c.to_ascii_lowercase()),
        code => special(code, control, alt, key.modifiers.contains(KeyModifiers::SHIFT)),
    }
}

fn with_control(c: char) -> Option<Press> {
    Some(match c {
        'a' => Press::Edit(Edit::LineStart),
        'c' => Press::Interrupt,
        'd' => Press::EndOfInput,
        'e' => Press::Edit(Edit::LineEnd),
        'h' => Press::Edit(Edit::Backspace),
        // Some programs send this instead of a carriage return.
        'j' | 'm' => Press::Send,
        'k' => Press::Edit(Edit::CutToLineEnd),
        'l' => Press::Redraw,
        'n' => Press::NextConversation,
        'p' => Press::PreviousConversation,
        'q' => Press::Leave,
        'u' => Press::Edit(Edit::CutToLineStart),
        'w' => Press::Edit(Edit::CutBlank),
        'y' => Press::Edit(Edit::Yank),
        'z' => Press::Suspend,
        _ => return None,
    })
}

fn with_alt(c: char) -> Option<Press> {
    Some(match c {
        'a' => Press::NextUnread,
        'b' => Press::Edit(Edit::WordLeft),
        'd' => Press::Edit(Edit::CutWordRight),
        'f' => Press::Edit(Edit::WordRight),
        '1'..='9' => Press::Conversation(c.to_digit(10)?.checked_sub(1)?.try_into().ok()?),
        _ => return None,
    })
}

fn special(code: KeyCode, control: bool, alt: bool, shift: bool) -> Option<Press> {
    Some(match code {
        KeyCode::Enter if alt || shift => Press::LineBreak,
        KeyCode::Enter => Press::Send,
        KeyCode::Tab if shift => Press::CompleteBack,
        KeyCode::Tab => Press::Complete,
        KeyCode::BackTab => Press::CompleteBack,
        KeyCode::Up if alt => Press::PreviousConversation,
        KeyCode::Down if alt => Press::NextConversation,
        KeyCode::Up if control => Press::RowUp,
        KeyCode::Down if control => Press::RowDown,
        KeyCode::Up => Press::Up,
        KeyCode::Down => Press::Down,
        KeyCode::Left if control || alt => Press::Edit(Edit::WordLeft),
        KeyCode::Right if control || alt => Press::Edit(Edit::WordRight),
        KeyCode::Left => Press::Edit(Edit::Left),
        KeyCode::Right => Press::Edit(Edit::Right),
        KeyCode::Home => Press::Edit(Edit::LineStart),
        KeyCode::End => Press::End,
        KeyCode::PageUp => Press::PageUp,
        KeyCode::PageDown => Press::PageDown,
        KeyCode::Backspace if alt || control => Press::Edit(Edit::CutWord),
        KeyCode::Backspace => Press::Edit(Edit::Backspace),
        KeyCode::Delete if alt || control => Press::Edit(Edit::CutWordRight),
        KeyCode::Delete => Press::Edit(Edit::Delete),
        KeyCode::Esc => Press::Escape,
        KeyCode::F(1) => Press::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Press> {
        read(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_do_what_the_help_says() {
        let (none, control, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        for (code, modifiers, expected) in [
            (KeyCode::Char('x'), none, Press::Insert('x')),
            (KeyCode::Char('X'), KeyModifiers::SHIFT, Press::Insert('X')),
            (KeyCode::Char('@'), control | alt, Press::Insert('@')),
            (KeyCode::Enter, none, Press::Send),
            (KeyCode::Enter, alt, Press::LineBreak),
            (KeyCode::Char('p'), control, Press::PreviousConversation),
            (KeyCode::Down, alt, Press::NextConversation),
            (KeyCode::Char('1'), alt, Press::Conversation(0)),
            (KeyCode::Char('9'), alt, Press::Conversation(8)),
            (KeyCode::Char('a'), alt, Press::NextUnread),
            (KeyCode::Char('a'), control, Press::Edit(Edit::LineStart)),
            (KeyCode::Left, control, Press::Edit(Edit::WordLeft)),
            (KeyCode::Char('b'), alt, Press::Edit(Edit::WordLeft)),
            (KeyCode::Char('c'), control, Press::Interrupt),
            (KeyCode::Char('q'), control, Press::Leave),
            (KeyCode::F(1), none, Press::Help),
        ] {
            assert_eq!(press(code, modifiers), Some(expected), "{code:?} {modifiers:?}");
        }
    }

    #[test]
    fn keys_without_a_meaning_and_released_keys_do_nothing() {
        assert_eq!(press(KeyCode::Char('0'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::F(7), KeyModifiers::NONE), None);
        let mut key = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(read(key), None);
    }
}
