//! A conversation as rows: its head, each message with its remarks, and the messages that wait to be stored. Only the
//! visible rows are made.

use jiff::Zoned;
use jiff::tz::TimeZone;
use parlour_protocol::{Conversation, Seq, Timestamp, UserName};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::colours::{self, BAD, BOLD, DIM, NEWS};
use super::wrap::{plain, shorten, width, wrap};
use crate::asking::update::Waiting;
use crate::face::tui::state::{ConversationState, State};
use crate::face::tui::view::{Scroll, View};
use crate::face::wording;
use crate::reading::shown::{Shown, Verdict};

/// The cells of the time and the blank after it.
const TIME: usize = 6;

/// The place of a row: `row` in the block with number `block`. Block 0 is above all messages, the last one below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    block: usize,
    row: usize,
}

/// The first row of all.
const TOP: Place = Place { block: 0, row: 0 };

/// A conversation, to be drawn in this number of cells.
pub(crate) struct Transcript<'a> {
    conversation: &'a ConversationState,
    /// The messages that are judged in order, then those that were opened ahead.
    messages: Vec<&'a Shown>,
    waiting: Vec<&'a Waiting>,
    me: Option<&'a UserName>,
    marker: Option<Seq>,
    zone: &'a TimeZone,
    cells: usize,
}

impl<'a> Transcript<'a> {
    /// The selected conversation, if there is one.
    pub(crate) fn of(state: &'a State, view: &View, zone: &'a TimeZone, cells: u16) -> Option<Self> {
        let conversation = view.conversation(state)?;
        Some(Self {
            conversation,
            messages: conversation.messages.iter().chain(&conversation.ahead).collect(),
            waiting: state.waiting.iter().filter(|waiting| waiting.to == conversation.name).collect(),
            me: state.user.as_ref(),
            marker: view.marker,
            zone,
            cells: usize::from(cells).max(1),
        })
    }

