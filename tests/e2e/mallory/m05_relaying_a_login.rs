//! 5: relay a login. Mallory stands between client and server, terminates TLS, even with the server's own key, and
//! passes the signature on over her own connection, even one with the user's certificate.
//!
//! Bites: the same operator logs in with a signature made for her own connection. With the exporter left out of
//! the transcript, the signature that was passed on logged in too.

use anyhow::{Result, ensure};
use parlour_tests::{Client, Logins, Operator, World, run_to_end};

use super::wait_for_log;

#[test]
fn a_signature_that_is_passed_on_over_another_connection_logs_nobody_in() -> Result<()> {
    let world = World::peopled()?;
    let as_it_is = |line: &str| format!("{line}\n").into_bytes();
    let through = |logins| {
        let middle = Operator::before(&world, "sam", logins, as_it_is)?;
        let mut command = world.client_command_to("sam", &middle.address())?;
        run_to_end("sam", command.args(["--plain", "--user", "sam"]), "/users\n")
    };
    let relayed = through(Logins::PassedOn)?;
    ensure!(relayed.code == 1, "{relayed:#?}");
    ensure!(relayed.out.first().is_some_and(|line| line == "error: invalid credentials"), "{relayed:#?}");
    wait_for_log(&world, "fault=the signature does not hold")?;
    ensure!(!world.server_log().contains("logged in"), "somebody came in");

    let signed_anew = through(Logins::Anew)?;
    ensure!(signed_anew.out == ["Authentication Succeeded", "sam"], "{signed_anew:#?}");
    Ok(())
}

#[test]
fn a_man_in_the_middle_without_the_servers_key_hears_nothing() -> Result<()> {
    let world = World::peopled()?;
    // Her own authority has issued her a certificate for the same host.
    let hers = World::with().start()?;
    let middle = Operator::before(&hers, "sam", Logins::PassedOn, |_| Vec::new())?;
    let mut command = world.client_command_to("sam", &middle.address())?;
    let mut sam = Client::start("sam", command.args(["--plain", "--user", "sam"]))?;
    ensure!(sam.process.wait()?.code() == Some(2), "{}", sam.process.errors());
    ensure!(sam.process.errors().contains("is not the server that you trust"), "{}", sam.process.errors());
    Ok(())
}
