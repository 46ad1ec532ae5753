//! Restores the terminal if the client could not.

use std::io;

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use crate::face::tui;

/// The terminal's settings before the client changed them, if there is a terminal.
pub(super) struct Terminal(Option<Termios>);

impl Terminal {
    pub(super) fn remember() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Restores the settings, if the client left the terminal in raw mode and it is ours.
    pub(super) fn restore(&self) {
        let Some(before) = &self.0 else { return };
        let in_lines = |settings: &Termios| settings.local_modes.contains(LocalModes::ICANON);
        let left_raw = tcgetattr(io::stdin()).is_ok_and(|now| in_lines(before) && !in_lines(&now));
        // A job in the background must not touch the shell's terminal. One that no shell controls is ours.
        let is_ours = tcgetpgrp(io::stdin()).map_or(true, |job| job == getpgrp());
        if left_raw && is_ours {
            tui::leave_screen();
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
