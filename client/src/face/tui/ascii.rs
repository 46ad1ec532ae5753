//! A screen for terminals that understand ASCII alone.

use ratatui::buffer::Buffer;

use crate::locale::own_sign;

/// Makes a screen ASCII. Everything stays in its cells: our own signs get others, and what else is not
/// ASCII becomes `?`.
pub(super) fn replace(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if !symbol.is_ascii() {
            let own = symbol.chars().next().and_then(own_sign);
            cell.set_symbol(own.unwrap_or("?"));
        }
    }
}
