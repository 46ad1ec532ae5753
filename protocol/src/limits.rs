//! All limits, with their defaults, in one place. Both ends import them; no other file contains such a number.

use thiserror::Error;

/// The longest text of a message, in bytes. Part of the protocol: both ends must agree on it.
pub const TEXT_BYTES: usize = 8_192;

/// The longest line in either direction, in bytes, without its line feed. Part of the protocol.
pub const LINE_BYTES: usize = 65_536;

/// The longest sealed message, in bytes of its JSON, which leaves room for the rest of its line.
pub const SEALED_BYTES: usize = 60_000;

/// The most bytes of messages in a page of history, unless its first message alone is longer.
pub const HISTORY_BYTES: usize = 60_000;

/// Signed statements of revocations in one reply, at most.
pub const REVOCATIONS_PAGE: usize = 100;

/// Their bytes in one reply; a single statement may take more.
pub const REVOCATIONS_BYTES: usize = 60_000;

/// The longest line from a server, in bytes: only the replies to `users`, `conversations` and `account` can be longer
/// than [`LINE_BYTES`].
pub const REPLY_BYTES: usize = 4_194_304;

/// The longest line that the TTP reads or writes, in bytes.
pub const AUTHORITY_LINE_BYTES: usize = 65_536;

/// The longest enrolment or renewal request, in bytes of compact JWS. Part of the protocol.
pub const REQUEST_BYTES: usize = 16_384;

/// The most messages in one page of history.
pub const HISTORY_PAGE: u16 = 100;

/// If a signed time and the server's time differ by more milliseconds than this, both are shown.
pub const CLOCK_TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// The most counters in the claim `void` of a private message.
pub const VOID_COUNTERS: u64 = 1_000;

/// The most combining marks and joiners in a row that are shown.
pub const MARKS: usize = 4;

/// The most U+200D that are shown in a run of joined characters: enough for ten emoji joined to one. The longest
/// run that Unicode recommends joins four.
pub const JOINERS: usize = 9;

/// The most characters of one grapheme cluster that a terminal face draws: room for ten joined emoji. The longest
/// clusters that Unicode recommends have ten characters, and syllables hardly ever have more.
pub const CLUSTER_CHARS: usize = 20;

/// A limit's name, default, bounds and meaning, for `--limit`, `--help` and the documentation.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The name in `--limit NAME=VALUE`.
    pub name: &'static str,
    /// The value if none is set.
    pub default: u64,
    /// The smallest accepted value.
    pub least: u64,
    /// The largest accepted value.
    pub most: u64,
    /// The quantity that it limits, its unit, and the consequence of exceeding it.
    pub help: &'static str,
}

/// The reasons why a limit cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum LimitError {
    /// Not `NAME=VALUE`.
    #[error("a limit is written NAME=VALUE, not '{0}'")]
    Form(String),
    /// No limit has this name.
    #[error("there is no limit named '{0}'")]
    Unknown(String),
    /// The value is not a whole number between the bounds.
    #[error("limit {name} takes a whole number from {least} to {most}")]
    Range { name: &'static str, least: u64, most: u64 },
}

macro_rules! limits {
    ($( $(#[doc = $help:literal])+ $name:ident = $default:literal, $least:literal ..= $most:literal; )+) => {
        /// The limits that the server enforces, all settable by its configuration or `--limit NAME=VALUE`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $( $(#[doc = $help])+ pub $name: u64, )+
        }

        /// All limits, in the order of [`Limits`].
        pub const TABLE: &[Limit] = &[
            $( Limit {
                name: stringify!($name), default: $default, least: $least, most: $most,
                help: concat!($($help),+),
            }, )+
        ];

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $name: $default, )+ }
            }
        }

        impl Limits {
            /// The value of the limit with this name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $( stringify!($name) => Some(self.$name), )+
                    _ => None,
                }
            }

            fn slot(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $( stringify!($name) => Some(&mut self.$name), )+
                    _ => None,
                }
            }
        }
    };
}

