//! The terminal itself: taken as long as a [`Screen`] lives, and given back however that ends.

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

/// The most events that wait; after that the terminal is not read.
const EVENTS: usize = 256;

/// The most bytes of a frame that are written at once.
const FRAME_BYTES: usize = 64 * 1024;

/// The time for a stop signal to take effect, since the system chooses the thread that gets it.
const STOPPING: Duration = Duration::from_millis(100);

/// True while the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken.
pub(super) struct Screen {
    terminal: Terminal<Rows<BufWriter<Stdout>>>,
    charset: Charset,
}

impl Screen {
    /// Takes a terminal that understands these characters.
    pub(super) fn open(charset: Charset) -> io::Result<Self> {
        restore_on_panic();
        // Made first, so that it is dropped if a later step fails.
        let writer = BufWriter::with_capacity(FRAME_BYTES, stdout());
        let screen = Self { terminal: Terminal::new(Rows::new(writer))?, charset };
        take()?;
        Ok(screen)
    }

    pub(super) fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    /// Draws the changes since the last call.
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
        // Stops the whole job, as the terminal itself does: `make` may be between us and the shell.
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        std::thread::sleep(STOPPING);
        self.take_again()
    }

    /// Takes the terminal from a shell that may have used it meanwhile, and makes the next draw a full one.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        // Otherwise crossterm, which does not ask the terminal, takes it for raw already.
        disable_raw_mode()?;
        take()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing may be written after the terminal is given back.
        let _ = self.terminal.backend_mut().flush();
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    // A cluster that is wider on this terminal than counted must not reach the next row.
    execute!(stdout(), EnterAlternateScreen, DisableLineWrap, EnableBracketedPaste, EnableFocusChange)
}

/// Does nothing if the terminal is not ours. Errors are ignored: the terminal may be gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        leave_screen();
        let _ = disable_raw_mode();
    }
}

/// Undoes the changes of [`take`] to the screen, but not those to the keyboard's settings.
pub(crate) fn leave_screen() {
    let _ = execute!(
        stdout(),
        EndSynchronizedUpdate,
        DisableFocusChange,
        DisableBracketedPaste,
        EnableLineWrap,
        LeaveAlternateScreen,
        Show
    );
}

/// Gives the terminal back before a panic's message is written.
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

/// The events of the terminal. They are read in a thread of its own, because the reader does not return once the
/// terminal is gone, and must not delay the end of the client.
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

/// The signals that the face acts on.
pub(super) struct Signals {
    terminate: unix::Signal,
    hang_up: unix::Signal,
    interrupt: unix::Signal,
    go_on: unix::Signal,
}

/// The meaning of a signal.
pub(super) enum Order {
    Leave,
    /// The job was stopped and goes on: the shell may have used the terminal meanwhile.
    GoOn,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            go_on: signal(SignalKind::from_raw(Signal::SIGCONT as i32))?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Leave,
            _ = self.hang_up.recv() => Order::Leave,
            _ = self.interrupt.recv() => Order::Leave,
            _ = self.go_on.recv() => Order::GoOn,
        }
    }
}
