//! Dangers: settings that are refused as unsafe unless they are allowed by name.

use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;
use parlour_protocol::Limits;
use parlour_upkeep::look;

/// Something unsafe, with the name that allows it in `allow-unsafe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Danger {
    /// Others than the owner can read the server's key
    WorldReadableKeys,
    /// Others than the owner can change or replace the server's key
    WritableKeys,
    /// Others than the owner can change files in the data directory
    WritableData,
    /// Listen publicly while a limit for one address is raised so far that it has no effect
    PublicWithoutLimits,
}

/// The value from which on a limit for one address has no effect.
enum Pointless {
    /// The number of all connections: one address can then take all places.
    AtConnections,
    /// The number of all guests.
    AtGuests,
    /// This number.
    At(u64),
}

/// The limits for one address, each with the value from which on it has no effect. They are compared only if they were
/// raised. Failed logins are not among them: they are counted for each device at an address, and a device is proven by
/// its key, so one address could have any number of them at any value of that limit.
const PER_ADDRESS: &[(&str, Pointless)] = &[
    ("connections_per_address", Pointless::AtConnections),
    ("guests_per_address", Pointless::AtGuests),
    ("registrations_per_hour", Pointless::At(6_000)),
];

impl Pointless {
    fn bound(&self, limits: &Limits) -> u64 {
        match self {
            Self::AtConnections => limits.connections,
            // A guest is a connection too.
            Self::AtGuests => limits.guests.min(limits.connections),
            Self::At(bound) => *bound,
        }
    }
}

impl Danger {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorldReadableKeys => "world-readable-keys",
            Self::WritableKeys => "writable-keys",
            Self::WritableData => "writable-data",
            Self::PublicWithoutLimits => "public-without-limits",
        }
    }
}

/// The danger that others can read the key in `keys`.
pub fn of_keys(keys: &Path) -> Option<String> {
    let key = keys.join("server.key");
    look::is_readable_by_others(&key).then(|| {
        format!("others than its owner can read {0}; 'chmod 600 {0}' takes that away", key.display())
    })
}

/// The danger that others can change or replace the key in `keys`.
pub fn of_keys_folder(keys: &Path) -> Option<String> {
    let key = keys.join("server.key");
    of_folder(keys).or_else(|| {
        look::is_writable_by_others(&key).then(|| {
            format!("others than its owner can change {0}; 'chmod go-w {0}' takes that away", key.display())
        })
    })
}

/// The danger that others can write into `data`.
pub fn of_data(data: &Path) -> Option<String> {
    of_folder(data)
}

fn of_folder(folder: &Path) -> Option<String> {
    look::is_writable_by_others(folder).then(|| {
        format!(
            "others than its owner can change what is in {0}; 'chmod go-w {0}' takes that away",
            folder.display()
        )
    })
}

/// The danger that a limit for one address has no effect, on an address that others reach.
pub fn of_limits(address: SocketAddr, limits: &Limits) -> Option<String> {
    if address.ip().is_loopback() {
        return None;
    }
    let default = Limits::default();
    let pointless = |(name, from): &&(&str, Pointless)| {
        let value = limits.get(name).unwrap_or_default();
        Some(value) > default.get(name) && value >= from.bound(limits)
    };
    PER_ADDRESS.iter().find(pointless).map(|(name, _)| {
        format!("the server would listen on {address} with a limit {name} that has no effect")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_needs_limits_for_one_address_that_have_an_effect() {
        let (public, local) = ("0.0.0.0:7275".parse().unwrap(), "127.0.0.1:7275".parse().unwrap());
        for (assignments, dangerous) in [
            (&[][..], false),
            (&["connections=10"], false),
            (&["connections_per_address=9999"], false),
            (&["connections_per_address=10000"], true),
            (&["guests_per_address=999"], false),
            (&["guests_per_address=5000"], true),
            (&["guests_per_address=5000", "guests=5001"], false),
            (&["guests_per_address=5000", "guests=9000", "connections=5000"], true),
            (&["registrations_per_hour=6000"], true),
            // It is counted for each device, so it holds no address back at any value.
            (&["failed_logins_per_minute=1000000"], false),
        ] {
            let mut limits = Limits::default();
            for assignment in assignments {
                limits.set(assignment).unwrap();
            }
            assert_eq!(of_limits(public, &limits).is_some(), dangerous, "{assignments:?}");
            assert_eq!(of_limits(local, &limits), None);
        }
    }
}