    /// The rows of a window of this height with its lowest row at `scroll`, or as near as possible.
    pub(crate) fn window(&self, scroll: Scroll, height: usize) -> Vec<Line<'static>> {
        let bottom = self.bottom(scroll, height);
        let mut blocks = Vec::new();
        let mut rows = 0;
        for block in (0..=bottom.block).rev() {
            let mut lines = self.block(block);
            if block == bottom.block {
                lines.truncate(bottom.row + 1);
            }
            rows += lines.len();
            blocks.push(lines);
            if rows >= height {
                break;
            }
        }
        blocks.into_iter().rev().flatten().skip(rows.saturating_sub(height)).collect()
    }

    /// The scroll position so many rows further up.
    pub(crate) fn scrolled_up(&self, scroll: Scroll, rows: usize, height: usize) -> Scroll {
        let bottom = self.up(self.bottom(scroll, height), rows);
        self.scroll(bottom.max(self.lowest_top(height)))
    }

    /// The scroll position so many rows further down.
    pub(crate) fn scrolled_down(&self, scroll: Scroll, rows: usize, height: usize) -> Scroll {
        self.scroll(self.down(self.bottom(scroll, height), rows))
    }

    /// True if the window shows the first row of all.
    pub(crate) fn is_at_top(&self, scroll: Scroll, height: usize) -> bool {
        self.up(self.bottom(scroll, height), height.saturating_sub(1)) == TOP
    }

    fn bottom(&self, scroll: Scroll, height: usize) -> Place {
        match scroll {
            Scroll::Newest => self.end(),
            Scroll::At { .. } => self.place(scroll).max(self.lowest_top(height)),
        }
    }

    /// The lowest row of a window that begins with the first row of all.
    fn lowest_top(&self, height: usize) -> Place {
        self.down(TOP, height.saturating_sub(1))
    }

    fn place(&self, scroll: Scroll) -> Place {
        let Scroll::At { seq, generation, row } = scroll else { return self.end() };
        let messages = &self.messages;
        let block = match seq {
            0 => 0,
            Seq::MAX => messages.len() + 1,
            seq => messages.partition_point(|shown| shown.place() < (generation, seq)) + 1,
        };
        match self.block(block).len().checked_sub(1) {
            Some(last) => Place { block, row: row.min(last) },
            None => self.end(),
        }
    }

    fn scroll(&self, place: Place) -> Scroll {
        if place >= self.end() {
            return Scroll::Newest;
        }
        let message = place.block.checked_sub(1).map(|index| self.messages.get(index));
        let (generation, seq) =
            message.map_or((0, 0), |message| message.map_or((u64::MAX, Seq::MAX), |shown| shown.place()));
        Scroll::At { seq, generation, row: place.row }
    }

    /// The last row of all.
    fn end(&self) -> Place {
        self.last_row_before(self.messages.len() + 2).unwrap_or(TOP)
    }

    /// The last row of the blocks before this one.
    fn last_row_before(&self, block: usize) -> Option<Place> {
        (0..block).rev().find_map(|block| {
            let row = self.block(block).len().checked_sub(1)?;
            Some(Place { block, row })
        })
    }

    fn up(&self, from: Place, rows: usize) -> Place {
        let (mut place, mut left) = (from, rows);
        while left > place.row {
            left -= place.row + 1;
            match self.last_row_before(place.block) {
                Some(above) => place = above,
                None => return TOP,
            }
        }
        Place { row: place.row - left, ..place }
    }

    fn down(&self, from: Place, rows: usize) -> Place {
        let end = self.end();
        let (mut block, mut row) = (from.block, from.row + rows);
        while block <= end.block {
            let count = self.block(block).len();
            if row < count {
                return Place { block, row };
            }
            row -= count;
            block += 1;
        }
        end
    }

    fn block(&self, block: usize) -> Vec<Line<'static>> {
        match block.checked_sub(1) {
            None => self.head(),
            Some(index) => match self.messages.get(index) {
                Some(shown) => self.message(index, shown),
                None => self.waiting.iter().flat_map(|waiting| self.waiting(waiting)).collect(),
            },
        }
    }

    fn head(&self) -> Vec<Line<'static>> {
        let conversation = self.conversation;
        let begun = match conversation.messages.first() {
            Some(first) => conversation.complete || first.place() <= (0, 1),
            None => conversation.complete || conversation.last == 0,
        };
        let text = match &conversation.name {
            _ if conversation.loading => "loading …".to_owned(),
            _ if !begun && conversation.messages.is_empty() => return Vec::new(),
            _ if !begun => "PgUp loads older messages".to_owned(),
            Conversation::Channel(_) => {
                format!("{} begins here. Everyone in it and the server can read it.", conversation.name)
            }
            Conversation::Direct(name) => {
                format!("What you and {name} say to each other begins here. Nobody else can read it.")
            }
        };
        styled(wrap(&text, self.cells, self.cells), DIM)
    }

    fn message(&self, index: usize, shown: &Shown) -> Vec<Line<'static>> {
        let before = index.checked_sub(1).and_then(|before| self.messages.get(before)).copied();
        let mut rows = Vec::new();
        if index == self.conversation.messages.len()
            && let Some(text) = missing(before, shown)
        {
            rows.push(self.rule(&text, NEWS));
        }
        if let Some(text) = before.and_then(|before| boundary(before, shown)) {
            rows.push(self.rule(&text, NEWS));
        }
        let day = self.day(shown.time);
        if before.is_none_or(|before| self.day(before.time) != day) {
            rows.push(self.rule(&day, DIM));
        }
        if self.begins_news(before, shown) {
            rows.push(self.rule("new", NEWS));
        }
        let own = self.me == Some(&shown.from);
        let time = self.at(shown.time).map_or("--:--".to_owned(), |at| at.strftime("%H:%M").to_string());
        let text = shown.text.as_deref().map_or("(not shown)".to_owned(), plain);
        let style = match &shown.text {
            None => DIM,
            Some(_) if !own && self.is_addressed(&text) => NEWS,
            Some(_) => Style::new(),
        };
        let time = Span::styled(format!("{time} "), DIM);
        rows.append(&mut self.said(time, &shown.from, own, &text, style));
        let style = match shown.verdict {
            Verdict::Public | Verdict::Good | Verdict::Restarted => DIM,
            Verdict::Gap { .. } | Verdict::Late | Verdict::DateNotProved { .. } => BAD,
            Verdict::Bad { .. } => BAD.add_modifier(Modifier::BOLD),
        };
        let mut remarks: Vec<(String, Style)> =
            shown.verdict.remark().into_iter().map(|text| (text, style)).collect();
        remarks.extend(shown.remark_on_refusal().map(|text| (text.to_owned(), BAD)));
        remarks.extend(
            shown.signed.map(|signed| (format!("signed {}", wording::moment(signed, self.zone)), DIM)),
        );
        remarks.extend(shown.remark_on_time().map(|text| (text.to_owned(), BAD)));
        for (text, style) in remarks {
            rows.append(&mut self.remark(&text, style));
        }
        rows
    }

    fn begins_news(&self, before: Option<&Shown>, shown: &Shown) -> bool {
        let first = before.map_or(shown.seq, |before| before.seq + 1);
        self.marker.is_some_and(|marker| {
            first == marker + 1 || (before.is_some_and(|b| b.seq <= marker) && shown.seq > marker)
        })
    }

    fn waiting(&self, waiting: &Waiting) -> Vec<Line<'static>> {
        let Some(me) = self.me else { return Vec::new() };
        let time = Span::styled("  …   ", DIM);
        let mut rows = self.said(time, me, true, &plain(&waiting.text), DIM);
        for span in rows.iter_mut().flat_map(|row| row.spans.iter_mut()) {
            span.style = DIM;
        }
        rows
    }

    /// `09:30 erik: text`, with further rows below the beginning of the text.
    fn said(
        &self,
        time: Span<'static>,
        from: &UserName,
        own: bool,
        text: &str,
        style: Style,
    ) -> Vec<Line<'static>> {
        let name = format!("{from}{}", if own { "> " } else { ": " });
        let name = shorten(&name, self.cells.saturating_sub(TIME).max(2));
        let first = self.cells.saturating_sub(TIME + width(&name));
        let indent = self.indent();
        let mut texts = wrap(text, first, self.cells - indent).into_iter();
        let name_style = if own { BOLD } else { colours::of(from) };
        let text = texts.next().unwrap_or_default();
        let mut rows =
            vec![Line::from(vec![time, Span::styled(name, name_style), Span::styled(text, style)])];
        rows.extend(texts.map(|text| indented(indent, text, style)));
        rows
    }

    fn remark(&self, text: &str, style: Style) -> Vec<Line<'static>> {
        let indent = self.indent();
        // No text can reach as far left as this mark.
        let mark = match indent {
            TIME.. => "    ! ",
            2.. => "! ",
            _ => "",
        };
        let rows = wrap(&plain(text), self.cells - indent, self.cells - indent);
        let marks = std::iter::once(mark).chain(std::iter::repeat(""));
        rows.into_iter()
            .zip(marks)
            .map(|(row, mark)| Line::styled(format!("{mark:indent$}{row}"), style))
            .collect()
    }

    /// The indent of a text's further rows.
    fn indent(&self) -> usize {
        match self.cells {
            0..4 => 0,
            4..30 => 2,
            _ => TIME,
        }
    }

    fn rule(&self, text: &str, style: Style) -> Line<'static> {
        let text = shorten(&format!("── {text} "), self.cells);
        let rest = "─".repeat(self.cells.saturating_sub(width(&text)));
        Line::styled(text + &rest, style)
    }

    /// True if a text names the user.
    fn is_addressed(&self, text: &str) -> bool {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        self.me
            .is_some_and(|me| text.split(|c| !is_name(c)).any(|word| word.eq_ignore_ascii_case(me.as_str())))
    }

    fn at(&self, time: Timestamp) -> Option<Zoned> {
        let moment = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
        Some(moment.to_zoned(self.zone.clone()))
    }

    fn day(&self, time: Timestamp) -> String {
        self.at(time).map_or_else(|| time.to_string(), |at| at.strftime("%A %Y-%m-%d").to_string())
    }
}

