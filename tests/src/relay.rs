//! A network between client and server that a test can cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

/// Passes bytes between clients that connect to [`Relay::address`] and the server.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: SocketAddr,
    cut: AtomicBool,
    mute: AtomicBool,
    frozen: AtomicBool,
    ration: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// A relay to this server. Its threads end with the last of its connections and with the test.
    pub fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            server,
            cut: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            ration: AtomicUsize::new(usize::MAX),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // If the server cannot be reached, the client's connection ends.
                let _ = accepting.join(client);
            }
        });
        Ok(Self { address, state })
    }

    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each new one at once.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections and all their data through again.
    pub fn mend(&self) {
        self.state.mute.store(false, Ordering::SeqCst);
        self.state.frozen.store(false, Ordering::SeqCst);
        self.state.cut.store(false, Ordering::SeqCst);
    }

    /// Makes each new connection break after this many bytes from the server.
    pub fn ration(&self, bytes: usize) {
        self.state.ration.store(bytes, Ordering::SeqCst);
    }

    /// Stops all data in both directions without ending any connection, as if the other side had vanished.
    pub fn freeze(&self) {
        self.state.frozen.store(true, Ordering::SeqCst);
    }

    /// Stops the server's data; the clients' data still arrives.
    pub fn mute(&self) {
        self.state.mute.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn join(self: &Arc<Self>, client: TcpStream) -> std::io::Result<()> {
        if self.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        let server = TcpStream::connect(self.server)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend([client.try_clone()?, server.try_clone()?]);
        drop(open);
        for (from, to, by_server) in
            [(client.try_clone()?, server.try_clone()?, false), (server, client, true)]
        {
            let state = Arc::clone(self);
            std::thread::spawn(move || state.pass(from, to, by_server));
        }
        Ok(())
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, by_server: bool) {
        let mut left = if by_server { self.ration.load(Ordering::SeqCst) } else { usize::MAX };
        let mut chunk = vec![0; 16_384];
        while let Ok(count) = from.read(&mut chunk) {
            let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            if self.frozen.load(Ordering::SeqCst) || by_server && self.mute.load(Ordering::SeqCst) {
                continue;
            }
            let bytes = bytes.get(..left).unwrap_or(bytes);
            left -= bytes.len();
            if to.write_all(bytes).is_err() || left == 0 {
                break;
            }
        }
        if !self.frozen.load(Ordering::SeqCst) {
            // It may have ended already.
            let _ = to.shutdown(Shutdown::Both);
        }
    }
}
