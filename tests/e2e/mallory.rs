//! Mallory's attacks: one file for each claim of `docs/threat-model.md`, with the attacks on it, run against real
//! programs. Each shows that its attack works without the protection: the same attack on an unprotected target
//! succeeds in the test itself, or the head of the file says what was switched off once and how the test failed
//! then.

#![expect(clippy::indexing_slicing, reason = "an answer in which something is missing fails the test")]

mod m01_reading_others_messages;
mod m02_speaking_for_another;
mod m03_changing_messages;
mod m04_replaying;
mod m05_relaying_a_login;
mod m06_bad_certificates;
mod m06_trusting_a_folder;
mod m07_downgrading;
mod m08_reading_as_the_server;
mod m09_swapping_a_key;
mod m11_delivering_what_was_refused;
mod m11_dropping_and_reordering;
mod m15_using_a_stolen_device;
mod m16_reading_a_stolen_disk;
mod m18_two_readings;
mod m22_driving_a_terminal;
mod m22_miscounted_clusters;
mod m23_crashing_a_program;
mod m24_exhausting;
mod m24_flooding_a_client;
mod m25_spamming;
mod m26_learning_who_exists;
mod m27_confined;
mod m28_audit_rewritten;
mod m29_dependencies;
mod m30_changing_again_and_again;
mod m30_failing_while_setting_aside;
mod m30_losing_what_it_holds;
mod m30_moving_messages;
mod m32_looking_alike;
mod m32_passing_for_another_kind_of_line;
mod m33_speaking_with_a_revoked_device;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use parlour_keylog::AccountCertificate;
use parlour_protocol::UserName;
use parlour_tests::{Line, World, wait_until};
use rcgen::{Issuer, KeyPair};
use rusqlite::Connection;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

/// A world in which nobody is slowed down.
fn fast() -> Result<World> {
    World::with().people().limit("commands_per_second=100000").limit("command_burst=100000").start()
}

/// The world's authority in the hands of somebody who has stolen its key.
fn stolen_authority(world: &World) -> Result<Issuer<'static, KeyPair>> {
    let key = KeyPair::from_pem(&std::fs::read_to_string(world.path("keys/ttp/ca.key"))?)?;
    Ok(Issuer::from_ca_cert_pem(&std::fs::read_to_string(world.root())?, key)?)
}

/// The list with this name in a line of a server; empty when there is none.
fn list<'a>(line: &'a mut Value, name: &str) -> &'a mut [Value] {
    line.get_mut(name).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.append(&mut files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The files below a folder that contain one of these texts.
fn holding(folder: &Path, texts: &[&str]) -> Result<Vec<PathBuf>> {
    let mut holding = Vec::new();
    for path in files(folder)? {
        let bytes = std::fs::read(&path)?;
        if texts.iter().any(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes())) {
            holding.push(path);
        }
    }
    Ok(holding)
}

/// Changes the database while the server is down.
fn tamper(world: &mut World, change: impl FnOnce(&Connection) -> Result<usize>) -> Result<()> {
    world.stop_server()?;
    let changed = change(&Connection::open(world.database())?)?;
    ensure!(changed > 0, "nothing was changed");
    world.start_server()
}

fn der(path: &Path) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_file(path)?.to_vec())
}

fn kid(certificate: &[u8]) -> Result<String> {
    Ok(AccountCertificate::from_der(certificate)?.kid().to_owned())
}

/// The number of messages that the server stores.
fn kept(world: &World) -> Result<usize> {
    let database = Connection::open(world.database())?;
    Ok(database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?)
}

fn user(name: &str) -> Result<UserName> {
    Ok(name.parse()?)
}

/// Waits for this text in the operator's log, at the default level.
fn wait_for_log(world: &World, text: &str) -> Result<()> {
    wait_until(&format!("{text:?} in the log"), || {
        let log = world.server_log();
        Ok(log.lines().any(|line| line.contains(text) && !line.contains(" DEBUG ")))
    })
}

/// Tries to log in with this signature, which must fail like all failed logins, for this reason.
fn fails(world: &World, line: &mut Line, name: &str, signature: &str, reason: &str) -> Result<()> {
    line.ask(&format!("/login {name} {signature}"), "error: invalid credentials")?;
    line.lines.expect_end()?;
    wait_for_log(world, &format!("fault={reason}"))
}
