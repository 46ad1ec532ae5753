//! 32: pass one kind of line, or one user, for another. Here: names that look like a name that exists.
//!
//! Bites: a name that is as far from the other as these, and does not look like it, is given out.

use anyhow::{Result, ensure};
use parlour_tests::World;

#[test]
fn a_name_that_is_easily_taken_for_another_is_refused() -> Result<()> {
    let world = World::peopled()?;
    let mut otto = world.client("otto-mill")?;
    otto.ask("/register otto-mill", "Registration Succeeded")?;
    otto.expect("Authentication Succeeded")?;
    let mut mallory = world.client("mallory")?;
    for name in ["0tto-mill", "otto-mi1l", "otto-rnill", "otto_mill", "sarn"] {
        mallory.ask(&format!("/register {name}"), "error: user already exists")?;
        ensure!(!world.keys("mallory").join(name).exists(), "{name} has a profile");
    }
    // The TTP alone decides, and its operator reads why.
    ensure!(!world.run_ttp(&["show"])?.contains("0tto-mill"), "the name was given out");
    mallory.ask("/register otto-mall", "Registration Succeeded")?;
    mallory.expect("Authentication Succeeded")?;
    Ok(())
}
