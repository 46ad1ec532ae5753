//! `init`: the files that it makes, and its refusal to overwrite.

use std::fs;
use std::process::Command;

use crate::world::World;

#[test]
fn init_makes_every_file_with_its_mode() {
    let world = World::empty();
    let run = world.succeed(&["init", "--keys", "keys"]);
    assert_eq!(run.out, format!("made the root in keys/ttp\nfingerprint {}\n", world.root().fingerprint()));
    for (name, mode) in [
        ("keys/ttp", 0o711),
        ("keys/ttp/ca.key", 0o600),
        ("keys/ttp/ca.crt", 0o644),
        ("keys/ttp/log.key", 0o600),
        ("keys/ttp/log.crt", 0o644),
        ("keys/ttp/ttp.db", 0o600),
    ] {
        assert_eq!(world.mode(name), mode, "{name}");
    }
    let mut there: Vec<_> =
        fs::read_dir(world.path("keys/ttp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["ca.crt", "ca.key", "log.crt", "log.key", "ttp.db"]);
    assert_eq!(fs::read_dir(world.keys()).unwrap().count(), 1);
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    for mask in ["000", "077"] {
        let world = World::empty();
        let program = env!("CARGO_BIN_EXE_parlour-ttp");
        let script = format!("umask {mask} && '{program}' init && '{program}' server-cert --host localhost");
        let output = Command::new("sh").args(["-c", &script]).current_dir(world.path("")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        for (name, mode) in [
            ("keys/ttp", 0o711),
            ("keys/ttp/ca.key", 0o600),
            ("keys/ttp/ca.crt", 0o644),
            ("keys/ttp/ttp.db", 0o600),
            ("keys/server", 0o700),
            ("keys/server/server.key", 0o600),
            ("keys/server/server.crt", 0o644),
        ] {
            assert_eq!(world.mode(name), mode, "{name} under {mask}");
        }
    }
}

#[test]
fn init_refuses_to_overwrite_and_changes_nothing() {
    let world = World::new();
    let before = ["ca.key", "ca.crt", "log.key"].map(|name| world.text(&format!("keys/ttp/{name}")));
    let run = world.fail(&["init"]);
    assert!(run.err.starts_with("error: keys/ttp is there already\nhint: "), "{run:?}");
    let after = ["ca.key", "ca.crt", "log.key"].map(|name| world.text(&format!("keys/ttp/{name}")));
    assert_eq!(before, after);
    fs::remove_file(world.path("keys/ttp/ca.crt")).unwrap();
    world.fail(&["init"]);
}

#[test]
fn the_folder_of_a_killed_init_is_replaced() {
    let world = World::empty();
    fs::create_dir_all(world.path("keys/.ttp.new")).unwrap();
    fs::write(world.path("keys/.ttp.new/ca.key"), "half").unwrap();
    fs::create_dir(world.path("keys/ttp")).unwrap();
    world.succeed(&["init"]);
    assert!(!world.path("keys/.ttp.new").exists());
    assert_eq!(world.root().common_name(), "Parlour root");
}

#[test]
fn of_inits_at_the_same_time_one_wins() {
    let world = World::empty();
    let won = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..8).map(|_| scope.spawn(|| world.command(&["init"]).output().unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).filter(|output| output.status.success()).count()
    });
    assert_eq!(won, 1);
    assert!(world.text("keys/ttp/ca.key").contains("PRIVATE KEY"));
}

#[test]
fn a_keys_folder_that_is_a_file_is_an_error() {
    let world = World::empty();
    fs::write(world.path("keys"), "").unwrap();
    world.fail(&["init"]);
    assert_eq!(world.text("keys"), "");
}

#[test]
fn commands_without_a_root_say_what_to_do() {
    let world = World::empty();
    for arguments in [&["serve"][..], &["show"], &["server-cert", "--host", "localhost"], &["revoke", "sam"]]
    {
        let run = world.fail(arguments);
        assert_eq!(
            run.err,
            "error: there is no root in keys\nhint: make one with 'parlour-ttp init --keys keys', or name the folder with --keys\n",
        );
    }
    assert!(!world.keys().exists());
}

#[test]
fn a_key_that_does_not_belong_to_the_root_is_refused() {
    let (world, other) = (World::new(), World::new());
    fs::copy(other.path("keys/ttp/ca.key"), world.path("keys/ttp/ca.key")).unwrap();
    let run = world.fail(&["serve"]);
    assert!(run.err.contains("the root key does not belong to the root certificate"), "{run:?}");
    fs::write(world.path("keys/ttp/ca.key"), "nonsense").unwrap();
    world.fail(&["serve"]);
}

#[test]
fn openssl_reads_the_keys_and_verifies_the_certificates() {
    let openssl = |arguments: &[&str], world: &World| {
        let output = Command::new("openssl").args(arguments).current_dir(world.path("")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text
    };
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let world = World::new();
    world.succeed(&["server-cert", "--host", "localhost", "--host", "127.0.0.1"]);
    let root = openssl(&["x509", "-in", "keys/ttp/ca.crt", "-noout", "-text"], &world);
    for part in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "CN = Parlour root", "prime256v1"] {
        assert!(root.contains(part), "{part}: {root}");
    }
    let server = openssl(&["x509", "-in", "keys/server/server.crt", "-noout", "-text"], &world);
    for part in ["CA:FALSE", "DNS:localhost, IP Address:127.0.0.1", "TLS Web Server Authentication"] {
        assert!(server.contains(part), "{part}: {server}");
    }
    let verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "keys/ttp/ca.crt"];
    openssl(&[&verify[..], &["keys/server/server.crt"]].concat(), &world);
    for key in ["keys/ttp/ca.key", "keys/server/server.key"] {
        openssl(&["pkey", "-in", key, "-noout", "-check"], &world);
    }
    assert!(openssl(&["pkey", "-in", "keys/ttp/log.key", "-noout", "-text"], &world).contains("ED25519"));
    let public = |arguments: &[&str]| openssl(arguments, &world);
    assert_eq!(
        public(&["pkey", "-in", "keys/server/server.key", "-pubout"]),
        public(&["x509", "-in", "keys/server/server.crt", "-noout", "-pubkey"])
    );
}
