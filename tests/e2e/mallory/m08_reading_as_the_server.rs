//! 8: as the server, learn private text or private keys.
//!
//! Bites: the same search finds public messages in the same places, and the server's own key in the server's
//! memory.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Terminal, World};
use rusqlite::Connection;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::holding;

/// The parts of a private key, each of which is enough to have the key; in the byte order of files, and in the one
/// in which this machine computes.
fn secrets(world: &World, file: &str) -> Result<Vec<Vec<u8>>> {
    let key = PrivateKeyDer::from_pem_file(world.path(file))?;
    let der = key.secret_der();
    let part = |at: usize| der.get(at..at + 32).map(<[u8]>::to_vec).context("a key this short");
    let mut parts = if der.len() < 200 {
        // P-256 in PKCS#8: the scalar is the octet string after version 1 (RFC 5915).
        let mark = [0x02, 0x01, 0x01, 0x04, 0x20];
        let at = der.windows(mark.len()).position(|bytes| bytes == mark).context("a scalar")?;
        vec![part(at + mark.len())?]
    } else {
        // RSA: the exponent, both primes and the values derived from them fill the second half.
        [50, 60, 70, 80, 90]
            .into_iter()
            .map(|percent| part(der.len() * percent / 100))
            .collect::<Result<_>>()?
    };
    let turned: Vec<Vec<u8>> = parts.iter().map(|part| part.iter().rev().copied().collect()).collect();
    parts.extend(turned);
    Ok(parts)
}

/// The number of times that each of these is in a process's memory, by proc(5).
fn in_memory(pid: u32, needles: &[Vec<u8>]) -> Result<Vec<usize>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut counts = vec![0; needles.len()];
    for map in maps.lines() {
        let mut fields = map.split_whitespace();
        let (range, rights) = (fields.next().context("a range")?, fields.next().context("rights")?);
        let (from, to) = range.split_once('-').context("two ends")?;
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        if !rights.starts_with("rw") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(to - from)?];
        memory.seek(SeekFrom::Start(from))?;
        // Unreadable pages, like the kernel's own, hold no data of the program.
        if memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        for (needle, count) in needles.iter().zip(&mut counts) {
            *count += memchr::memmem::find_iter(&bytes, needle).count();
        }
    }
    Ok(counts)
}

#[test]
fn no_private_text_and_no_users_key_is_in_the_memory_of_the_server() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    // They agree in no place, so that a terminal that shows one after the other is sent every character.
    let (private, public) = ("PRIVATE+A21C+QUARTZ", "canary-9b3d-in-public");
    sam.ask(&format!("@erik {private}"), &format!("{{}} sam: @erik {private}"))?;
    erik.expect(&format!("{{}} sam: @erik {private}"))?;
    sam.ask(public, &format!("{{}} sam: {public}"))?;
    // With a new name, so that a registration is included.
    let mut zoe = world.registered("zoe")?;
    zoe.process.out.wait_for(&format!("{{}} sam: {public}"))?;
    erik.expect(&format!("{{}} sam: {public}"))?;

    let pid = world.server()?.pid();
    let mut hidden = vec![private.as_bytes().to_vec()];
    for name in ["sam", "erik", "zoe"] {
        for file in ["device.key", "account.key", "seal.key"] {
            hidden.extend(secrets(&world, &format!("people/{name}/{name}/{file}"))?);
        }
    }
    hidden.extend(secrets(&world, "keys/ttp/ca.key")?);
    let counts = in_memory(pid, &hidden)?;
    ensure!(counts.iter().all(|count| *count == 0), "{counts:?}");

    let own = secrets(&world, "keys/server/server.key")?;
    ensure!(in_memory(pid, &own)?.iter().sum::<usize>() > 0, "not even the server's own key is found");
    ensure!(in_memory(pid, &[public.as_bytes().to_vec()])? != [0], "not even what is public is found");
    // The text is in the memory of the client that shows it.
    erik.leave()?;
    let mut erik = Terminal::start(&world, "erik", &world.address()?.to_string())?;
    // Alt-2 opens the conversation with sam.
    erik.wait_for(private, b"\x1b2")?;
    let (client, _) = erik.processes()?;
    ensure!(in_memory(client, &[private.as_bytes().to_vec()])? != [0], "the search finds nothing");
    Ok(())
}

#[test]
fn no_file_and_no_log_has_the_text_of_a_private_message() -> Result<()> {
    let mut world = World::peopled()?;
    let mut sam = world.logged_in("sam")?;
    let mut erik = world.logged_in("erik")?;
    let canaries = ["canary-4f1d-in-private", "canary-83ac-to-myself", "canary-e0b7-refused"];
    let [private, own, refused] = canaries;
    sam.ask(&format!("@erik {private}"), &format!("{{}} sam: @erik {private}"))?;
    erik.expect(&format!("{{}} sam: @erik {private}"))?;
    sam.ask(&format!("@sam {own}"), &format!("{{}} sam: @sam {own}"))?;
    sam.ask(&format!("@nobody {refused}"), "error: user not found")?;
    sam.ask("public-canary-51aa", "{} sam: public-canary-51aa")?;

    // While everyone runs, when all data is still in the database's log, and when all have ended. The public text
    // shows that this search finds existing data.
    let data = world.path("data");
    for running in [true, false] {
        assert_eq!(holding(world.folder(), &canaries)?, [] as [PathBuf; 0]);
        ensure!(!holding(&data, &["public-canary-51aa"])?.is_empty());
        if running {
            sam.leave()?;
            erik.leave()?;
            let log = world.server_log() + &world.ttp()?.errors();
            for canary in canaries {
                ensure!(!log.contains(canary), "{canary} was logged");
            }
            ensure!(!sam.process.errors().contains("canary"), "{}", sam.process.errors());
            world.stop_server()?;
            world.stop_ttp()?;
        }
    }

    // It is stored in its own columns, wrapped to the keys of the two users.
    let database = Connection::open(world.database())?;
    let mut select = database.prepare(
        "SELECT m.text IS NULL, m.sealed, m.key1, m.key2, one.kid, two.kid FROM messages m
         JOIN accounts one ON '@' || one.name = m.recipient JOIN accounts two ON two.name = m.sender",
    )?;
    let rows = select.query_map([], |row| {
        Ok((
            row.get::<_, bool>(0)?,
            [row.get::<_, String>(1)?, row.get(2)?, row.get(3)?],
            [row.get::<_, String>(4)?, row.get(5)?],
        ))
    })?;
    let mut count = 0;
    for row in rows {
        let (no_text, [sealed, key1, key2], [to, from]) = row?;
        ensure!(no_text && serde_json::from_str::<Value>(&sealed)?["ciphertext"].is_string(), "{sealed}");
        for (key, kid) in [(key1, to), (key2, from)] {
            let key: Value = serde_json::from_str(&key)?;
            ensure!(key["header"]["kid"] == kid && key["encrypted_key"].is_string(), "{key}");
        }
        count += 1;
    }
    ensure!(count == 2, "{count} sealed messages are kept");
    Ok(())
}
