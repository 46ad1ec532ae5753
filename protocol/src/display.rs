//! Makes text from other people harmless to show on a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::limits::{JOINERS, MARKS};

/// The zero-width joiner, which joins the characters before and after it into one where it can.
const JOINER: char = '\u{200d}';

/// Shown in place of a hidden character.
const HIDDEN: char = '\u{fffd}';

/// Returns `text` as one line that cannot control a terminal or imitate something else:
///
/// - line breaks become ` ⏎ `, so that nobody can forge a line;
/// - control characters, direction marks, and characters without width become `U+FFFD`; TAB stays;
/// - at most four combining marks stay on a character, and none at the beginning, where they would combine with
///   the text shown before this one. Joiners count as marks and stay where a mark would, but not after ASCII, where
///   no script and no emoji needs them; at most ten characters are joined into one.
pub fn clean(text: &str) -> Cow<'_, str> {
    // Most texts are like this, and need no further checks.
    let is_plain = |byte: u8| u8::from(matches!(byte, b' '..=b'~')) | u8::from(byte == b'\t');
    if text.bytes().fold(1, |all, byte| all & is_plain(byte)) == 1 {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut marks = MARKS; // allows no mark at the beginning
    let mut after_ascii = true;
    let mut joiners = 0;
    for c in text.chars() {
        match c {
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                out.push_str(" ⏎ ");
                marks = MARKS;
                continue;
            }
            '\t' => {
                out.push(c);
                marks = MARKS;
            }
            '\u{200c}' | JOINER => {
                let is_one_too_many = c == JOINER && joiners == JOINERS;
                if marks == MARKS || after_ascii || is_one_too_many {
                    continue;
                }
                out.push(c);
                marks += 1;
                joiners += usize::from(c == JOINER);
            }
            c if is_hidden(c) => {
                out.push(HIDDEN);
                marks = MARKS;
            }
            c if c.width() == Some(0) => {
                if marks < MARKS {
                    out.push(c);
                    marks += 1;
                }
            }
            c => {
                // A skin colour belongs to the emoji before it.
                if !out.ends_with(JOINER) && !matches!(c, '\u{1f3fb}'..='\u{1f3ff}') {
                    joiners = 0;
                }
                out.push(c);
                marks = 0;
            }
        }
        after_ascii = c.is_ascii();
    }
    Cow::Owned(out)
}

/// True if a channel's text needs its conversation in front where lines of several conversations stand below each
/// other: without it, a text that begins with one of `@ # & * [ \` passes for a private message, another
/// conversation's, a notice or a remark. `shown` is the text as [`clean`] makes it. Invisible characters at the
/// beginning (blanks of all kinds, the mark of a line break) are skipped, and the wide and small forms of those signs
/// count as the signs.
pub fn needs_conversation(shown: &str) -> bool {
    let has_no_ink = |c: char| c.is_whitespace() || matches!(c, '\u{2800}' | '⏎');
    shown.trim_start_matches(has_no_ink).starts_with(|c| {
        matches!(
            c,
            '@' | '#'
                | '&'
                | '*'
                | '['
                | '\\'
                | '\u{ff20}'
                | '\u{ff03}'
                | '\u{ff06}'
                | '\u{ff0a}'
                | '\u{ff3b}'
                | '\u{ff3c}'
                | '\u{fe6b}'
                | '\u{fe5f}'
                | '\u{fe60}'
                | '\u{fe61}'
                | '\u{fe68}'
        )
    })
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
    fn a_text_that_could_pass_for_another_kind_of_line_is_found_even_after_invisible_characters() {
        for text in ["@sam hi", "#dev hi", "&plans hi", "* sam left", "[bad signature: x]", "\\@sam"] {
            for before in ["", " ", "\t", "\u{a0}", "\u{3000}", "\u{301}", "\u{200d}", "\n", "\u{2800}\n "] {
                let text = format!("{before}{text}");
                assert!(needs_conversation(&clean(&text)), "{text:?}");
            }
        }
        assert!(needs_conversation("＠sam hi") && needs_conversation("﹫sam hi"));
        for text in ["hi @sam", "", "sam: hi", "-- new --", "(bad)", "2019-11-01 09:30:00 anna: @sam hi"] {
            assert!(!needs_conversation(&clean(text)), "{text:?}");
        }
    }

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

    #[test]
    fn ten_are_joined_and_no_more() {
        for emoji in ["👩", "👩🏽", "❤️", "☠\u{200c}"] {
            let joined = |count| vec![emoji; count].join("\u{200d}");
            assert_eq!(clean(&joined(10)), joined(10));
            assert_eq!(clean(&joined(400)), joined(10).repeat(40));
            // Counting starts again with the next run.
            let two = [joined(10), joined(10)].join("🍀");
            assert_eq!(clean(&two), two);
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_clean_line(text in any::<String>()) {
            let shown = clean(&text);
            prop_assert!(!shown.chars().any(|c| (c.is_control() && c != '\t') || is_hidden(c)));
        }
    }
}
