//! Compares the tables in the documents with the code.
#![cfg(test)]

use std::path::Path;

use parlour_protocol::json::{parse, parse_server_line};
use parlour_protocol::limits::TABLE;
use parlour_protocol::{Farewell, Refusal};

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

/// The cells of the table's row whose first cell is `name`.
fn row<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!("| `{name}` |");
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with(&begin)).collect();
    assert_eq!(rows.len(), 1, "rows for {name}");
    rows[0].trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The number in a cell: with commas, or a power of two.
fn number(cell: &str) -> u64 {
    match cell.strip_prefix("2^") {
        Some(power) => 1 << power.parse::<u32>().unwrap(),
        None => cell.replace(',', "").parse().unwrap(),
    }
}

#[test]
fn the_operator_finds_every_limit_with_its_default_and_range() {
    let operations = document("operations.md");
    for limit in TABLE {
        let cells = row(&operations, limit.name);
        let (least, most) = cells[2].split_once(" .. ").unwrap();
        let written = (number(cells[1]), number(least), number(most));
        assert_eq!(written, (limit.default, limit.least, limit.most), "{}", limit.name);
    }
}

#[test]
fn every_error_stands_once_with_its_code_and_its_words() {
    let protocol = document("protocol.md");
    for refusal in [
        Refusal::UnknownCommand("WORD".to_owned()),
        Refusal::NotNow,
        Refusal::Format,
        Refusal::LineTooLong,
        Refusal::NotUtf8,
        Refusal::ControlCharacter,
        Refusal::MessageTooLong,
        Refusal::UserExists,
        Refusal::RequestRefused,
        Refusal::AuthorityUnavailable,
        Refusal::InvalidCredentials,
        Refusal::AlreadyLoggedIn,
        Refusal::TooMany { seconds: 7 },
        Refusal::UserNotFound,
        Refusal::ConversationNotFound,
        Refusal::MustBeSealed,
        Refusal::WrongKeys,
        Refusal::IdInUse,
        Refusal::AccountFull,
        Refusal::NotStored,
        Refusal::Internal { incident: "XXXXXXXX".to_owned() },
    ] {
        let words = refusal.to_string().replace(" 7 ", " N ");
        assert_eq!(row(&protocol, refusal.code())[1], format!("`{words}`"));
    }
}

#[test]
fn every_goodbye_stands_with_its_reason_and_its_words() {
    let protocol = document("protocol.md");
    for farewell in Farewell::ALL {
        let words = format!("| `{farewell}` |");
        assert!(protocol.contains(&words), "{words}");
    }
}

#[test]
fn every_example_of_the_json_dialect_can_be_read() {
    let mut read = (0, 0);
    for line in document("protocol.md").lines() {
        match line.split_once(": ") {
            // An example with whole values left out is not JSON.
            Some(("C", json)) if json.starts_with('{') && !json.contains("[...]") => {
                assert!(parse(json).id.is_some(), "{json}");
                read.0 += 1;
            }
            // Values that are cut short are not certificates or envelopes.
            Some(("S", json)) if json.starts_with('{') && !json.contains("...") => {
                let is_dialect = json == r#"{"dialect":"json"}"#;
                assert!(is_dialect || parse_server_line(json).is_ok(), "{json}");
                read.1 += 1;
            }
            _ => {}
        }
    }
    assert!(read.0 > 10 && read.1 > 10, "{read:?}");
}
