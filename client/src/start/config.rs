//! The client's configuration: the command line comes before the environment, then the file, then the default.

use std::path::{Path, PathBuf};

use parlour_protocol::{Invitation, ServerAddress, UserName};
use parlour_sandbox::Mode;
use serde::Deserialize;

use super::StartError;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::engine::setup::Setup;
use crate::link::trust::RootPin;
use crate::profile::{self, ProfileError, Profiles};
use crate::records::PUBLIC_BYTES;
use crate::start::cli::Options;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: Option<String>,
    keys: Option<PathBuf>,
    ca: Option<PathBuf>,
    user: Option<String>,
    #[serde(rename = "history-bytes")]
    history_bytes: Option<String>,
    sandbox: Option<Mode>,
}

/// The complete configuration.
pub struct Settled {
    /// Server, root and keys.
    pub setup: Setup,
    /// The user to log in as.
    pub user: Option<UserName>,
    /// The strictness of the sandbox for this process.
    pub sandbox: Mode,
}

/// The part of the configuration that the broker needs.
pub(super) struct Brokered {
    /// The folders with the clients' sockets.
    pub(super) profiles: Profiles,
    /// The strictness of the broker's sandbox.
    pub(super) sandbox: Mode,
}

/// Reads the part of the configuration that the broker needs.
pub(super) fn brokered(options: &Options) -> Result<Brokered, StartError> {
    let file = file(options)?;
    let server = options.server.clone().or(file.server);
    let (server, _) = server.as_deref().map_or(Ok((None, None)), address)?;
    let here = server.as_ref().is_none_or(ServerAddress::is_loopback);
    let profiles = Profiles::new(keys(options.keys.clone().or(file.keys), here)?.folder);
    Ok(Brokered { profiles, sandbox: options.sandbox.mode(file.sandbox) })
}

fn file(options: &Options) -> Result<File, StartError> {
    options.config.as_deref().map_or_else(|| Ok(File::default()), read)
}

/// Combines the options with the file. The client asks `broker` for what it may not do itself.
pub fn settle(options: &Options, broker: Broker) -> Result<Settled, StartError> {
    let file = file(options)?;
    let server = options.server.clone().or(file.server);
    let ca = options.ca.clone().or(file.ca);
    let (server, invited) = match server.as_deref() {
        None => (None, None),
        Some(text) => address(text)?,
    };
    let named = ca.as_deref().map(RootPin::from_file).transpose()?;
    let pin = match (named, invited) {
        (Some(named), Some(invited)) if named.fingerprint() != invited.fingerprint() => {
            return Err(StartError::Usage("--ca and the invitation name different authorities".to_owned()));
        }
        (named, invited) => named.or(invited),
    };
    let user = options.user.clone().or(file.user);
    let user = user.map(|name| name.parse().map_err(|error| StartError::User(name, error))).transpose()?;
    let history_bytes = options.history_bytes.clone().or(file.history_bytes);
    let history_bytes = history_bytes.as_deref().map_or(Ok(PUBLIC_BYTES), bytes)?;
    let here = server.as_ref().is_none_or(ServerAddress::is_loopback);
    let Keys { folder, found_here } = keys(options.keys.clone().or(file.keys), here)?;
    let setup = Setup {
        server,
        pin,
        local_pin: local_pin(),
        profiles: Profiles::new(folder),
        found_here,
        history_bytes,
        clock: Clock::with_offset(options.clock_offset.unwrap_or(0)),
        broker,
    };
    Ok(Settled { setup, user, sandbox: options.sandbox.mode(file.sandbox) })
}

fn address(text: &str) -> Result<(Option<ServerAddress>, Option<RootPin>), StartError> {
    let wrong = |error: parlour_protocol::InvitationError| StartError::Usage(format!("'{text}': {error}"));
    if text.starts_with("parlour:") {
        let invitation: Invitation = text.parse().map_err(wrong)?;
        return Ok((Some(invitation.server), Some(RootPin::Fingerprint(invitation.root))));
    }
    Ok((Some(text.parse().map_err(wrong)?), None))
}

/// The smallest limit for a public conversation: the messages that a login shows stay in any case.
const LEAST_BYTES: u64 = 64 * 1_024;

/// Reads a size: a number of bytes, or of KiB, MiB or GiB.
fn bytes(text: &str) -> Result<u64, StartError> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: Option<u64> = match text.get(digits.len()..).unwrap_or_default().trim_start() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .filter(|bytes| (LEAST_BYTES..=i64::MAX as u64).contains(bytes))
        .ok_or_else(|| {
            StartError::Usage(format!("--history-bytes {text}: write a size of 64KiB or more, as in 64MiB"))
        })
}

/// The root of a server that was set up in the current folder. Somebody else could have put it there, so it counts only
/// if the folders and the file are the user's own.
fn local_pin() -> Option<Result<RootPin, ProfileError>> {
    let path = Path::new("keys/ttp/ca.crt");
    path.exists().then(|| {
        ["keys", "keys/ttp", "keys/ttp/ca.crt"]
            .iter()
            .try_for_each(|path| profile::check_own(Path::new(path)))?;
        RootPin::from_file(path)
    })
}

struct Keys {
    folder: PathBuf,
    found_here: bool,
}

/// The folder of keys: the named one; else the one in the current folder, if the server may be on this machine; else
/// the one in the user's data directory.
fn keys(named: Option<PathBuf>, here: bool) -> Result<Keys, StartError> {
    if let Some(folder) = named {
        return Ok(Keys { folder, found_here: false });
    }
    let found = PathBuf::from("keys/clients");
    if here && found.is_dir() {
        profile::check_own(Path::new("keys"))?;
        profile::check_own(&found)?;
        return Ok(Keys { folder: found, found_here: true });
    }
    directories::ProjectDirs::from("", "", "parlour")
        .map(|directories| Keys { folder: directories.data_dir().join("clients"), found_here: false })
        .ok_or_else(|| {
            StartError::Usage("there is no home directory; say where the keys are: --keys DIR".to_owned())
        })
}

fn read(path: &Path) -> Result<File, StartError> {
    let wrong = |reason: String| ProfileError::file(path, reason);
    let text = profile::read_text(path)?;
    toml::from_str(&text).map_err(|error| wrong(error.message().lines().collect::<Vec<_>>().join(" ")).into())
}
