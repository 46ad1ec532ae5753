//! The practical limit: accepts TLS connections and writes every line to everyone in the same room.
//! Single-threaded, without parsing, names, rights, history or acknowledgement. The server's cost beyond this is
//! the cost of those.
//!
//! `bare KEY CHAIN ROOT` prints `listening on ADDRESS`. The first line of a connection names its room.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

/// The data that waits for one connection.
#[derive(Default)]
struct Member {
    queue: RefCell<Vec<u8>>,
    ready: Notify,
    gone: Cell<bool>,
}

type Rooms = Rc<RefCell<HashMap<String, Vec<Rc<Member>>>>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, key, chain, root] = arguments.as_slice() else { anyhow::bail!("bare KEY CHAIN ROOT") };
    let config = config(Path::new(key), Path::new(chain), Path::new(root))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let rooms = Rooms::default();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (acceptor, rooms) = (acceptor.clone(), Rc::clone(&rooms));
            tokio::task::spawn_local(async move {
                // Broken connections do not matter here.
                let _ = serve(acceptor, stream, rooms).await;
            });
        }
    })
}

fn config(key: &Path, chain: &Path, root: &Path) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root)?)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, rooms: Rooms) -> Result<()> {
    let (read, mut write) = split(acceptor.accept(stream).await?);
    let mut read = BufReader::new(read);
    let mut room = String::new();
    read.read_line(&mut room).await?;
    let member = Rc::new(Member::default());
    rooms.borrow_mut().entry(room.clone()).or_default().push(Rc::clone(&member));
    let writing = async {
        loop {
            member.ready.notified().await;
            let bytes = std::mem::take(&mut *member.queue.borrow_mut());
            write.write_all(&bytes).await?;
            write.flush().await?;
        }
        #[allow(unreachable_code)] // gives the task its error type
        anyhow::Ok(())
    };
    let reading = async {
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line).await? > 0 {
            let rooms = rooms.borrow();
            for other in rooms.get(&room).context("the room is there")? {
                if !other.gone.get() {
                    other.queue.borrow_mut().extend_from_slice(&line);
                    other.ready.notify_one();
                }
            }
            line.clear();
        }
        anyhow::Ok(())
    };
    let outcome = tokio::select! {
        outcome = reading => outcome,
        outcome = writing => outcome,
    };
    member.gone.set(true);
    if let Some(members) = rooms.borrow_mut().get_mut(&room) {
        members.retain(|other| !other.gone.get());
    }
    outcome
}
