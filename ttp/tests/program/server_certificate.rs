//! `server-cert` and `show`.

use std::fs;

use parlour_envelope::AwsLc;
use parlour_keylog::{RootCertificate, ServerCertificate};

use crate::world::World;

const DAY: i64 = 24 * 60 * 60;

fn certificate(world: &World) -> ServerCertificate {
    ServerCertificate::from_der(&chain(world)[0]).unwrap()
}

fn chain(world: &World) -> Vec<Vec<u8>> {
    use rustls_pki_types::pem::PemObject as _;
    let blocks =
        rustls_pki_types::CertificateDer::pem_file_iter(world.path("keys/server/server.crt")).unwrap();
    blocks.map(|block| block.unwrap().to_vec()).collect()
}

fn count(world: &World) -> usize {
    let run = world.succeed(&["show"]);
    run.out.lines().filter(|line| line.contains(" server ")).count()
}

#[test]
fn a_server_certificate_comes_with_its_key_and_the_root() {
    let world = World::new();
    let run =
        world.succeed(&["server-cert", "--keys", "keys", "--host", "Chat.Example.org", "--host", "::1"]);
    assert_eq!(run.out, "minted keys/server/server.crt\n");
    for (name, mode) in [
        ("keys/server", 0o700),
        ("keys/server/server.key", 0o600),
        ("keys/server/server.crt", 0o644),
        ("keys/server/ca.crt", 0o644),
    ] {
        assert_eq!(world.mode(name), mode, "{name}");
    }
    assert_eq!(fs::read_dir(world.path("keys/server")).unwrap().count(), 3);
    let certificate = certificate(&world);
    let hosts: Vec<String> = certificate.hosts().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["chat.example.org", "::1"]);
    assert_eq!(certificate.not_after() - certificate.not_before(), 365 * DAY + 300);
    assert_eq!(certificate.verify(&world.root(), certificate.not_after()), Ok(()));
    assert_eq!(chain(&world)[1], world.root().der());
    assert_eq!(RootCertificate::from_pem(&world.text("keys/server/ca.crt"), &AwsLc), Ok(world.root()));
}

#[test]
fn a_second_certificate_is_for_the_same_key() {
    let world = World::new();
    world.succeed(&["server-cert", "--host", "localhost"]);
    let (first, key) = (certificate(&world), world.text("keys/server/server.key"));
    world.succeed(&["server-cert", "--host", "localhost"]);
    let second = certificate(&world);
    assert_eq!(world.text("keys/server/server.key"), key);
    assert_eq!(first.spki_der(), second.spki_der());
    assert_ne!(first.serial(), second.serial());
    assert_eq!(count(&world), 2);
}

#[test]
fn a_killed_run_leaves_a_key_that_the_next_one_uses() {
    let world = World::new();
    world.succeed(&["server-cert", "--host", "localhost"]);
    let key = world.text("keys/server/server.key");
    fs::remove_file(world.path("keys/server/server.crt")).unwrap();
    fs::write(world.path("keys/server/.server.crt.new"), "half").unwrap();
    world.succeed(&["server-cert", "--host", "localhost", "--if-needed"]);
    assert_eq!(world.text("keys/server/server.key"), key);
    assert_eq!(fs::read_dir(world.path("keys/server")).unwrap().count(), 3);
}

#[test]
fn a_good_certificate_is_kept_and_another_is_not() {
    let world = World::new();
    let mint = |options: &[&str]| {
        let arguments = [&["server-cert", "--if-needed"], options].concat();
        world.succeed(&arguments).out.split(' ').next().unwrap().to_owned()
    };
    let both = ["--host", "localhost", "--host", "127.0.0.1"];
    let other_order = ["--host", "127.0.0.1", "--host", "LOCALHOST", "--host", "localhost"];
    assert_eq!(mint(&both), "minted");
    assert_eq!(mint(&both), "kept");
    assert_eq!(mint(&other_order), "kept");
    assert_eq!(mint(&["--host", "localhost"]), "minted");
    assert_eq!(mint(&both), "minted");

    let later = |days: i64| mint(&[&both[..], &["--clock-offset", &(days * DAY).to_string()]].concat());
    assert_eq!(later(334), "kept");
    assert_eq!(later(336), "minted");
    // By the present clock that certificate is not valid yet.
    assert_eq!(mint(&both), "minted");

    fs::write(world.path("keys/server/server.crt"), "nonsense").unwrap();
    assert_eq!(mint(&both), "minted");
    fs::remove_file(world.path("keys/server/ca.crt")).unwrap();
    assert_eq!(mint(&both), "minted");
    fs::remove_file(world.path("keys/server/server.key")).unwrap();
    assert_eq!(mint(&both), "minted");
    assert_eq!(mint(&both), "kept");

    fs::remove_dir_all(world.path("keys/ttp")).unwrap();
    world.succeed(&["init"]);
    assert_eq!(mint(&both), "minted");
    assert_eq!(certificate(&world).verify(&world.root(), certificate(&world).not_after()), Ok(()));
}

#[test]
fn an_invalid_host_is_refused_and_nothing_is_made() {
    let world = World::new();
    for host in ["", "a b", "*.example.org", "localhost:7275", "1.2.3", "a/../b", "-x", "bücher.example"] {
        let run = world.fail(&["server-cert", &format!("--host={host}")]);
        assert!(run.err.contains("host"), "{run:?}");
    }
    let run = world.fail(&["server-cert"]);
    assert!(run.err.starts_with("error: a server certificate is for at least one host\nhint: "), "{run:?}");
    assert!(!world.path("keys/server").exists());
}

#[test]
fn a_server_key_of_another_kind_is_not_overwritten() {
    let world = World::new();
    world.succeed(&["server-cert", "--host", "localhost"]);
    fs::copy(world.path("keys/ttp/log.key"), world.path("keys/server/server.key")).unwrap();
    let run = world.fail(&["server-cert", "--host", "localhost"]);
    assert!(run.err.contains("keys/server/server.key is not a P-256 key"), "{run:?}");
    assert_eq!(world.text("keys/server/server.key"), world.text("keys/ttp/log.key"));
}

#[test]
fn show_gives_the_fingerprint_and_the_invitation() {
    let world = World::new();
    let print = world.root().fingerprint();
    let invitation = |options: &[&str]| {
        let run = world.succeed(&[&["show"], options].concat());
        let mut lines = run.out.lines();
        assert_eq!(lines.next(), Some(format!("fingerprint {print}").as_str()));
        lines.next().unwrap().strip_prefix("invitation ").unwrap().to_owned()
    };
    assert!(invitation(&[]).starts_with("none"));
    world.succeed(&["server-cert", "--host", "127.0.0.1", "--host", "::1"]);
    assert_eq!(invitation(&[]), format!("parlour://127.0.0.1:7275/#{print}"));
    world.succeed(&["server-cert", "--host", "127.0.0.1", "--host", "chat.example.org"]);
    assert_eq!(invitation(&[]), format!("parlour://chat.example.org:7275/#{print}"));
    assert_eq!(invitation(&["--server", "[::1]:9"]), format!("parlour://[::1]:9/#{print}"));
    assert_eq!(invitation(&["--server", "other"]), format!("parlour://other:7275/#{print}"));
    world.fail(&["show", "--server", "a b"]);
    // Said to people, not in what programs read.
    for (server, is_other) in [("127.0.0.1:9", false), ("chat.example.org", false), ("other.org:7275", true)]
    {
        let warned = world.succeed(&["show", "--server", server]).err;
        assert_eq!(warned.contains("the server's certificate is not for this host"), is_other, "{warned}");
    }
}