/// The line above messages that were opened ahead of those before them.
fn missing(before: Option<&Shown>, first: &Shown) -> Option<String> {
    match first.seq - before.map_or(0, |before| before.seq) {
        ..=1 => None,
        _ if before.is_none() => Some("earlier messages are being opened".to_owned()),
        2 => Some("one message before this is being opened".to_owned()),
        count => Some(format!("{} messages before this are being opened", count - 1)),
    }
}

/// The line between two messages of different generations.
fn boundary(before: &Shown, shown: &Shown) -> Option<String> {
    match (before.set_aside, shown.set_aside) {
        (false, true) => Some("set aside: the server does not have this (/why)".to_owned()),
        (true, true) if before.generation != shown.generation => Some("set aside at another time".to_owned()),
        (true, false) => Some("here the server goes on".to_owned()),
        (false, false) if before.generation != shown.generation => {
            match shown.seq.checked_sub(before.seq + 1) {
                Some(0) | None => None,
                Some(1) => Some("one message between is not here".to_owned()),
                Some(count) => {
                    Some(format!("{count} messages between are not here: scroll up here to fetch them"))
                }
            }
        }
        _ => None,
    }
}

fn indented(indent: usize, text: String, style: Style) -> Line<'static> {
    Line::from(vec![Span::raw(" ".repeat(indent)), Span::styled(text, style)])
}

fn styled(rows: Vec<String>, style: Style) -> Vec<Line<'static>> {
    rows.into_iter().map(|row| Line::styled(row, style)).collect()
}
