//! Makes a text that somebody else wrote harmless to show on a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// How many marks may stand on one character before the rest is dropped.
const MARKS_ON_ONE: usize = 4;

/// Stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// `text` as one line that cannot drive a terminal or pass for something else:
///
/// - line breaks become ` ⏎ `, so that nobody can forge a line;
/// - control characters, marks that turn the direction of writing, and characters that take no room
///   become `U+FFFD`; TAB stays;
/// - of combining marks no more than four stay on a character, and none at the beginning, where they
///   would sit on what is shown before the text. Joiners count as marks and stay where one would, but not
///   after ASCII, where no script and no emoji needs them.
pub fn clean(text: &str) -> Cow<'_, str> {
    // Most of what is written here, and all of it that needs no look at what it means.
    let is_plain = |byte: u8| u8::from(matches!(byte, b' '..=b'~')) | u8::from(byte == b'\t');
    if text.bytes().fold(1, |all, byte| all & is_plain(byte)) == 1 {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut marks = MARKS_ON_ONE; // no mark at the beginning
    let mut after_ascii = true;
    for c in text.chars() {
        match c {
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                out.push_str(" ⏎ ");
                marks = MARKS_ON_ONE;
                continue;
            }
            '\t' => {
                out.push(c);
                marks = MARKS_ON_ONE;
            }
            '\u{200c}' | '\u{200d}' => {
                if marks == MARKS_ON_ONE || after_ascii {
                    continue;
                }
                out.push(c);
                marks += 1;
            }
            c if is_hidden(c) => {
                out.push(HIDDEN);
                marks = MARKS_ON_ONE;
            }
            c if c.width() == Some(0) => {
                if marks < MARKS_ON_ONE {
                    out.push(c);
                    marks += 1;
                }
            }
            c => {
                out.push(c);
                marks = 0;
            }
        }
        after_ascii = c.is_ascii();
    }
    Cow::Owned(out)
}

/// Characters that are never shown: controls, direction marks, fillers and the invisible.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in ["hello", "naïve café", "日本語", "🏳️‍🌈 👩‍👩‍👧", "ไทย", "a\tb", "क्षि"]
        {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn line_breaks_are_shown_and_not_made() {
        assert_eq!(clean("a\n2019-11-01 09:30:00 sam: b"), "a ⏎ 2019-11-01 09:30:00 sam: b");
        assert_eq!(clean("a\u{2028}b"), "a ⏎ b");
    }

    #[test]
    fn nothing_that_drives_a_terminal_or_misleads_comes_through() {
        assert_eq!(clean("\u{1b}]0;x\u{7}"), "\u{fffd}]0;x\u{fffd}");
        assert_eq!(clean("sam\u{202e}olleh"), "sam\u{fffd}olleh");
        assert_eq!(clean("sa\u{200b}m"), "sa\u{fffd}m");
        assert_eq!(clean("\u{301}x"), "x");
        let tower = format!("a{}", "\u{301}".repeat(50));
        assert_eq!(clean(&tower).chars().count(), 5);
    }

    #[test]
    fn joiners_stay_where_a_mark_would_but_not_after_ascii() {
        for kept in ["a\u{301}\u{200d}b", "\u{fffd}\u{200d}b", "می\u{200c}خواهم", "क्\u{200d}ष"]
        {
            assert_eq!(clean(kept), kept);
        }
        for (text, shown) in [
            ("a\u{200d}b", "ab"),
            ("a\u{200d}\u{200d}b", "ab"),
            ("\u{200d}b", "b"),
            ("é\n\u{200d}b", "é ⏎ b"),
            ("é\t\u{200d}b", "é\tb"),
            ("\u{202e}\u{200d}b", "\u{fffd}b"),
            ("é\u{200d}\u{200d}\u{200d}\u{200d}\u{200d}b", "é\u{200d}\u{200d}\u{200d}\u{200d}b"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_in_the_result_is_one_clean_line(text in any::<String>()) {
            let shown = clean(&text);
            prop_assert_eq!(clean(&shown), shown.as_ref());
            prop_assert!(!shown.chars().any(|c| (c.is_control() && c != '\t') || is_hidden(c)));
        }
    }
}
