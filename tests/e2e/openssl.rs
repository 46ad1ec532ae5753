//! Parlour against programs that are not Parlour's: OpenSSL's `s_client`, and a signature made by hand as in
//! `tests/openssl/login.sh`.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use parlour_tests::{World, outside, run_to_end};

/// Runs the script, which types these lines after the login.
fn by_hand(world: &World, profile: &Path, name: &str, lines: &str) -> Result<parlour_tests::Finished> {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("openssl/login.sh"));
    command.arg(world.address()?.to_string()).arg(profile).arg(name);
    run_to_end("login.sh", &mut command, lines)
}

#[test]
fn a_user_logs_in_and_chats_with_openssl_alone() -> Result<()> {
    if outside::openssl()?.is_none() {
        return Ok(());
    }
    let world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    let sam = by_hand(
        &world,
        &world.profile("sam"),
        "sam",
        "/users\nhello from OpenSSL\n//slash\n@erik hi\n/help\n",
    )?;
    ensure!(sam.code == 0, "{sam:#?}");
    let [login, users, hello, slash, sealed, help] = sam.out.as_slice() else { anyhow::bail!("{sam:#?}") };
    assert_eq!((login.as_str(), users.as_str()), ("Authentication Succeeded", "erik sam"));
    ensure!(hello.ends_with(" sam: hello from OpenSSL") && slash.ends_with(" sam: /slash"), "{sam:#?}");
    assert_eq!(sealed, "error: private messages must be sealed");
    ensure!(help.starts_with("/register NAME REQUEST, /login NAME SIGNATURE, "), "{help}");
    erik.expect("{} sam: hello from OpenSSL")?;
    erik.expect("{} sam: /slash")?;

    // With a signature for another name the login fails.
    let refused = by_hand(&world, &world.profile("sam"), "erik", "hello\n")?;
    ensure!(refused.out.first().is_some_and(|line| line == "error: invalid credentials"), "{refused:#?}");
    erik.ask("/users", "erik")?;
    Ok(())
}
