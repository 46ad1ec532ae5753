//! Draws the screen: a pure function of the state, the view and the time. [`areas`] places the parts, and each part has
//! a file of its own.

mod areas;
mod colours;
mod help;
mod input;
mod list;
mod notices;
mod status;
mod transcript;
mod welcome;

use jiff::tz::TimeZone;
use parlour_protocol::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::view::View;
use crate::face::tui::state::State;
use crate::face::wrap;
use areas::Areas;
pub(super) use help::most_scrolled as help_most_scrolled;
pub(super) use transcript::Transcript;

/// The time of the drawing, and the user's time zone.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, view: &View, moment: &Moment) {
    let all = frame.area();
    if all.is_empty() {
        return;
    }
    let (areas, notices) = areas(state, view, all);
    list::draw(frame, areas.list, state, view);
    rows(frame, areas.divider, vec![Line::styled("│", colours::DIM); usize::from(areas.divider.height)]);
    pane(frame, areas.pane, state, view, moment);
    let too_many = notices.len().saturating_sub(usize::from(areas.notices.height));
    rows(frame, areas.notices, notices.into_iter().skip(too_many));
    let status = status::line(state, view, moment.now, !areas.list.is_empty(), all.width);
    frame.render_widget(status, areas.status);
    input::draw(frame, areas.input, state, view);
    if let Some(scrolled) = view.help {
        help::draw(frame, scrolled, state.user.as_ref());
    }
}

/// The rows and columns that messages have.
pub(super) fn pane_size(state: &State, view: &View) -> (u16, u16) {
    let (areas, _) = areas(state, view, Rect::from((ratatui::layout::Position::ORIGIN, view.size)));
    (areas.pane.height, areas.pane.width)
}

fn areas(state: &State, view: &View, all: Rect) -> (Areas, Vec<Line<'static>>) {
    let list = list::columns(state);
    let notices = notices::rows(state, view, areas::pane_columns(all.width, list));
    let wanted = u16::try_from(notices.len()).unwrap_or(u16::MAX);
    (Areas::new(all, list, wanted, input::rows(state, view, all.width)), notices)
}

fn pane(frame: &mut Frame<'_>, area: Rect, state: &State, view: &View, moment: &Moment) {
    if area.is_empty() {
        return;
    }
    let height = usize::from(area.height);
    match Transcript::of(state, view, &moment.zone, area.width) {
        Some(transcript) if state.user.is_some() => {
            let window = transcript.window(view.scroll, height);
            // The newest message is always at the bottom.
            let free = area.height - u16::try_from(window.len()).unwrap_or(u16::MAX).min(area.height);
            rows(frame, Rect { y: area.y + free, height: area.height - free, ..area }, window);
        }
        _ => rows(frame, area, welcome::rows(state, view, area.width)),
    }
}

fn rows(frame: &mut Frame<'_>, area: Rect, lines: impl IntoIterator<Item = Line<'static>>) {
    for (line, y) in lines.into_iter().zip(area.top()..area.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}
