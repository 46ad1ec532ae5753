//! 7: downgrade: an older TLS, weaker groups and ciphers, or a server that leaves the sealing out.
//!
//! Bites: `openssl s_client` with allowed settings gets the server's certificate.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, DEADLINE, Logins, Operator, Process, World, edited, free_address, outside};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{NamedGroup, ProtocolVersion, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::kept;

#[test]
fn the_server_takes_no_weak_group_and_no_weak_cipher() -> Result<()> {
    let Some(openssl) = outside::openssl()? else { return Ok(()) };
    let world = World::with().start()?;
    for (options, is_taken) in [
        (["-groups", "X25519"], true),
        (["-groups", "P-256"], true),
        (["-groups", "ffdhe2048"], false),
        (["-groups", "P-521"], false),
        (["-ciphersuites", "TLS_AES_128_GCM_SHA256"], true),
        (["-ciphersuites", "TLS_AES_128_CCM_8_SHA256"], false),
        (["-ciphersuites", "TLS_AES_128_CCM_SHA256"], false),
    ] {
        let output = s_client(&world, &openssl, &options)?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.contains("BEGIN CERTIFICATE") == is_taken, "{options:?}: {said}");
    }
    Ok(())
}

#[test]
fn a_client_does_not_follow_a_server_to_an_older_tls() -> Result<()> {
    let Some(openssl) = outside::openssl()? else { return Ok(()) };
    let world = World::with().people().prepare()?;
    let keys = world.path("keys/server");
    for (version, is_taken) in [("-tls1_2", false), ("-tls1_3", true)] {
        let address = free_address()?.to_string();
        let mut command = Command::new(&openssl);
        command.args(["s_server", "-accept", &address, version, "-cert"]).arg(keys.join("server.crt"));
        command.arg("-key").arg(keys.join("server.key")).arg("-cert_chain").arg(world.root());
        let mut server = Process::start("s_server", &mut command, Stdio::piped())?;
        server.out.wait_for("ACCEPT")?;
        let mut command = world.client_command_to("sam", &address)?;
        let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
        if is_taken {
            server.out.wait_for("/dialect json")?;
        } else {
            // An alert during a login looks like any other refusal.
            sam.expect("error: invalid credentials")?;
            let heard = server.out.so_far().concat();
            ensure!(!heard.contains("dialect"), "it was told something: {heard}");
        }
    }
    Ok(())
}

#[test]
fn a_server_that_leaves_the_sealing_out_is_not_believed_and_gets_no_text() -> Result<()> {
    let world = World::peopled()?;
    // A private message in clear, as if the sender's client could not seal; and accounts without a key.
    let operator = Operator::before(
        &world,
        "erik",
        Logins::Anew,
        edited(|line| {
            if line["event"] == "message"
                && line["to"] == "@erik"
                && let Some(message) = line.as_object_mut()
            {
                message.remove("sealed");
                message.insert("text".to_owned(), json!("I resign"));
            }
            if line["ok"] == "account" && line["user"] == "anna" {
                line["certificate"] = json!("");
            }
        }),
    )?;
    let mut command = world.client_command_to("erik", &operator.address())?;
    let mut erik = Client::start("erik", command.args(["--plain", "--user", "erik"]))?;
    erik.expect("Authentication Succeeded")?;
    let mut sam = world.logged_in("sam")?;
    sam.ask("@erik yes", "{} sam: @erik yes")?;
    erik.expect("{} sam [not sealed: anybody could have written it]: @erik")?;
    erik.ask("@anna a secret", "error: the account certificate of anna does not hold: {}; nothing was sent")?;
    ensure!(kept(&world)? == 1, "it was sent all the same");
    // The server does not hide the key from her, so erik's client still seals.
    erik.ask("@sam a secret", "{} erik: @sam a secret")?;
    Ok(())
}

#[test]
fn a_private_message_that_is_not_sealed_is_refused() -> Result<()> {
    let world = World::peopled()?;
    let mut line = world.logged_in_line("sam")?;
    line.ask("@erik hello", "error: private messages must be sealed")?;
    line.ask("@erik {\"sealed\":1}", "error: private messages must be sealed")?;
    let mut line = world.json_line("anna")?;
    let id = "0197741c-9a80-7000-8000-000000000001";
    for (number, sealed) in [(1, Value::Null), (2, json!({})), (3, json!("x"))] {
        let reply = line.call(&json!({
            "id": number, "cmd": "post", "to": "@erik", "message_id": id, "text": "hello", "sealed": sealed,
        }))?;
        ensure!(reply.get("ok").is_none() && reply["error"]["code"].is_string(), "{reply}");
    }
    let reply =
        line.call(&json!({"id": 4, "cmd": "post", "to": "@erik", "message_id": id, "text": "hello"}))?;
    ensure!(reply["error"]["code"] == "must_be_sealed", "{reply}");
    ensure!(kept(&world)? == 0);
    Ok(())
}

#[test]
fn the_client_offers_the_hybrid_key_exchange_and_nothing_older_than_tls_1_3() -> Result<()> {
    let world = World::with().prepare()?;
    let keys = world.path("keys/server");
    let chain = CertificateDer::pem_file_iter(keys.join("server.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    // A server without preferences, which would accept TLS 1.2.
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
    // When the server does not speak the protocol, the client says so and leaves.
    tls.write_all(b"HTTP/1.1 400 Bad Request\n")?;
    tls.flush()?;
    drop(tls);
    let status = sam.process.wait()?;
    sam.close();
    ensure!(!status.success() && sam.process.errors().contains("error: "), "{}", sam.process.errors());
    Ok(())
}

/// Runs `openssl s_client` against the world's server with these options.
fn s_client(world: &World, openssl: &Path, options: &[&str]) -> Result<Output> {
    let mut command = Command::new(openssl);
    command.args(["s_client", "-connect", &world.address()?.to_string(), "-CAfile"]).arg(world.root());
    command.args(["-verify_return_error", "-showcerts"]).args(options);
    Ok(command.stdin(Stdio::null()).output()?)
}

#[test]
fn openssl_verifies_the_server_and_gets_no_older_tls_than_1_3() -> Result<()> {
    let Some(openssl) = outside::openssl()? else { return Ok(()) };
    let world = World::with().start()?;
    let output = s_client(&world, &openssl, &["-tls1_3", "-verify_hostname", "localhost"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("TLSv1.3") && said.contains("Verify return code: 0 (ok)"), "{said}");
    ensure!(said.matches("BEGIN CERTIFICATE").count() >= 2, "{said}");
    ensure!(!said.contains("TLS session ticket"), "{said}");
    for options in [["-tls1_2"].as_slice(), &["-tls1_2", "-cipher", "ALL:@SECLEVEL=0"], &["-tls1_1"]] {
        let output = s_client(&world, &openssl, options)?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(!output.status.success() && !said.contains("BEGIN CERTIFICATE"), "{options:?}: {said}");
    }
    Ok(())
}
