//! The welcome that a guest sees.

use ratatui::style::Style;
use ratatui::text::Line;

use super::colours::{BOLD, DIM};
use super::wrap::{plain, wrap};
use crate::asking::update::Connection;
use crate::face::tui::state::State;
use crate::face::tui::view::View;

/// The welcome in rows of this number of cells.
pub(crate) fn rows(state: &State, view: &View, columns: u16) -> Vec<Line<'static>> {
    let cells = usize::from(columns).max(1);
    let mut rows = Vec::new();
    for (text, style) in paragraphs(state, view) {
        let indent = if text.starts_with('/') { 2.min(cells - 1) } else { 0 };
        let room = cells - indent;
        let wrapped = wrap(&plain(&text), room, room);
        rows.extend(wrapped.into_iter().map(|row| Line::styled(format!("{:indent$}{row}", ""), style)));
    }
    rows
}

fn paragraphs(state: &State, view: &View) -> Vec<(String, Style)> {
    let gap = || (String::new(), Style::new());
    let mut paragraphs = vec![
        ("Parlour: private chat on a server of your own.".to_owned(), BOLD),
        gap(),
        (where_we_are(state, view), Style::new()),
    ];
    if view.logging_in.is_some() {
        return paragraphs;
    }
    let names: Vec<&str> = view.profiles.iter().map(parlour_protocol::UserName::as_str).collect();
    let keys = if names.is_empty() {
        "There are no keys on this machine yet.".to_owned()
    } else {
        format!("There are keys for {} on this machine.", names.join(", "))
    };
    paragraphs.extend([
        gap(),
        ("/register NAME   take a name; its keys are made on this machine".to_owned(), Style::new()),
        ("/login NAME      log in with keys that are on this machine".to_owned(), Style::new()),
        gap(),
        (keys, Style::new()),
        gap(),
        (
            "All users and the server can read #lobby. Messages to @NAME are end-to-end encrypted: nobody but the \
             two of you can read them."
                .to_owned(),
            DIM,
        ),
        gap(),
        ("F1 shows all commands and keys, Ctrl-Q leaves.".to_owned(), DIM),
    ]);
    paragraphs
}

fn where_we_are(state: &State, view: &View) -> String {
    let server = view.server.as_ref().map_or("the server".to_owned(), ToString::to_string);
    match (&view.logging_in, &state.connection) {
        (Some(name), _) => format!("Logging in as {name} …"),
        (None, Some(Connection::Guest { .. })) => format!("You are a guest at {server}."),
        (None, Some(Connection::Offline { .. })) => format!("There is no connection to {server} now."),
        (None, _) => format!("Connecting to {server} …"),
    }
}
