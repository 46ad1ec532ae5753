//! The status line between messages and input: the connection, the user, and the protection of this conversation. A
//! narrow terminal shows the most important parts.

use parlour_protocol::{Conversation, Timestamp};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::colours::{BAD, BOLD, DIM, GOOD, NEWS};
use super::wrap::{plain, shorten, width};
use crate::asking::update::Connection;
use crate::face::tui::state::{ConversationState, State};
use crate::face::tui::view::{Scroll, View};

/// The levels of leaving out, from nothing to nearly everything.
const LEVELS: std::ops::Range<u8> = 0..6;

/// The status line in this number of cells.
pub(crate) fn line(
    state: &State,
    view: &View,
    now: Timestamp,
    list_is_seen: bool,
    cells: u16,
) -> Line<'static> {
    let cells = usize::from(cells);
    let (level, news) = LEVELS
        .map(|level| (level, news(state, view, list_is_seen, level)))
        .find(|(level, news)| {
            let pieces = pieces(state, view, now, *level);
            pieces.iter().map(|(text, _)| width(text) + 3).sum::<usize>() <= room(cells, news.as_ref())
        })
        .unwrap_or((LEVELS.end, None));
    let room = room(cells, news.as_ref());
    let pieces = pieces(state, view, now, level);
    let mut spans = Vec::new();
    let mut left = room;
    for (text, style) in pieces {
        let text = shorten(&text, left.saturating_sub(3));
        if !text.is_empty() {
            left = left.saturating_sub(width(&text) + 3);
            spans.extend([Span::styled("─ ", DIM), Span::styled(text, style), Span::raw(" ")]);
        }
    }
    spans.push(Span::styled("─".repeat(left), DIM));
    if let Some(news) = news {
        spans.push(Span::styled(format!(" {news} "), NEWS));
    }
    Line::from(spans)
}

/// The cells that the news leave free.
fn room(cells: usize, news: Option<&String>) -> usize {
    cells.saturating_sub(news.map_or(0, |news| width(news) + 2))
}

fn pieces(state: &State, view: &View, now: Timestamp, level: u8) -> Vec<(String, Style)> {
    let mut pieces = vec![connection(state, view, now, level == 0)];
    let server = view.server.as_ref().map(|server| plain(&server.to_string()));
    match (&state.user, server) {
        (Some(user), Some(server)) if level < 2 => pieces.push((format!("{user}@{server}"), Style::new())),
        (Some(user), _) if level < 4 => pieces.push((user.to_string(), Style::new())),
        (None, Some(server)) if level < 4 => pieces.push((server, Style::new())),
        _ => {}
    }
    if state.user.is_some() {
        pieces.push((protection(&view.selected, level < 3), BOLD));
    }
    if level >= 5 && pieces.len() > 1 {
        pieces.remove(0);
    }
    pieces
}

fn connection(state: &State, view: &View, now: Timestamp, long: bool) -> (String, Style) {
    match &state.connection {
        None | Some(Connection::Connecting { .. }) => ("connecting".to_owned(), NEWS),
        Some(Connection::Guest { .. }) if view.logging_in.is_some() => ("logging in".to_owned(), NEWS),
        Some(Connection::Guest { .. }) => ("guest".to_owned(), NEWS),
        Some(Connection::Online { .. }) => ("online".to_owned(), GOOD),
        Some(Connection::Offline { .. }) => match view.retry_at {
            Some(at) if long => (format!("offline, {}", next_try(at, now)), BAD),
            _ => ("offline".to_owned(), BAD),
        },
    }
}

fn next_try(at: Timestamp, now: Timestamp) -> String {
    match at.as_millis().saturating_sub(now.as_millis()) {
        ..=0 => "trying now".to_owned(),
        millis => format!("next try in {} s", millis.saturating_add(999) / 1_000),
    }
}

fn protection(conversation: &Conversation, long: bool) -> String {
    match conversation {
        Conversation::Channel(_) if long => format!("{conversation}: public, the server can read it"),
        Conversation::Channel(_) => format!("{conversation}: public"),
        Conversation::Direct(_) if long => format!("{conversation}: end-to-end encrypted"),
        Conversation::Direct(_) => format!("{conversation}: encrypted"),
    }
}

/// News that are not on the screen: new messages below, or in other conversations.
fn news(state: &State, view: &View, list_is_seen: bool, level: u8) -> Option<String> {
    let selected = view.conversation(state)?;
    let short = level >= 3;
    if view.scroll != Scroll::Newest {
        return Some(match selected.unread() {
            0 if short => "↓".to_owned(),
            0 => "↓ End".to_owned(),
            new if short => format!("↓{new}"),
            new => format!("↓ {new} new"),
        });
    }
    let elsewhere: u64 =
        state.conversations.iter().filter(|c| c.name != view.selected).map(ConversationState::unread).sum();
    if elsewhere == 0 || list_is_seen {
        return None;
    }
    Some(if short { format!("+{elsewhere}") } else { format!("{elsewhere} unread, Alt-A") })
}
