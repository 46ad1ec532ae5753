//! A server controlled by Mallory. It has the real server's key and certificate, passes clients' lines to the real
//! server, and changes the answers as it likes.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use parlour_protocol::{EXPORTER_BYTES, UserName};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::line::{self, Line};
use crate::world::World;

/// The treatment of the signature in a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logins {
    /// It is made again for the connection to the real server, with the user's key. A hostile operator would not
    /// need this, because his own server accepts anybody; the real one, which stands in for its database, does.
    Anew,
    /// It is passed on unchanged.
    PassedOn,
}

/// Listens at an address of its own.
pub struct Operator {
    address: SocketAddr,
}

/// Turns a line of the real server into the bytes for the client, line feed included.
type Edit = dyn FnMut(&str) -> Vec<u8> + Send;

struct Office {
    server: SocketAddr,
    root: PathBuf,
    profile: PathBuf,
    user: UserName,
    logins: Logins,
    config: Arc<ServerConfig>,
    edit: Mutex<Box<Edit>>,
}

/// An edit of JSON lines; other lines are left unchanged.
pub fn edited(mut edit: impl FnMut(&mut Value) + Send + 'static) -> impl FnMut(&str) -> Vec<u8> + Send {
    move |line| match serde_json::from_str(line) {
        Ok(mut value) => {
            edit(&mut value);
            (escaped(&value) + "\n").into_bytes()
        }
        Err(_) => format!("{line}\n").into_bytes(),
    }
}

/// JSON in ASCII only: a line must not contain control characters, but a text in it may.
pub fn escaped(value: &Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        if (' '..='~').contains(&c) {
            line.push(c);
        } else {
            line.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    line
}

impl Operator {
    /// Placed before the world's server, for one person. Its threads end with its connections and the test.
    pub fn before(
        world: &World,
        person: &str,
        logins: Logins,
        edit: impl FnMut(&str) -> Vec<u8> + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let office = Arc::new(Office {
            server: world.address()?,
            root: world.root(),
            profile: world.profile(person),
            user: person.parse()?,
            logins,
            config: Arc::new(server_config(world)?),
            edit: Mutex::new(Box::new(edit)),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let office = Arc::clone(&office);
                // If a client cannot be served, its connection ends.
                std::thread::spawn(move || office.serve(stream));
            }
        });
        Ok(Self { address })
    }

    /// The address at which it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

fn server_config(world: &World) -> Result<ServerConfig> {
    let keys = world.path("keys/server");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(world.root())?)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let chain = CertificateDer::pem_file_iter(keys.join("server.crt"))?.collect::<Result<Vec<_>, _>>()?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(keys.join("server.key"))?)?)
}

impl Office {
    fn serve(self: &Arc<Self>, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&self.config))?, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        let (certificate, key) = (self.profile.join("device.crt"), self.profile.join("device.key"));
        let identity = tls.conn.peer_certificates().map(|_| (certificate.as_path(), key.as_path()));
        let server = Line::open(self.server, line::config(&self.root, identity)?)?;
        let exporter = server.exporter;
        let (mut asked, answer) = Line::over(tls)?.into_ends()?;
        let (mut said, ask) = server.into_ends()?;
        let office = Arc::clone(self);
        std::thread::spawn(move || {
            while let Some(line) = said.await_line() {
                let mut edit = office.edit.lock().unwrap_or_else(PoisonError::into_inner);
                if answer.send(edit(&line)).is_err() {
                    return;
                }
            }
        });
        while let Some(line) = asked.await_line() {
            let line = self.login(&line, &exporter)?.unwrap_or(line);
            ask.send(format!("{line}\n").into_bytes()).context("the server is gone")?;
        }
        Ok(())
    }

    /// The login line for the real server; `None` for any other line.
    fn login(&self, line: &str, exporter: &[u8; EXPORTER_BYTES]) -> Result<Option<String>> {
        let Ok(Value::Object(mut command)) = serde_json::from_str(line) else { return Ok(None) };
        if self.logins == Logins::PassedOn || command.get("cmd").is_none_or(|name| name != "login") {
            return Ok(None);
        }
        let signature = line::signature(&self.profile.join("device.key"), &self.user, exporter)?;
        command.insert("signature".to_owned(), signature.into());
        Ok(Some(Value::Object(command).to_string()))
    }
}
