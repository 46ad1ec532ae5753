//! The terminal itself: taken for as long as a [`Screen`] lives, and given back however that ends.

use std::io::{self, BufWriter, Stdout, Write as _, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, Event,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::layout::{Position, Rect, Size};
use ratatui::{Frame, Terminal};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;

use super::ascii;
use super::rows::{self, Rows};
use crate::locale::Charset;

/// Events that were not taken yet; with more, the terminal is not read.
const EVENTS: usize = 256;

/// Bytes of a frame that are written at once.
const FRAME_BYTES: usize = 64 * 1024;

/// Time for a stop signal to take effect; it comes to whichever thread the system chooses.
const STOPPING: Duration = Duration::from_millis(100);

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken.
pub(super) struct Screen {
    terminal: Terminal<Rows<BufWriter<Stdout>>>,
    charset: Charset,
}

impl Screen {
    /// Takes the terminal, which understands these characters.
    pub(super) fn open(charset: Charset) -> io::Result<Self> {
        restore_on_panic();
        // Made first, so that it is dropped whatever fails after it.
        let writer = BufWriter::with_capacity(FRAME_BYTES, stdout());
        let screen = Self { terminal: Terminal::new(Rows::new(writer))?, charset };
        take()?;
        Ok(screen)
    }

    pub(super) fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    /// Draws what changed since the last time.
    pub(super) fn draw(&mut self, draw: impl Fn(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let charset = self.charset;
        rows::draw(&mut self.terminal, |frame| {
            draw(frame);
            if charset == Charset::Ascii {
                ascii::replace(frame.buffer_mut());
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Makes the next draw a full one.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`, which asks the terminal where the cursor is: the answer would go to the
        // thread that reads the keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Gives the terminal back to the shell until the user comes back.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole job, as the terminal itself does it: `make` may stand between us and the shell.
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        std::thread::sleep(STOPPING);
        take()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // What was not written yet must not come after the terminal is given back.
        let _ = self.terminal.backend_mut().flush();
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    // A cluster that takes more cells here than we count must not reach the next row.
    execute!(stdout(), EnterAlternateScreen, DisableLineWrap, EnableBracketedPaste, EnableFocusChange)
}

/// Does nothing when the terminal is not ours. What fails cannot be helped: the terminal may be gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableFocusChange,
            DisableBracketedPaste,
            EnableLineWrap,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// A panic's message is to be read on the terminal as the user knows it.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}

/// What the user does. It is read in a thread of its own: the reader does not return any more when the
/// terminal is gone, and must not keep us from leaving then.
pub(super) fn events() -> mpsc::Receiver<io::Result<Event>> {
    let (send, events) = mpsc::channel(EVENTS);
    tokio::task::spawn_blocking(move || {
        loop {
            let event = crossterm::event::read();
            let failed = event.is_err();
            if send.blocking_send(event).is_err() || failed {
                return;
            }
        }
    });
    events
}

/// The signals that ask us to leave.
pub(super) struct Signals {
    terminate: unix::Signal,
    hang_up: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub(super) async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
