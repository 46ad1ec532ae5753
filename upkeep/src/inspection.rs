//! The contents of a database, and the damage found in them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// At most this many damages are named; the rest would add nothing.
const NAMED: usize = 10;

/// A summary of a database's contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The version of its schema.
    pub schema: u32,
    /// The number of rows of each kind.
    pub counts: BTreeMap<String, u64>,
    /// The time of the newest row, RFC 3339 in UTC.
    pub newest: Option<String>,
    /// SHA-256, hexadecimal, over the newest hash of each of its chains.
    pub digest: String,
}

/// Formats milliseconds since 1970 as RFC 3339 in UTC, to the second. All results have the same length, so their
/// alphabetical order is their order in time.
pub fn moment(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Inventory {
    /// Sets the digest.
    pub fn set_digest(&mut self, digest: &[u8]) {
        self.digest = digest.iter().fold(String::new(), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
    }

    /// The summary on one line, for people.
    pub fn line(&self) -> String {
        let counts = self.counts.iter().map(|(what, count)| format!("{count} {what}"));
        let newest = self.newest.iter().map(|time| format!("newest at {time}"));
        counts.chain(newest).collect::<Vec<_>>().join(", ")
    }
}

/// The result of reading a whole database and checking it against its hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The contents.
    pub inventory: Inventory,
    damages: Vec<String>,
    unnamed: usize,
}

impl Inspection {
    /// Notes something that is not as it was written.
    pub fn damaged(&mut self, what: impl Into<String>) {
        if self.damages.len() < NAMED {
            self.damages.push(what.into());
        } else {
            self.unnamed += 1;
        }
    }

    /// All damage on one line; `None` when there is none.
    pub fn damage(&self) -> Option<String> {
        let more = (self.unnamed > 0).then(|| format!("and {} more", self.unnamed));
        let all: Vec<_> = self.damages.iter().cloned().chain(more).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Has SQLite check the database's pages, indexes and references, and returns the faults.
pub fn structure(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut damages = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({NAMED})"))?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        let line = line?;
        if line != "ok" {
            damages.push(line);
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    for row in statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?)))? {
        let (table, parent) = row?;
        damages.push(format!("a row of {table} refers to a row of {parent} that is not there"));
    }
    Ok(damages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_damages_are_counted_and_the_first_are_named() {
        let mut inspection = Inspection::default();
        assert_eq!(inspection.damage(), None);
        for number in 1..=12 {
            inspection.damaged(format!("row {number}"));
        }
        let line = inspection.damage().unwrap();
        assert!(line.starts_with("row 1; row 2; ") && line.ends_with("; row 10; and 2 more"), "{line}");
    }

    #[test]
    fn a_row_without_the_row_that_it_refers_to_is_found() {
        let database = Connection::open_in_memory().unwrap();
        database
            .execute_batch(
                "PRAGMA foreign_keys = OFF;
                 CREATE TABLE a (x INTEGER PRIMARY KEY);
                 CREATE TABLE b (x INTEGER REFERENCES a (x));",
            )
            .unwrap();
        assert!(structure(&database).unwrap().is_empty());
        database.execute("INSERT INTO b VALUES (5)", []).unwrap();
        assert_eq!(structure(&database).unwrap(), ["a row of b refers to a row of a that is not there"]);
    }
}
