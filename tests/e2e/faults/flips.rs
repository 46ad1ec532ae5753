//! Flipped bits in the TTP's database: it is refused, or its data is unchanged.

use std::path::Path;

use anyhow::{Result, ensure};
use parlour_tests::{World, run_to_end};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};

/// The number of bits that are flipped, one at a time.
const FLIPS: u64 = 120;

/// Everything in a database, table by table.
fn dump(path: &Path) -> rusqlite::Result<Vec<Vec<Value>>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut all = Vec::new();
    for table in ["accounts", "devices", "certificates", "leaves", "answers", "revocations"] {
        let mut select = database.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))?;
        let width = select.column_count();
        let issued = select.column_index("issued").ok();
        let value = |row: &Row<'_>, column| match row.get(column)? {
            // In whole seconds: nothing else records more precisely when a machine's certificate was issued.
            Value::Integer(millis) if issued == Some(column) => Ok(Value::Integer(millis / 1_000)),
            value => Ok(value),
        };
        let rows = select.query_map([], |row| (0..width).map(|column| value(row, column)).collect())?;
        all.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(all)
}

#[test]
fn a_bit_that_flips_in_a_ttps_database_is_found_or_changes_nothing() -> Result<()> {
    let mut world = World::peopled()?;
    world.run_ttp(&["revoke", "anna"])?;
    world.stop_server()?;
    world.stop_ttp()?;
    let database = world.path("keys/ttp/ttp.db");
    let bytes = std::fs::read(&database)?;
    let good = dump(&database)?;
    let is_well = || -> Result<bool> {
        let mut command = world.command("parlour-ttp")?;
        let finished = run_to_end("check", command.args(["check", "--json", "--keys", "keys"]), "")?;
        ensure!(!finished.errors.contains("panicked"), "{finished:#?}");
        let line = finished.out.iter().find(|line| line.contains(r#""what":"database""#));
        Ok(line.is_some_and(|line| line.contains(r#""state":"well""#)))
    };
    ensure!(is_well()?, "it was not well before");
    let (mut found, mut wrong) = (0, Vec::new());
    for seed in 0..FLIPS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut flipped = bytes.clone();
        let place = random.random_range(0..flipped.len());
        flipped[place] ^= 1 << random.random_range(0..8);
        std::fs::write(&database, &flipped)?;
        if is_well()? {
            let now = dump(&database).unwrap_or_default();
            if now != good {
                let rows = now.iter().zip(&good).find(|(now, good)| now != good);
                wrong.push(format!("seed {seed}, byte {place}: {rows:.400?}"));
            }
        } else {
            found += 1;
        }
    }
    println!("of {FLIPS} flipped bits {found} were found");
    ensure!(wrong.is_empty(), "not found: {wrong:?}");
    ensure!(found > FLIPS / 4, "{found}");
    Ok(())
}
