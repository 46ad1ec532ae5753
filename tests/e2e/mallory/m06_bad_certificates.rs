//! 6: use a bad certificate.
//!
//! Bites: a flawless certificate, made in the same way, logs in, and a client trusts it. With the check of the
//! extended key usage switched off in `DeviceCertificate::from_der`, the one that is "for serving too" logged in.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use parlour_keylog::DeviceCertificate;
use parlour_tests::{Client, DEADLINE, World, line};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{der, stolen_authority, user, wait_for_log};

/// Correct parameters for a device of sam's: every bad certificate differs in one thing.
fn of_a_device(device: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("sam");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(&format!("parlour:sam/{device}"))?];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn uri(text: &str) -> Result<SanType> {
    Ok(SanType::URI(Ia5String::try_from(text)?))
}

/// A change that makes a correct certificate wrong.
type Flaw = fn(&mut CertificateParams);

const FLAWS: [(&str, Flaw); 12] = [
    ("expired", |params| params.not_after = date_time_ymd(2020, 1, 1)),
    ("not valid yet", |params| params.not_before = date_time_ymd(2090, 1, 1)),
    ("for serving", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("for serving too", |params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)),
    ("for anything", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
    ("for nothing named", |params| params.extended_key_usages.clear()),
    ("of an authority", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ("of unknown kind", |params| params.is_ca = IsCa::NoCa),
    ("another's", |params| params.distinguished_name = named("erik")),
    ("another's device", |params| {
        params.subject_alt_names = uri("parlour:sam/0123456789abcdef").into_iter().collect();
    }),
    ("no device's", |params| params.subject_alt_names.clear()),
    ("for sealing", |params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
];

#[test]
fn a_device_certificate_with_one_flaw_logs_nobody_in() -> Result<()> {
    let world = World::with().people().limit("failed_logins_per_minute=1000").start()?;
    let profile = world.profile("sam");
    let device_key = profile.join("device.key");
    let key = KeyPair::from_pem(&std::fs::read_to_string(&device_key)?)?;
    let own = DeviceCertificate::from_der(&der(&profile.join("device.crt"))?)?;
    let device = own.device().to_string();
    let issuer = stolen_authority(&world)?;
    let path = world.path("made.crt");
    let used = |pem: String| -> Result<Vec<String>> {
        std::fs::write(&path, pem)?;
        // In TLS 1.3 a client learns of the refusal only after its side of the handshake.
        let Ok(mut line) = world.line_with(&path, &device_key) else { return Ok(Vec::new()) };
        let signature = line::signature(&device_key, &user("sam")?, &line.exporter)?;
        // The connection may be closed before this is sent.
        let _ = line.say(&format!("/users\nhello\n/login sam {signature}\n/users\n/exit"));
        line.lines.rest()
    };
    let not_now = "error: command not currently available";
    for (flaw, make) in FLAWS {
        let mut params = of_a_device(&device)?;
        make(&mut params);
        let heard = used(params.signed_by(&key, &issuer)?.pem())?;
        let refused = [not_now, not_now, "error: invalid credentials"];
        ensure!(heard.is_empty() || heard == refused, "{flaw}: {heard:?}");
    }
    // From an intermediate authority that the root has signed; and from an authority of the same name.
    let between_key = KeyPair::generate()?;
    let mut between = CertificateParams::default();
    between.distinguished_name = named("between");
    between.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let between_pem = between.signed_by(&between_key, &issuer)?.pem();
    let below = of_a_device(&device)?.signed_by(&key, &Issuer::new(between, between_key))?.pem();
    ensure!(used(below.clone() + &between_pem)?.is_empty() && used(below)?.is_empty(), "behind another");
    let mut double = CertificateParams::default();
    double.distinguished_name = named("Parlour root");
    double.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let double = of_a_device(&device)?.signed_by(&key, &Issuer::new(double, KeyPair::generate()?))?.pem();
    ensure!(used(double)?.is_empty(), "by a double of the root");
    ensure!(!world.server_log().contains("logged in"), "somebody came in");

    let heard = used(of_a_device(&device)?.signed_by(&key, &issuer)?.pem())?;
    ensure!(heard == [not_now, not_now, "Authentication Succeeded", "sam"], "{heard:?}");
    Ok(())
}

/// A server with this certificate, and what it hears of a client that comes.
fn heard_with(
    world: &World,
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> Result<(Vec<u8>, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut command = world.client_command_to("sam", &listener.local_addr()?.to_string())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    let (stream, _) = listener.accept()?;
    // When it reconnects as a guest, there is no listener.
    drop(listener);
    stream.set_read_timeout(Some(DEADLINE))?;
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config))?, stream);
    let mut heard = vec![0; 64];
    // A client that does not trust it ends the connection.
    let count = tls.read(&mut heard).unwrap_or(0);
    heard.truncate(count);
    drop(tls);
    sam.close();
    sam.process.wait()?;
    Ok((heard, sam.process.errors()))
}

#[test]
fn a_client_says_nothing_to_a_server_whose_certificate_has_a_flaw() -> Result<()> {
    let world = World::with().people().prepare()?;
    let root = CertificateDer::from_pem_file(world.root())?;
    let key = KeyPair::generate()?;
    let right = || -> Result<CertificateParams> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("localhost");
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        Ok(params)
    };
    let flaws: [(&str, Flaw); 6] = [
        ("expired", |params| params.not_after = date_time_ymd(2020, 1, 1)),
        ("not valid yet", |params| params.not_before = date_time_ymd(2090, 1, 1)),
        ("for clients", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        ("of an authority", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        ("another host's", |params| {
            params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::new(127, 0, 0, 2).into())];
        }),
        ("no host's", |params| params.subject_alt_names.clear()),
    ];
    let issuer = stolen_authority(&world)?;
    let chain = |certificate: &CertificateDer<'static>| vec![certificate.clone(), root.clone()];
    for (flaw, make) in flaws {
        let mut params = right()?;
        make(&mut params);
        let (heard, said) = heard_with(&world, chain(params.signed_by(&key, &issuer)?.der()), &key)?;
        ensure!(heard.is_empty() && said.contains("is not the server that you trust"), "{flaw}: {said}");
    }
    let (heard, said) = heard_with(&world, vec![right()?.self_signed(&key)?.der().clone()], &key)?;
    ensure!(heard.is_empty() && said.contains("is not the server that you trust"), "self-signed: {said}");
    let (heard, said) = heard_with(&world, chain(&of_the_device(&world)?), &own_key(&world)?)?;
    ensure!(heard.is_empty() && said.contains("is not the server that you trust"), "a device's: {said}");

    let (heard, said) = heard_with(&world, chain(right()?.signed_by(&key, &issuer)?.der()), &key)?;
    ensure!(heard == b"/dialect json\n", "{said}");
    Ok(())
}

