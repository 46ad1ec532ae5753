//! TLS between our programs: 1.3 alone, hybrid key exchange, the root in the chain, no resumption.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::line::{self, Stream};
use parlour_tests::{Client, DEADLINE, Line, World};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{NamedGroup, ProtocolVersion, ServerConfig, ServerConnection, StreamOwned};

fn group(stream: &Stream) -> Result<NamedGroup> {
    Ok(stream.conn.negotiated_key_exchange_group().context("no key exchange")?.name())
}

#[test]
fn the_server_prefers_the_hybrid_key_exchange_and_takes_a_classical_one() -> Result<()> {
    let world = World::with().start()?;
    let stream = line::connect(world.address()?, line::config(&world.root(), None)?)?;
    assert_eq!(group(&stream)?, NamedGroup::X25519MLKEM768);
    assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let mut provider = default_provider();
    provider.kx_groups = vec![kx_group::X25519];
    let stream = line::connect(world.address()?, line::config_with(provider, &world.root(), None)?)?;
    assert_eq!(group(&stream)?, NamedGroup::X25519);
    Line::over(stream)?.ask("/help", "/register {}")?;
    Ok(())
}

#[test]
fn the_client_offers_the_hybrid_key_exchange_and_nothing_older_than_tls_1_3() -> Result<()> {
    let world = World::with().prepare()?;
    let keys = world.path("keys/server");
    let chain = CertificateDer::pem_file_iter(keys.join("server.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    // A server that prefers nothing, and would take TLS 1.2.
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(keys.join("server.key"))?)?;
    let mut command = world.client_command_to("sam", &address)?;
    let mut sam = Client::start("sam", command.arg("--plain"))?;
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config))?, stream);
    let mut first = [0; "/dialect json\n".len()];
    tls.read_exact(&mut first)?;
    assert_eq!(&first, b"/dialect json\n");
    let group = tls.conn.negotiated_key_exchange_group().context("no key exchange")?.name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(tls.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    // To a server that does not speak the protocol it says so and leaves.
    tls.write_all(b"HTTP/1.1 400 Bad Request\n")?;
    tls.flush()?;
    drop(tls);
    let status = sam.process.wait()?;
    sam.close();
    ensure!(!status.success() && sam.process.errors().contains("error: "), "{}", sam.process.errors());
    Ok(())
}

#[test]
fn the_server_sends_its_certificate_and_the_root_and_no_tickets() -> Result<()> {
    let world = World::with().start()?;
    let mut stream = line::connect(world.address()?, line::config(&world.root(), None)?)?;
    stream.write_all(b"/help\n")?;
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte)?;
    }
    let chain = stream.conn.peer_certificates().context("no certificates")?;
    let root = CertificateDer::from_pem_file(world.root())?;
    ensure!(chain.len() == 2 && chain[1] == root && chain[0] != root, "{} certificates", chain.len());
    let leaf = parlour_keylog::ServerCertificate::from_der(&chain[0])?;
    ensure!(leaf.hosts().iter().any(|host| host.dns() == Some("localhost")));
    assert_eq!(stream.conn.tls13_tickets_received(), 0);
    assert_eq!(stream.conn.alpn_protocol(), None);
    Ok(())
}

#[test]
fn who_does_not_speak_tls_is_told_nothing() -> Result<()> {
    let world = World::peopled()?;
    for bytes in [
        b"/login sam AAAA\n".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 600],
        b"\x16\x03\x01\x00\x05hello",
    ] {
        let mut stream = TcpStream::connect(world.address()?)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(bytes)?;
        let mut heard = Vec::new();
        // A reset ends it as well.
        if let Err(error) = stream.read_to_end(&mut heard) {
            ensure!(error.kind() != std::io::ErrorKind::WouldBlock, "it does not end: {bytes:?}");
        }
        // A TLS alert, or nothing.
        ensure!(heard.is_empty() || heard.starts_with(&[0x15, 0x03]), "{heard:?}");
        ensure!(heard.len() <= 7, "{heard:?}");
    }
    world.logged_in_line("sam")?.ask("/users", "sam")?;
    Ok(())
}
