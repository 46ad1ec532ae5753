//! A failing start gives its reason in one line, with exit status 2, and leaves no partial files.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, Finished, World, free_address, run_to_end, wait_until};

/// Checks the rules for every failed start, and returns the line of error.
fn refused(finished: &Finished) -> Result<String> {
    ensure!(finished.code == 2, "exit status 2 was expected: {finished:#?}");
    ensure!(finished.out.is_empty(), "nothing was expected on standard output: {finished:#?}");
    finished.error().map(str::to_owned)
}

/// Runs the world's server, which must not start; returns its one line of error, and its hint.
fn server_refuses(world: &World, arguments: &[&str]) -> Result<(String, String)> {
    let mut command = world.server_command(&free_address()?.to_string())?;
    let finished = run_to_end("server", command.args(arguments), "")?;
    let error = refused(&finished)?;
    ensure!(!finished.errors.contains("ready"), "it was ready: {finished:#?}");
    Ok((error, finished.hint()))
}

/// Runs a server with only these options, which must not start; returns its one line of error, and its hint.
fn bare_server_refuses(world: &World, arguments: &[&str]) -> Result<(String, String)> {
    let mut command = world.command("parlour-server")?;
    command.args(["run", "--listen", &free_address()?.to_string(), "--keys", "keys/server"]);
    let finished = run_to_end("server", command.args(arguments), "")?;
    Ok((refused(&finished)?, finished.hint()))
}

/// Replaces a file's content while `check` runs, or removes the file for `None`. Its mode stays.
fn with_file<T>(path: &Path, content: Option<&[u8]>, check: impl FnOnce() -> Result<T>) -> Result<T> {
    let (before, mode) = (std::fs::read(path)?, std::fs::metadata(path)?.permissions());
    match content {
        Some(content) => std::fs::write(path, content)?,
        None => std::fs::remove_file(path)?,
    }
    let outcome = check();
    std::fs::write(path, before)?;
    std::fs::set_permissions(path, mode)?;
    outcome
}

#[test]
fn a_server_without_good_keys_names_the_file_and_makes_nothing() -> Result<()> {
    let world = World::with().prepare()?;
    let other = World::with().prepare()?;
    let theirs = |file: &str| std::fs::read(other.path("keys/server").join(file));
    let (their_key, their_chain) = (theirs("server.key")?, theirs("server.crt")?);
    let garbage: &[u8] = b"\x00\xff no key at all";
    let broken: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, content, named) in [
        ("server.key", None, "server.key: cannot be read: "),
        ("server.key", Some(garbage), "server.key: "),
        ("server.key", Some(b"".as_slice()), "server.key: holds no key"),
        // The key of another server does not match the certificate here.
        ("server.key", Some(&their_key), "server.crt: "),
        ("server.crt", None, "server.crt: cannot be read: "),
        ("server.crt", Some(garbage), "server.crt: "),
        ("server.crt", Some(broken), "server.crt: "),
        ("server.crt", Some(&their_chain), "server.crt: its chain does not end in the root in ca.crt"),
        ("ca.crt", None, "ca.crt: cannot be read: "),
        ("ca.crt", Some(garbage), "ca.crt: "),
        ("ca.crt", Some(broken), "ca.crt: "),
    ] {
        let path = world.path("keys/server").join(file);
        let (error, hint) = with_file(&path, content, || server_refuses(&world, &[]))
            .with_context(|| format!("{file} with {content:?}"))?;
        ensure!(error.starts_with(&format!("error: keys/server/{named}")), "{error}");
        ensure!(
            hint == "hint: mint the server's key and certificate: parlour-ttp server-cert --keys keys",
            "{hint}"
        );
    }
    // Unreadable even for root: a folder in place of the file.
    let key = world.path("keys/server/server.key");
    std::fs::remove_file(&key)?;
    std::fs::create_dir(&key)?;
    let (error, _) = server_refuses(&world, &[])?;
    ensure!(error.starts_with("error: keys/server/server.key: cannot be read: "), "{error}");
    ensure!(!world.path("data").exists(), "a data directory was made");
    Ok(())
}

#[test]
fn a_server_does_not_listen_where_it_cannot_and_makes_nothing() -> Result<()> {
    let world = World::with().prepare()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let mut command = world.server_command(&address)?;
    let finished = run_to_end("server", &mut command, "")?;
    let error = refused(&finished)?;
    ensure!(error.starts_with(&format!("error: cannot listen on {address}: ")), "{error}");
    ensure!(finished.hint().contains("--listen"), "{finished:#?}");

    for bad in ["nowhere", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:99999", ""] {
        let mut command = world.server_command(bad)?;
        let error = refused(&run_to_end("server", &mut command, "")?).with_context(|| bad.to_owned())?;
        ensure!(error == format!("error: '{bad}' is no address to listen on"), "{error}");
    }
    let mut command = world.server_command("no-such-host.invalid:7275")?;
    let finished = run_to_end("server", &mut command, "")?;
    let error = refused(&finished)?;
    ensure!(error.starts_with("error: no address is known for 'no-such-host.invalid:7275': "), "{error}");
    ensure!(!finished.hint().contains("HOST:PORT"), "{finished:#?}");
    ensure!(!world.path("data").exists(), "a data directory was made");
    Ok(())
}