fn of_the_device(world: &World) -> Result<CertificateDer<'static>> {
    Ok(CertificateDer::from_pem_file(world.profile("sam").join("device.crt"))?)
}

fn own_key(world: &World) -> Result<KeyPair> {
    let pem = std::fs::read_to_string(world.profile("sam").join("device.key"))?;
    KeyPair::from_pem(&pem).context("device.key")
}

/// Connects with this certificate; the login must fail for this reason.
fn is_kept_out(world: &World, certificate: &str, key: &str, reason: &str) -> Result<()> {
    // In TLS 1.3 a client learns of the refusal only after its side of the handshake.
    if let Ok(mut line) = world.line_with(&world.path(certificate), &world.path(key)) {
        let signature = parlour_tests::line::signature(
            &world.profile("sam").join("device.key"),
            &user("sam")?,
            &line.exporter,
        )?;
        // The connection may be closed before this is sent.
        let _ = line.say(&format!("/login sam {signature}"));
        let said = line.lines.rest()?;
        ensure!(said.is_empty() || said == ["error: invalid credentials"], "{said:?}");
    }
    wait_for_log(world, reason)
}

#[test]
fn a_certificate_that_is_not_a_devices_of_this_authority_opens_nothing() -> Result<()> {
    let world = World::peopled()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "sam");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    std::fs::write(world.path("own.crt"), params.self_signed(&key)?.pem())?;
    std::fs::write(world.path("own.key"), key.serialize_pem())?;
    is_kept_out(&world, "own.crt", "own.key", "UnknownIssuer")?;

    // The account's certificate is from the right authority and for the right name, but for sealing.
    let of_sam = |file: &str| PathBuf::from("people/sam/sam").join(file).display().to_string();
    is_kept_out(&world, &of_sam("account.crt"), &of_sam("account.key"), "fault=certificate: ")?;
    // So is the server's, which is for serving.
    is_kept_out(&world, "keys/server/server.crt", "keys/server/server.key", "for client authentication")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    Ok(())
}

#[test]
fn a_device_of_another_authority_hears_what_every_failed_login_hears() -> Result<()> {
    let world = World::with().start()?;
    let other = World::with().people().prepare()?;
    // Sam's keys from elsewhere, in a profile that trusts this server.
    let profile = world.profile("sam");
    std::fs::create_dir_all(&profile)?;
    for file in ["device.key", "device.crt", "seal.key", "account.key", "account.crt", "profile.toml"] {
        std::fs::copy(other.profile("sam").join(file), profile.join(file))?;
    }
    std::fs::copy(world.root(), profile.join("ca.crt"))?;
    let mut sam = world.client("sam")?;
    sam.ask("/login sam", "error: invalid credentials")?;
    wait_for_log(&world, "handshake failed")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    ensure!(sam.leave()? == 1);
    Ok(())
}

#[test]
fn an_expired_device_certificate_does_not_log_in() -> Result<()> {
    let world = World::with().people().clock_offset(8 * 24 * 60 * 60).start()?;
    is_kept_out(&world, "people/sam/sam/device.crt", "people/sam/sam/device.key", "certificate expired")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");
    Ok(())
}
