//! The TLS connection under a session. Any task may send on it, as much as the system takes at once; only the session's
//! own task reads. An idle connection holds no buffers.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead as _, IoSlice, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};

use nix::sys::uio::writev;
use nix::unistd::write;
use parlour_protocol::LineSplitter;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;

use crate::metrics::Metrics;

/// Bytes that are read from the system at once.
const READ: usize = 32 * 1024;

thread_local! {
    /// Bytes that were read and are not decrypted yet. Sessions take turns using it: none holds it while it waits.
    static ENCRYPTED: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
    /// Bytes that are about to be encrypted.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The part of the given bytes that the system took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// All of them.
    All,
    /// The rest waits until the socket is [writable](Wire::writable).
    Partly,
}

/// The sending side, shared by all senders, with the TLS state that both sides need.
pub struct Wire {
    socket: OwnedWriteHalf,
    tls: Mutex<ServerConnection>,
    metrics: Arc<Metrics>,
}

/// The receiving side, used by the session's own task.
pub struct Incoming {
    socket: OwnedReadHalf,
}

/// Splits a connection after its handshake.
pub fn split(stream: TlsStream<TcpStream>, metrics: Arc<Metrics>) -> (Wire, Incoming) {
    let (socket, mut tls) = stream.into_inner();
    // The outbox bounds the waiting bytes; the limit of TLS would refuse a part of them.
    tls.set_buffer_limit(None);
    let (read, write) = socket.into_split();
    (Wire { socket: write, tls: Mutex::new(tls), metrics }, Incoming { socket: read })
}

impl Wire {
    /// Encrypts the bytes that `next` puts into its buffer until it returns false, and sends as much as the system
    /// takes. `next` is called again only when everything from before was sent.
    // Not inlined, so that its caller stays small: that runs for each session that gets a message.
    #[inline(never)]
    pub fn send(&self, mut next: impl FnMut(&mut Vec<u8>) -> bool) -> io::Result<Sent> {
        let mut tls = self.tls();
        PLAIN.with_borrow_mut(|bytes| {
            while self.drain(&mut tls)? == Sent::All {
                if !next(bytes) {
                    return Ok(Sent::All);
                }
                tls.writer().write_all(bytes)?;
            }
            Ok(Sent::Partly)
        })
    }

    /// Waits until the system may take more.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Says that nothing more will be sent, and closes the sending side.
    pub fn finish(&self) {
        let mut tls = self.tls();
        tls.send_close_notify();
        // If the other side is gone, there is nobody to tell.
        let _ = self.drain(&mut tls);
        let _ = SockRef::from(self.socket.as_ref()).shutdown(Shutdown::Write);
    }

    fn drain(&self, tls: &mut ServerConnection) -> io::Result<Sent> {
        while tls.wants_write() {
            match tls.write_tls(&mut Socket(&self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.metrics.sent.inc_by(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Sent::Partly),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Sent::All)
    }

    /// Decrypts, and feeds `lines`. Returns true if more can come.
    fn decrypt(&self, mut encrypted: &[u8], lines: &mut LineSplitter) -> io::Result<bool> {
        let mut tls = self.tls();
        loop {
            match tls.reader().fill_buf() {
                Ok([]) => return Ok(false),
                Ok(bytes) => {
                    let count = bytes.len();
                    lines.feed(bytes);
                    tls.reader().consume(count);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if encrypted.is_empty() {
                return Ok(true);
            }
            tls.read_tls(&mut encrypted)?;
            let processed = tls.process_new_packets();
            if tls.wants_write() {
                // An alert or new keys: the part that the system does not take now goes with the next bytes.
                self.drain(&mut tls)?;
            }
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    fn tls(&self) -> MutexGuard<'_, ServerConnection> {
        // If a task panicked half-way, the connection fails by itself when it goes on.
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// Feeds the bytes that came with the end of the handshake. Returns true if more can come.
    pub fn begin(&self, wire: &Wire, lines: &mut LineSplitter) -> io::Result<bool> {
        wire.decrypt(&[], lines)
    }

    /// Waits for bytes and feeds them to `lines`. Returns true if more can come.
    pub async fn receive(&mut self, wire: &Wire, lines: &mut LineSplitter) -> io::Result<bool> {
        poll_fn(|context| {
            ENCRYPTED.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
                let encrypted = buffer.filled();
                wire.metrics.received.inc_by(encrypted.len() as u64);
                Poll::Ready(if encrypted.is_empty() { Ok(false) } else { wire.decrypt(encrypted, lines) })
            })
        })
        .await
    }
}

/// Writes to the system without waiting.
struct Socket<'a>(&'a OwnedWriteHalf);

impl Socket<'_> {
    /// Uses `write` and `writev` instead of `send`: the sandbox inspects the arguments of `send` (Landlock does not see
    /// that it can connect), which costs a tenth of a delivery. Rust ignores SIGPIPE.
    fn call(&self, call: impl Fn(BorrowedFd<'_>) -> nix::Result<usize>) -> io::Result<usize> {
        let socket: &TcpStream = self.0.as_ref();
        socket.try_io(Interest::WRITABLE, || Ok(call(socket.as_fd())?))
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|socket| write(socket, bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // There is nearly always one part, for which the plain call costs less.
        match parts {
            [part] => self.write(part),
            _ => self.call(|socket| writev(socket, parts)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
