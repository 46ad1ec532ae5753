//! TLS between our programs: 1.3 alone, hybrid key exchange, the root in the chain, no resumption.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use parlour_tests::line::{self, Stream};
use parlour_tests::{Line, World};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{NamedGroup, ProtocolVersion};

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
