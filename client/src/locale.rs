//! The characters that the user's terminal understands, by the locale.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;

/// The characters that the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// All of them.
    Utf8,
    /// ASCII alone.
    Ascii,
}

impl Charset {
    /// Reads the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set and not empty. The result is ASCII only if
    /// that names an encoding other than UTF-8: many containers set none of them and still show UTF-8.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .filter_map(variable)
            .map(|value| value.to_string_lossy().to_ascii_lowercase())
            .find(|value| !value.is_empty());
        match locale {
            Some(locale) if !locale.contains("utf-8") && !locale.contains("utf8") => Self::Ascii,
            _ => Self::Utf8,
        }
    }

    /// The character set of this process's locale.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    /// A line as it can be written. In ASCII a line break becomes ` / `, and any other character its number, as in
    /// `\u{e9}`.
    pub fn line(self, line: &str) -> Cow<'_, str> {
        if self == Self::Utf8 || line.is_ascii() {
            return Cow::Borrowed(line);
        }
        let mut out = String::with_capacity(line.len());
        for c in line.chars() {
            match own_sign(c) {
                _ if c.is_ascii() => out.push(c),
                Some(sign) => out.push_str(sign),
                None => {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
            }
        }
        Cow::Owned(out)
    }
}

/// The ASCII replacement for a sign that the faces themselves write.
pub(crate) fn own_sign(c: char) -> Option<&'static str> {
    Some(match c {
        '⏎' => "/",
        '│' => "|",
        '─' => "-",
        '…' => "~",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charset(variables: &[(&str, &str)]) -> Charset {
        Charset::of(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).into()))
    }

    #[test]
    fn the_charset_is_ascii_only_if_the_locale_names_another_encoding_than_utf_8() {
        use Charset::{Ascii, Utf8};
        assert_eq!(charset(&[]), Utf8);
        assert_eq!(charset(&[("LANG", "")]), Utf8);
        assert_eq!(charset(&[("LANG", "C")]), Ascii);
        assert_eq!(charset(&[("LANG", "de_DE.ISO-8859-1")]), Ascii);
        assert_eq!(charset(&[("LANG", "de_DE.utf8")]), Utf8);
        assert_eq!(charset(&[("LC_ALL", "C.UTF-8"), ("LANG", "C")]), Utf8);
        assert_eq!(charset(&[("LC_ALL", ""), ("LC_CTYPE", "POSIX"), ("LANG", "en_US.UTF-8")]), Ascii);
    }

    #[test]
    fn a_line_in_ascii_contains_only_ascii() {
        assert_eq!(Charset::Ascii.line("hi ⏎ caf\u{e9} 👋"), "hi / caf\\u{e9} \\u{1f44b}");
        assert_eq!(Charset::Utf8.line("caf\u{e9}"), "caf\u{e9}");
    }
}