#[test]
fn a_server_needs_a_data_directory_of_its_own() -> Result<()> {
    let mut world = World::with().prepare()?;
    std::fs::write(world.path("a-file"), "")?;
    // Even root cannot make a folder below a file.
    for data in ["a-file", "a-file/data"] {
        let (error, hint) = bare_server_refuses(&world, &["--data", data])?;
        ensure!(error.starts_with(&format!("error: data directory {data}: ")), "{error}");
        ensure!(hint.contains("--data"), "{hint}");
    }
    world.start_server()?;
    let (error, hint) = server_refuses(&world, &[])?;
    ensure!(error == "error: data directory data is in use by another server", "{error}");
    ensure!(hint.contains("--data"), "{hint}");
    // The first server is not affected.
    world.line()?.ask("/help", "/register {}")?;
    Ok(())
}

#[test]
fn a_server_leaves_a_database_alone_that_it_does_not_understand() -> Result<()> {
    let world = World::with().people().prepare()?;
    let database = world.database();
    let connection = rusqlite::Connection::open(&database)?;
    connection.pragma_update(None, "user_version", 99)?;
    drop(connection);
    let newer = std::fs::read(&database)?;
    let (error, hint) = server_refuses(&world, &[])?;
    ensure!(
        error.starts_with("error: data/chat.db is of version 99, this program knows versions up to "),
        "{error}"
    );
    ensure!(hint.contains("newer"), "{hint}");
    ensure!(std::fs::read(&database)? == newer, "a newer database was changed");

    for garbage in [b"not a database, but long enough to be one: ".repeat(100), vec![0xff; 20]] {
        std::fs::write(&database, &garbage)?;
        let (error, hint) = server_refuses(&world, &[])?;
        ensure!(error.starts_with("error: cannot open data/chat.db: "), "{error}");
        ensure!(hint.contains("database"), "{hint}");
        ensure!(std::fs::read(&database)? == garbage, "what was there was changed");
    }
    Ok(())
}

#[test]
fn a_server_takes_no_option_that_it_does_not_know() -> Result<()> {
    let world = World::with().prepare()?;
    let file = world.path("server.toml");
    for (content, said) in [
        ("colour = 1", "colour"),
        ("listen = 5", "string"),
        ("[limits]\nnonsense = 1", "there is no limit named 'nonsense'"),
        ("[limits]\nconnections = \"many\"", "limit connections takes a whole number from 1 to "),
        ("[limits]\nconnections = -1", "limit connections takes a whole number from 1 to "),
        ("log = \"poem\"", "poem"),
        ("this is no TOML", "server.toml"),
    ] {
        std::fs::write(&file, content)?;
        let (error, hint) = server_refuses(&world, &["--config", "server.toml"])?;
        ensure!(error.contains(said), "{content}: {error}");
        ensure!(hint.contains("parlour-server run --help"), "{content}: {hint}");
    }
    for (arguments, said) in [
        (["--config", "missing.toml"], "configuration missing.toml: cannot be read: "),
        (["--limit", "nonsense=1"], "there is no limit named 'nonsense'"),
        (["--limit", "connections"], "a limit is written NAME=VALUE, not 'connections'"),
        (["--limit", "connections=0"], "limit connections takes a whole number from 1 to "),
        (["--limit", "connections=many"], "limit connections takes a whole number from 1 to "),
    ] {
        let (error, hint) = bare_server_refuses(&world, &arguments)?;
        ensure!(error.contains(said), "{arguments:?}: {error}");
        ensure!(hint.contains("parlour-server run --help"), "{arguments:?}: {hint}");
    }
    for level in ["bogus", "wran", "info,bogus"] {
        let (error, hint) = bare_server_refuses(&world, &["--log-level", level])?;
        ensure!(error.ends_with("' is no level of the log"), "{error}");
        ensure!(hint.starts_with("hint: --log-level takes error, warn, info, debug or trace"), "{hint}");
    }
    let (error, hint) = bare_server_refuses(&world, &["--log-level", "=,="])?;
    ensure!(error.starts_with("error: the log's level is not understood: "), "{error}");
    ensure!(hint.starts_with("hint: --log-level takes error, warn, info, debug or trace"), "{hint}");
    ensure!(!world.path("data").exists() && !world.path("var").exists(), "a data directory was made");
    Ok(())
}

