//! A bare TLS connection on which a test types the protocol itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::DerefMut;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parlour_crypto::DeviceKey;
use parlour_protocol::{EXPORTER_BYTES, EXPORTER_LABEL, UserName, login_transcript};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, SideData, StreamOwned};
use serde_json::Value;

use crate::lines::{DEADLINE, Lines};

/// The time between two checks for bytes to send.
const TURN: Duration = Duration::from_millis(2);

/// A new TLS connection on which nothing was sent yet.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A connection and the thread that serves it.
pub struct Line {
    /// The lines from the server.
    pub lines: Lines,
    /// The exporter value (RFC 9266) of this connection.
    pub exporter: [u8; EXPORTER_BYTES],
    /// The server's certificate and the others that it sent, DER.
    pub chain: Vec<Vec<u8>>,
    send: Option<Sender<Vec<u8>>>,
}

impl Line {
    /// Connects.
    pub fn open(server: SocketAddr, config: ClientConfig) -> Result<Self> {
        Self::over(connect(server, config)?)
    }

    /// Takes over an existing connection, from either side.
    pub fn over<C, S>(tls: StreamOwned<C, TcpStream>) -> Result<Self>
    where
        C: DerefMut<Target = ConnectionCommon<S>> + Send + 'static,
        S: SideData,
    {
        let exporter = exporter(&tls)?;
        let chain = tls.conn.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        tls.sock.set_read_timeout(Some(TURN))?;
        let (send, outgoing) = channel();
        let (told, lines) = channel();
        std::thread::spawn(move || serve(tls, &outgoing, &told));
        Ok(Self { lines: Lines::new("line", lines), exporter, chain, send: Some(send) })
    }

    /// Sends a line.
    pub fn say(&self, line: &str) -> Result<()> {
        self.send(format!("{line}\n").as_bytes())
    }

    /// Sends bytes unchanged.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        let send = self.send.as_ref().context("the line was closed")?;
        send.send(bytes.to_vec()).context("the connection is over")
    }

    /// The next line must be this, in which `{}` stands for anything.
    pub fn expect(&mut self, pattern: &str) -> Result<String> {
        self.lines.expect(pattern)
    }

    /// Sends a line and expects its answer.
    pub fn ask(&mut self, line: &str, pattern: &str) -> Result<String> {
        self.say(line)?;
        self.expect(pattern)
    }

    /// Sends a command of the json dialect, which must have an `id`, and returns its reply. Events before the
    /// reply are skipped.
    pub fn call(&mut self, command: &Value) -> Result<Value> {
        self.say(&command.to_string())?;
        self.lines.answer(command.get("id").unwrap_or(&Value::Null))
    }

    /// The signature with which this device logs in on this connection, base64.
    pub fn signature(&self, profile: &Path, user: &UserName) -> Result<String> {
        signature(&profile.join("device.key"), user, &self.exporter)
    }

    /// Splits the connection into its lines and its sender. Dropping the sender hangs up.
    pub(crate) fn into_ends(self) -> Result<(Lines, Sender<Vec<u8>>)> {
        Ok((self.lines, self.send.context("the line was closed")?))
    }

    /// Hangs up.
    pub fn close(&mut self) {
        self.send = None;
    }
}

/// The exporter value (RFC 9266) of a connection.
pub fn exporter<C, S>(tls: &StreamOwned<C, TcpStream>) -> Result<[u8; EXPORTER_BYTES]>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    Ok(tls.conn.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)?)
}

/// The signature with which the device whose key is in this file logs in, base64.
pub fn signature(key: &Path, user: &UserName, exporter: &[u8; EXPORTER_BYTES]) -> Result<String> {
    let key = DeviceKey::from_pkcs8_pem(&std::fs::read_to_string(key)?)?;
    Ok(STANDARD.encode(key.sign_asn1(&login_transcript(user, exporter))?))
}

/// Everything that still comes on a connection, up to its end.
pub fn rest(stream: &mut Stream) -> Result<String> {
    stream.sock.set_read_timeout(Some(DEADLINE))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16_384];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("the connection does not end")
            }
            // The connection was cut off.
            Err(_) => break,
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Connects and does the handshake.
pub fn connect(server: SocketAddr, config: ClientConfig) -> Result<Stream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let mut tls = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// TLS 1.3 that trusts the root in a file, and presents a certificate if its files are given.
pub fn config(root: &Path, identity: Option<(&Path, &Path)>) -> Result<ClientConfig> {
    config_with(rustls::crypto::aws_lc_rs::default_provider(), root, identity)
}

/// The same with chosen algorithms.
pub fn config_with(
    provider: CryptoProvider,
    root: &Path,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate)?];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?
        }
    })
}

/// Sends the given bytes and passes on received lines, until either side ends.
fn serve<C, S>(mut tls: StreamOwned<C, TcpStream>, outgoing: &Receiver<Vec<u8>>, told: &Sender<String>)
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    let mut held = Vec::new();
    let mut chunk = vec![0; 16_384];
    loop {
        loop {
            match outgoing.try_recv() {
                Ok(bytes) => {
                    if tls.write_all(&bytes).and_then(|()| tls.flush()).is_err() {
                        return;
                    }
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    tls.conn.send_close_notify();
                    let _ = tls.flush();
                    return;
                }
            }
        }
        match tls.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => held.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
            if told.send(text).is_err() {
                return;
            }
        }
    }
}
