//! Colours and styles: the sixteen that every terminal has, in its own theme.

use parlour_protocol::UserName;
use ratatui::style::{Color, Modifier, Style};

/// Colours of names. Red is reserved for errors.
const NAMES: [Color; 10] = [
    Color::Cyan,
    Color::Magenta,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::LightCyan,
    Color::LightMagenta,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
];

/// For secondary text.
pub(crate) const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// For errors.
pub(crate) const BAD: Style = Style::new().fg(Color::Red);

/// For news.
pub(crate) const NEWS: Style = Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD);

/// For a good state.
pub(crate) const GOOD: Style = Style::new().fg(Color::Green);

/// For emphasis.
pub(crate) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// The style of a user's name: the same on every machine and every day.
pub(crate) fn of(name: &UserName) -> Style {
    let mut hash = 0_u32;
    for byte in name.as_str().bytes() {
        hash = hash.wrapping_mul(31).wrapping_add(u32::from(byte));
    }
    let colour = usize::try_from(hash)
        .ok()
        .and_then(|hash| NAMES.get(hash % NAMES.len()))
        .copied()
        .unwrap_or_default();
    BOLD.fg(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_colour_and_names_differ() {
        let colour = |name: &str| of(&name.parse().unwrap()).fg.unwrap();
        assert_eq!(colour("erik"), colour("erik"));
        let different: std::collections::HashSet<Color> =
            ["anna", "erik", "sam", "sue", "zoe", "bob"].into_iter().map(colour).collect();
        assert!(different.len() > 3, "{different:?}");
    }
}