#[test]
fn an_invalid_command_line_is_refused_by_all_three_programs() -> Result<()> {
    let world = World::with().prepare()?;
    for (name, arguments) in [
        ("parlour-server", vec!["run", "--nonsense"]),
        ("parlour-server", vec!["walk"]),
        ("parlour-server", vec!["run", "--clock-offset", "soon"]),
        ("parlour-ttp", vec!["serve", "--nonsense"]),
        ("parlour-ttp", vec!["walk"]),
        ("parlour", vec!["--nonsense"]),
        ("parlour", vec!["--plain", "--json"]),
        ("parlour", vec!["history", "@sam", "--limit", "some"]),
    ] {
        let mut command = world.command(name)?;
        let finished = run_to_end(name, command.args(&arguments), "")?;
        refused(&finished).with_context(|| format!("{name} {arguments:?}"))?;
    }
    Ok(())
}

#[test]
fn a_server_starts_without_the_ttp_and_registers_once_it_is_there() -> Result<()> {
    let mut world = World::with().prepare()?;
    world.start_server()?;
    wait_until("a warning", || Ok(world.server_log().contains("revocations cannot be followed now")))?;
    let mut sam = world.client("sam")?;
    sam.ask("/register sam", "error: certificates cannot be issued now, try again later")?;
    world.start_ttp()?;
    sam.ask("/register sam", "Registration Succeeded")?;
    sam.expect("Authentication Succeeded")?;
    Ok(())
}

/// Runs the plain client with an empty input; it must not start. Returns its one line of error, and its hint.
fn client_refuses(command: &mut Command) -> Result<(String, String)> {
    let finished = run_to_end("client", command.arg("--plain"), "")?;
    Ok((refused(&finished)?, finished.hint()))
}

#[test]
fn a_client_with_options_that_do_not_hold_says_which() -> Result<()> {
    let world = World::with().prepare()?;
    let nobody = free_address()?.to_string();
    let root = world.root().display().to_string();
    std::fs::write(world.path("garbage.crt"), "no certificate")?;
    std::fs::write(world.path("odd.toml"), "colour = 1")?;
    let fingerprint = "0".repeat(64);
    let invitation = format!("parlour://{nobody}/#{fingerprint}");
    for (arguments, said) in [
        (vec![nobody.as_str(), "--ca", "missing.crt"], "missing.crt: is missing"),
        (vec![nobody.as_str(), "--ca", "garbage.crt"], "garbage.crt: holds no certificate in PEM"),
        (vec![nobody.as_str(), "--ca", "keys/server/server.crt"], "keys/server/server.crt: "),
        (vec!["an address", "--ca", &root], "'an address': a server's address is HOST:PORT"),
        (vec!["localhost:99999", "--ca", &root], "'localhost:99999': a server's address is HOST:PORT"),
        (vec!["localhost:0", "--ca", &root], "'localhost:0': a server's address is HOST:PORT"),
        (
            vec!["parlour://localhost/"],
            "'parlour://localhost/': an invitation is parlour://HOST:PORT/#FINGERPRINT",
        ),
        (vec!["parlour://localhost/#abc"], "'parlour://localhost/#abc': a fingerprint is 64 hex digits"),
        (vec![&invitation, "--ca", &root], "--ca and the invitation name different authorities"),
        (vec![nobody.as_str(), "--ca", &root, "--user", "Sam"], "--user Sam: "),
        (vec![nobody.as_str(), "--ca", &root, "--user", ""], "--user : "),
        (vec!["--config", "missing.toml"], "missing.toml: is missing"),
        (vec!["--config", "odd.toml"], "odd.toml: unknown field `colour`"),
        (vec![nobody.as_str(), "--ca", &root], &format!("cannot reach {nobody}: connection refused")),
    ] {
        let mut command = world.command("parlour")?;
        let (error, hint) = client_refuses(command.args(&arguments).args(["--keys", "new-keys"]))
            .with_context(|| format!("{arguments:?}"))?;
        ensure!(error.starts_with(&format!("error: {said}")), "{arguments:?}: {error}");
        ensure!(
            !error.starts_with("error: cannot reach") || hint.contains("is the server running"),
            "{hint}"
        );
    }
    // Outside the world's folder, which has keys/ttp/ca.crt, nothing is known.
    let elsewhere = tempfile::tempdir()?;
    let mut command = world.command("parlour")?;
    command.current_dir(elsewhere.path()).args([nobody.as_str(), "--keys", "new-keys"]);
    let (error, hint) = client_refuses(&mut command)?;
    ensure!(error == "error: no certificate authority is known", "{error}");
    ensure!(hint.contains("invitation"), "{hint}");
    ensure!(!world.path("new-keys").exists(), "a folder of keys was made");
    Ok(())
}

