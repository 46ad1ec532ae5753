//! Giving the terminal back when the client could not.

use std::io;

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use crate::face::tui;

/// How the terminal was before the client had it, if there is one.
pub(super) struct Terminal(Option<Termios>);

impl Terminal {
    pub(super) fn remember() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Makes it as it was, if it takes keys one by one that it took in lines, and is ours.
    pub(super) fn restore(&self) {
        let Some(before) = &self.0 else { return };
        let in_lines = |settings: &Termios| settings.local_modes.contains(LocalModes::ICANON);
        let left_raw = tcgetattr(io::stdin()).is_ok_and(|now| in_lines(before) && !in_lines(&now));
        // A job in the background must do nothing to the shell's. One that no shell controls is ours.
        let is_ours = tcgetpgrp(io::stdin()).map_or(true, |job| job == getpgrp());
        if left_raw && is_ours {
            tui::leave_screen();
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
