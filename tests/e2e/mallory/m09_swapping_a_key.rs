//! 9: as the server, swap a key.
//!
//! Bites: with the key that the clients know, messages arrive; and after the user has agreed, a message goes to
//! the very key that replaced the old one. With the certificate's verification and the pin switched off
//! (`engine/contacts.rs`), the secret was sent at once.

use anyhow::{Result, ensure};
use parlour_crypto::AccountKey;
use parlour_keylog::certificate_hash;
use parlour_tests::{World, wait_until};
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SubjectPublicKeyInfo};
use rusqlite::{Connection, params};
use serde_json::Value;

use super::{der, kept, kid, stolen_authority, tamper};

/// Replaces sam's account certificate, as a server would that wants to read: with a valid hash of the row, without
/// which the real server refuses to return it.
fn swap(world: &mut World, certificate: &[u8], kid: &str) -> Result<()> {
    tamper(world, |database| {
        let created: i64 =
            database.query_row("SELECT created FROM accounts WHERE name = 'sam'", [], |row| row.get(0))?;
        let mut row = Vec::new();
        for field in [&[0; 32], b"sam".as_slice(), certificate, kid.as_bytes(), &created.to_be_bytes()] {
            row.extend((field.len() as u64).to_be_bytes());
            row.extend(field);
        }
        let sql = "UPDATE accounts SET certificate = ?1, kid = ?2, hash = ?3 WHERE name = 'sam'";
        // The hash of certificates is SHA-256 as well.
        Ok(database.execute(sql, params![certificate, kid, certificate_hash(&row)])?)
    })
}

/// A new account certificate for a name, from the world's own authority.
fn another_account(world: &World, name: &str) -> Result<Vec<u8>> {
    let issuer = stolen_authority(world)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    let account = AccountKey::generate(&mut rand::rng())?;
    let key = SubjectPublicKeyInfo::from_der(account.public().to_spki_der())?;
    Ok(params.signed_by(&key, &issuer)?.der().to_vec())
}

#[test]
fn a_server_that_hands_out_another_account_certificate_gets_no_message() -> Result<()> {
    let mut world = World::peopled()?;
    let other = World::with().start()?;
    other.registered("sam")?.leave()?;
    let of_erik = der(&world.profile("erik").join("account.crt"))?;
    let from_elsewhere = der(&other.profile("sam").join("account.crt"))?;
    let device = der(&world.profile("sam").join("device.crt"))?;
    let own_kid = kid(&der(&world.profile("sam").join("account.crt"))?)?;
    for (certificate, kid, reason) in [
        (of_erik.clone(), kid(&of_erik)?, "it is for erik"),
        (from_elsewhere.clone(), kid(&from_elsewhere)?, "{}"),
        // For the right name and from the right authority, but for another use.
        (device, own_kid, "{}"),
        (b"garbage".to_vec(), "x".to_owned(), "{}"),
    ] {
        swap(&mut world, &certificate, &kid)?;
        let mut erik = world.logged_in("erik")?;
        for _ in 0..kept(&world)? {
            erik.expect("{} erik: @erik a note")?;
        }
        let refusal =
            format!("error: the account certificate of sam does not hold: {reason}; nothing was sent");
        erik.ask("@sam a secret", &refusal)?;
        erik.ask("@sam a secret again", &refusal)?;
        // Nobody else is affected.
        erik.ask("@erik a note", "{} erik: @erik a note")?;
        ensure!(erik.leave()? == 1);
    }
    ensure!(kept(&world)? == 4, "the notes, and nothing else");
    Ok(())
}

#[test]
fn a_changed_account_key_stops_sending_until_its_user_is_trusted_again() -> Result<()> {
    let mut world = World::peopled()?;
    let mut erik = world.logged_in("erik")?;
    erik.ask("@sam to the first key", "{} erik: @sam to the first key")?;
    let certificate = another_account(&world, "sam")?;
    let new_kid = kid(&certificate)?;
    swap(&mut world, &certificate, &new_kid)?;
    // The client that was connected all the time notices, and so does one that starts later.
    wait_until("erik is back", || Ok(erik.process.errors().matches("\nconnected to ").count() == 2))?;
    for _ in 0..2 {
        let refusal = "error: the account key of sam has changed; nothing was sent";
        erik.ask("@sam to whom?", refusal)?;
        let hint =
            format!("ask sam in another way whether the new key is {new_kid}, and if it is, /trust sam");
        erik.process.wait_for_error(&hint)?;
        ensure!(kept(&world)? == 1, "it was sent all the same");
        ensure!(erik.leave()? == 1);
        erik = world.logged_in("erik")?;
        erik.expect("{} erik: @sam to the first key")?;
    }
    // Only a key that this client has reported can be accepted.
    erik.ask("/trust sam", "error: the account key of sam has changed; nothing was sent")?;
    erik.type_line("/trust sam")?;
    erik.ask("@sam to the second key", "{} erik: @sam to the second key")?;
    ensure!(erik.leave()? == 1);
    let database = Connection::open(world.database())?;
    let key1: String =
        database.query_row("SELECT key1 FROM messages ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0))?;
    ensure!(serde_json::from_str::<Value>(&key1)?["header"]["kid"] == new_kid, "{key1}");
    Ok(())
}
