//! `serve`: issues certificates on the socket, until SIGTERM or SIGINT.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use parlour_sandbox::{Access, Confinement, Mode, PrivilegeError, Probe, SandboxError, Signals, SystemCalls};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::authority::{Authority, OpenError};
use crate::clock::Clock;
use crate::danger::{self, Danger};
use crate::folder::KeyFolder;
use crate::ledger::{Ledger, inspect};
use crate::listener::{self, ListenError, ServingSocket};

/// The reasons why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The authority cannot work.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It would be unsafe, and is not allowed.
    #[error("{reason}")]
    Unsafe {
        /// The danger.
        danger: Danger,
        /// The reason.
        reason: String,
    },
    /// The database was changed or damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The socket cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It cannot run as the user that was named.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox is required and the kernel has none.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The system refused something that every program needs.
    #[error("the system refused: {0}")]
    System(io::Error),
}

impl ServeError {
    /// Advice for the operator.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Listen(error) => error.hint(),
            Self::Privileges(error) => error.hint(),
            Self::Sandbox(error) => Some(error.hint().to_owned()),
            Self::Unsafe { danger, .. } => Some(format!(
                "to allow it all the same, write allow-unsafe = [\"{}\"] in the file",
                danger.name()
            )),
            Self::Damaged(_) => Some(
                "'parlour-ttp check' lists the damage; restore the newest good backup: on damaged data a name \
                 could be issued twice"
                    .to_owned(),
            ),
            Self::System(_) => None,
        }
    }
}

/// The settings of `serve`.
pub(super) struct ServeSettings {
    /// Group that may use the socket.
    pub(super) socket_group: Option<String>,
    /// User to run as when started as root.
    pub(super) run_as: Option<String>,
    /// Folder of its log files, if any.
    pub(super) log_folder: Option<PathBuf>,
    /// The mode of the sandbox.
    pub(super) sandbox: Mode,
    /// The dangers that are allowed.
    pub(super) allow_unsafe: Vec<Danger>,
}

/// Everything that is opened before the process is confined.
struct Prepared {
    authority: Authority,
    observer: Ledger,
    socket: ServingSocket,
}

/// Call it while the process has a single thread: user and umask belong to the whole process.
fn prepare(keys: &KeyFolder, settings: &ServeSettings, clock: impl Clock) -> Result<Prepared, ServeError> {
    if let Some(user) = &settings.run_as {
        parlour_sandbox::run_as(user)?;
    }
    refuse_dangers(keys, &settings.allow_unsafe)?;
    let authority = Authority::open(keys.path(), clock)?;
    refuse_damage(keys)?;
    authority.ledger().settle().map_err(OpenError::from)?;
    // A second connection, because `data_version` shows a connection only the writes of others.
    let observer = Ledger::open(&keys.authority().database()).map_err(OpenError::from)?;
    let socket = ServingSocket::bind(&keys.authority(), settings.socket_group.as_deref())?;
    confine(keys, settings)?;
    Ok(Prepared { authority, observer, socket })
}

/// Gives up access to everything but the TTP's own folder.
fn confine(keys: &KeyFolder, settings: &ServeSettings) -> Result<(), ServeError> {
    if settings.run_as.is_none() && parlour_sandbox::is_root() {
        tracing::warn!("running as root; name a user to run as with --run-as");
    }
    let mut paths = vec![(keys.authority().path().to_owned(), Access::Write)];
    paths.extend(settings.log_folder.clone().map(|folder| (folder, Access::Write)));
    paths.extend(parlour_sandbox::randomness());
    let confinement =
        Confinement { paths, ports: Vec::new(), signals: Signals::ToItself, system_calls: SystemCalls::Ttp };
    match confinement.apply(settings.sandbox)? {
        None => tracing::warn!("the sandbox is off: this process may do whatever its user may"),
        Some(report) => {
            tracing::info!(sandbox = %report, "confined");
            for missing in report.missing() {
                tracing::warn!("{missing}");
            }
        }
    }
    Ok(())
}

/// Starts and confines itself like [`run`], then tries an act that must fail.
pub(super) fn try_out(
    keys: &KeyFolder,
    settings: &ServeSettings,
    clock: impl Clock,
    probe: &Probe,
) -> Result<(), CommandError> {
    let _prepared = prepare(keys, settings, clock)?;
    Ok(probe.attempt().map_err(ServeError::System)?)
}

pub(super) fn run(
    keys: &KeyFolder,
    settings: &ServeSettings,
    clock: impl Clock,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let Prepared { authority, observer, socket } = prepare(keys, settings, clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone()).map_err(ServeError::System)?;
        let listener =
            listener::Listener::new(&socket, Arc::new(authority), observer).map_err(ServeError::from)?;
        writeln!(out, "serving on {}", socket.path().display())?;
        out.flush()?;
        tracing::info!(path = %socket.path().display(), "serving");
        listener.run(stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Refuses dangers that are not allowed by name: anyone who can read the keys or change the folder can be this
/// authority.
fn refuse_dangers(keys: &KeyFolder, allowed: &[Danger]) -> Result<(), ServeError> {
    for (danger, reason) in danger::all(&keys.authority()) {
        if !allowed.contains(&danger) {
            return Err(ServeError::Unsafe { danger, reason });
        }
        tracing::warn!(%reason, allowed = danger.name(), "unsafe");
    }
    Ok(())
}

/// Refuses a damaged database: a name could be issued twice from it, and SQLite itself does not notice a changed byte.
fn refuse_damage(keys: &KeyFolder) -> Result<(), ServeError> {
    let inspection = inspect(&keys.authority().database(), None).map_err(OpenError::from)?;
    inspection.damage().map_or(Ok(()), |damage| Err(ServeError::Damaged(damage)))
}

fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // The task ends with the runtime.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