#[test]
fn a_client_sends_nothing_to_a_server_of_another_authority() -> Result<()> {
    let world = World::peopled()?;
    let other = World::with().prepare()?;
    let address = world.address()?.to_string();
    let mut command = world.command("parlour")?;
    command.args([&address, "--keys", "new-keys", "--ca"]).arg(other.root());
    let finished = run_to_end("client", command.arg("--plain"), "/register sam\n")?;
    let error = refused(&finished)?;
    ensure!(error.starts_with(&format!("error: {address} is not the server that you trust: ")), "{error}");
    ensure!(finished.hint().contains("nothing was sent to it"), "{finished:#?}");
    wait_until("the handshake's end in the log", || Ok(world.server_log().contains("handshake failed")))?;
    ensure!(!world.server_log().contains(" connected "), "there was a connection: {}", world.server_log());
    ensure!(!world.path("new-keys").exists(), "keys were made for it");

    // Keys of one authority are not used with a server of another, whatever the command line says.
    let mut command = world.command("parlour")?;
    command.args([&address, "--user", "sam", "--keys"]).arg(world.keys("sam")).arg("--ca").arg(other.root());
    let (error, _) = client_refuses(&mut command)?;
    ensure!(error.contains("come from another certificate authority"), "{error}");
    Ok(())
}

#[test]
fn a_damaged_profile_is_not_used_and_the_file_is_named() -> Result<()> {
    let world = World::peopled()?;
    let profile = world.profile("sam");
    let of_erik = |file: &str| std::fs::read(world.profile("erik").join(file));
    let (certificate, key, account) =
        (of_erik("device.crt")?, of_erik("account.key")?, of_erik("account.crt")?);
    for (file, content, said) in [
        ("seal.key", None, "is missing"),
        ("seal.key", Some(b"garbage".as_slice()), ""),
        ("account.key", None, "is missing"),
        ("account.key", Some(b"garbage"), ""),
        ("device.key", Some(b"garbage"), ""),
        ("device.crt", None, "is missing"),
        ("device.crt", Some(b"garbage"), "holds no certificate in PEM"),
        ("device.crt", Some(&certificate), "is not for device.key and this name"),
        ("account.crt", Some(&account), "is not for account.key and this name"),
        ("ca.crt", None, "is missing"),
        ("profile.toml", None, "is missing"),
        ("profile.toml", Some(b"server = 5"), ""),
        ("profile.toml", Some(b"server = \"\""), "names no server"),
        ("local.key", Some(b"garbage"), "holds no key"),
    ] {
        let mut command = world.client_command("sam")?;
        let path = profile.join(file);
        let (error, _) = with_file(&path, content, || client_refuses(command.args(["--user", "sam"])))
            .with_context(|| format!("{file} with {content:?}"))?;
        ensure!(error.starts_with(&format!("error: {}: {said}", path.display())), "{error}");
    }
    let mut command = world.client_command("sam")?;
    let path = profile.join("account.key");
    let (error, _) = with_file(&path, Some(&key), || client_refuses(command.args(["--user", "sam"])))?;
    ensure!(error.contains("account.crt: is not for account.key and this name"), "{error}");
    // With all files in place again it works.
    let mut sam: Client = world.logged_in("sam")?;
    ensure!(sam.leave()? == 0);
    Ok(())
}

#[test]
fn a_ttp_is_made_once_and_serves_only_what_was_made() -> Result<()> {
    let world = World::with().prepare()?;
    let ttp = |arguments: &[&str], keys: &str| {
        let mut command = world.command("parlour-ttp")?;
        let finished = run_to_end("ttp", command.args(arguments).args(["--keys", keys]), "")?;
        Ok::<_, anyhow::Error>((refused(&finished)?, finished.hint()))
    };
    let root = std::fs::read(world.root())?;
    let (error, hint) = ttp(&["init"], "keys")?;
    ensure!(error == "error: keys/ttp is there already", "{error}");
    ensure!(hint.contains("never overwritten"), "{hint}");
    ensure!(std::fs::read(world.root())? == root, "the root was changed");
    for arguments in
        [["serve"].as_slice(), &["server-cert", "--host", "localhost"], &["revoke", "sam"], &["show"]]
    {
        let (error, hint) = ttp(arguments, "none")?;
        ensure!(error == "error: there is no root in none", "{arguments:?}: {error}");
        ensure!(hint.contains("parlour-ttp init"), "{arguments:?}: {hint}");
    }
    ensure!(!world.path("none/ttp").exists(), "a folder was made");
    Ok(())
}
