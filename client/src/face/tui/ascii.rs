//! Screens for terminals that understand only ASCII.

use ratatui::buffer::Buffer;

use crate::locale::own_sign;

/// Makes a screen ASCII. Each cell stays in place: the client's own signs get replacements, and any other character that
/// is not ASCII becomes `?`.
pub(super) fn replace(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if !symbol.is_ascii() {
            let own = symbol.chars().next().and_then(own_sign);
            cell.set_symbol(own.unwrap_or("?"));
        }
    }
}