limits! {
    /// Longest line, in bytes; a longer one is answered with an error and skipped. It must hold the longest
    /// enrolment request.
    line_bytes = 65_536, 17_408 ..= 1_048_576;
    /// Longest text of a message, in bytes; a longer one is refused.
    text_bytes = 8_192, 1 ..= 8_192;
    /// Time for a TLS handshake, in seconds; then the connection is closed.
    handshake_seconds = 10, 1 ..= 600;
    /// Handshakes under way at once; beyond this the oldest are closed.
    handshakes = 8_192, 1 ..= 1_000_000;
    /// Time to log in with a client certificate, in seconds; then the connection is closed.
    login_seconds = 30, 1 ..= 3_600;
    /// Time that a guest may be idle, in seconds; then the connection is closed.
    guest_idle_seconds = 600, 1 ..= 86_400;
    /// Time between pings of a json session, in seconds.
    ping_seconds = 15, 1 ..= 40;
    /// Time after which a silent json session is dead, in seconds.
    dead_seconds = 40, 2 ..= 7_200;
    /// Time for an older session of the same device to answer before a new one takes over, in seconds.
    takeover_seconds = 3, 1 ..= 60;
    /// Connections in total; a further one replaces the oldest unfinished handshake, or is closed at once.
    connections = 10_000, 1 ..= 1_000_000;
    /// Connections from one address; a further one replaces its oldest unfinished handshake, or is
    /// closed at once.
    connections_per_address = 64, 1 ..= 1_000_000;
    /// Connections without a client certificate in total; for a further one the longest-silent guest is closed.
    guests = 1_000, 1 ..= 1_000_000;
    /// Connections without a client certificate from one address; for a further one the longest-silent guest
    /// there is closed.
    guests_per_address = 16, 1 ..= 1_000_000;
    /// Commands per second in a session; above this the server reads more slowly and refuses nothing.
    commands_per_second = 20, 1 ..= 10_000_000;
    /// Commands at once in a session before the rate applies.
    command_burst = 60, 1 ..= 10_000_000;
    /// Registrations per hour from one address; further ones are refused.
    registrations_per_hour = 60, 1 ..= 1_000_000;
    /// Renewals of device certificates per hour from one address; further ones are refused.
    renewals_per_hour = 600, 1 ..= 1_000_000;
    /// Renewals per hour of one device's certificate; further ones are refused.
    renewals_per_device = 6, 1 ..= 1_000_000;
    /// Failed logins per minute of one device from one address; then it is locked out there, never by name.
    failed_logins_per_minute = 10, 1 ..= 1_000_000;
    /// Time for which a device is locked out at an address, in seconds; doubled each time.
    lockout_seconds = 60, 1 ..= 86_400;
    /// Longest lockout, in seconds.
    longest_lockout_seconds = 3_600, 1 ..= 86_400;
    /// Time without a lockout after which earlier ones are forgotten, in seconds.
    lockout_memory_seconds = 3_600, 1 ..= 604_800;
    /// Outgoing queue of a session, in bytes, of which the session itself takes 32,768; above this it is closed as a slow
    /// reader.
    outgoing_queue_bytes = 262_144, 65_536 ..= 1_073_741_824;
    /// Sent bytes that the system buffers for a session; more waits in the outgoing queue. Linux takes twice as much
    /// memory for it.
    send_buffer_bytes = 65_536, 4_096 ..= 16_777_216;
    /// Messages of one session that wait to be stored; above this the server reads no further.
    posts_in_flight = 64, 1 ..= 100_000;
    /// Bytes of all sessions' messages that wait to be stored and delivered; above this the server reads no further.
    posts_in_flight_bytes = 67_108_864, 1_048_576 ..= 1_099_511_627_776;
    /// Bytes of messages that an account may store, each counted with 256 for its row; further ones are refused.
    stored_bytes_per_account = 1_073_741_824, 65_536 ..= 1_125_899_906_842_624;
    /// Size of the database, in bytes; above this messages are refused.
    database_bytes = 274_877_906_944, 1_048_576 ..= 1_125_899_906_842_624;
    /// Space that stays free on the disk of the database, in bytes; with less, messages are refused.
    free_disk_bytes = 67_108_864, 0 ..= 1_125_899_906_842_624;
    /// Days for which entries of the audit log are kept.
    audit_days = 365, 1 ..= 36_500;
    /// Entries in the audit log; beyond this the oldest are removed.
    audit_entries = 1_000_000, 1_000 ..= 1_000_000_000;
    /// Length of a log file, in bytes; then the next one begins.
    log_bytes = 16_777_216, 4_096 ..= 1_073_741_824;
    /// Older log files that are kept; beyond this the oldest is removed.
    log_files = 4, 0 ..= 1_000;
    /// Time for the work under way when the server stops, in seconds.
    drain_seconds = 5, 1 ..= 600;
}

impl Limits {
    /// Sets one limit from `NAME=VALUE`.
    pub fn set(&mut self, assignment: &str) -> Result<(), LimitError> {
        let (name, value) =
            assignment.split_once('=').ok_or_else(|| LimitError::Form(assignment.to_owned()))?;
        let value = value.trim().replace('_', "").parse::<u64>().ok();
        self.set_value(name.trim(), value)
    }

    /// Sets the limit `name`; `None` stands for a value that was no number.
    pub fn set_value(&mut self, name: &str, value: Option<u64>) -> Result<(), LimitError> {
        let row =
            TABLE.iter().find(|row| row.name == name).ok_or_else(|| LimitError::Unknown(name.to_owned()))?;
        let value = value.filter(|v| (row.least..=row.most).contains(v)).ok_or(LimitError::Range {
            name: row.name,
            least: row.least,
            most: row.most,
        })?;
        if let Some(slot) = self.slot(name) {
            *slot = value;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::json::{RequestId, encode_command};

    #[test]
    fn every_limit_can_be_read_and_set() {
        let mut limits = Limits::default();
        for row in TABLE {
            assert_eq!(limits.get(row.name), Some(row.default));
            limits.set(&format!("{}={}", row.name, row.least)).unwrap();
            assert_eq!(limits.get(row.name), Some(row.least));
            assert!(limits.set(&format!("{}={}", row.name, row.most + 1)).is_err());
        }
    }

    #[test]
    fn the_shortest_longest_line_has_room_for_every_request_to_register() {
        let row = TABLE.iter().find(|row| row.name == "line_bytes").unwrap();
        let id = RequestId::Text("\\".repeat(RequestId::TEXT_BYTES));
        let name = "x".repeat(32).parse().unwrap();
        let command = Command::Register { name, request: "x".repeat(REQUEST_BYTES) };
        assert!(encode_command(&id, &command).len() as u64 <= row.least);
    }

    #[test]
    fn assignments_that_set_no_limit_are_refused_with_the_reason() {
        let mut limits = Limits::default();
        assert_eq!(limits.set("nonsense=1"), Err(LimitError::Unknown("nonsense".into())));
        assert_eq!(limits.set("connections"), Err(LimitError::Form("connections".into())));
        assert!(matches!(limits.set("connections=many"), Err(LimitError::Range { .. })));
        assert_eq!(limits, Limits::default());
    }
}
