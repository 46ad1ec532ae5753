//! The places of the screen's parts.

use ratatui::layout::Rect;

/// The most rows of the input.
pub(crate) const INPUT_ROWS: u16 = 5;

/// The fewest columns that leave room for the list of conversations.
const LIST_FROM: u16 = 60;

/// The places; some are empty when the terminal is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) list: Rect,
    pub(crate) divider: Rect,
    pub(crate) pane: Rect,
    pub(crate) notices: Rect,
    pub(crate) status: Rect,
    pub(crate) input: Rect,
}

/// The columns that the messages have, given those that the list wants.
pub(crate) fn pane_columns(all: u16, list: u16) -> u16 {
    all - list_columns(all, list)
}

/// The columns that the list and the line beside it get.
fn list_columns(all: u16, wanted: u16) -> u16 {
    if all < LIST_FROM || wanted == 0 { 0 } else { wanted.clamp(12, all / 3) + 1 }
}

impl Areas {
    /// The places in `all`, given the columns that the list wants, and the rows that notices and input want.
    pub(crate) fn new(all: Rect, list: u16, notices: u16, input: u16) -> Self {
        let input = input.clamp(1, INPUT_ROWS).min((all.height / 2).max(1)).min(all.height);
        let status = (all.height - input).min(1);
        let upper = all.height - input - status;
        // Notices are shown even in place of the last row of messages.
        let notices = notices.min((upper / 2).max(1)).min(upper);
        let list = list_columns(all.width, list);
        let divider = list.min(1);
        let row = |y: u16, height: u16| Rect { y: all.y + y, height, ..all };
        let above = row(0, upper);
        let right = Rect { x: all.x + list, width: all.width - list, ..above };
        Self {
            list: Rect { width: list - divider, ..above },
            divider: Rect { x: all.x + list - divider, width: divider, ..above },
            pane: Rect { height: upper - notices, ..right },
            notices: Rect { y: all.y + upper - notices, height: notices, ..right },
            status: row(upper, status),
            input: row(upper + status, input),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_belongs_to_one_place_whatever_the_size() {
        for width in [0, 1, 2, 11, 59, 60, 80, 300] {
            for height in 0..40 {
                for (list, notices, input) in [(0, 0, 0), (18, 3, 1), (500, 500, 500)] {
                    let all = Rect::new(0, 0, width, height);
                    let areas = Areas::new(all, list, notices, input);
                    let parts =
                        [areas.list, areas.divider, areas.pane, areas.notices, areas.status, areas.input];
                    let cells: u32 = parts.iter().map(|part| part.area()).sum();
                    assert_eq!(cells, all.area(), "{areas:?}");
                    assert!(parts.iter().all(|part| part.right() <= width && part.bottom() <= height));
                }
            }
        }
    }

    #[test]
    fn the_input_is_the_last_to_go() {
        let areas = |height| Areas::new(Rect::new(0, 0, 80, height), 18, 2, 1);
        assert_eq!(areas(1).input.height, 1);
        assert_eq!((areas(2).input.height, areas(2).status.height), (1, 1));
        assert_eq!((areas(3).notices.height, areas(3).pane.height), (1, 0));
        assert_eq!((areas(24).notices.height, areas(24).pane.height), (2, 20));
    }
}
