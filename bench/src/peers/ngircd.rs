//! ngircd, with TLS and without its limits on rates and connections, and without look-ups of names.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::Result;

use super::{configure, identity};
use crate::scenarios::Stage;
use crate::target::alone;

/// Starts it in the foreground.
pub(super) fn start(program: &Path, stage: &Stage<'_>, address: SocketAddr) -> Result<Child> {
    let [key, chain] = identity(stage).map(|path| path.display().to_string());
    let (host, port) = (address.ip(), address.port());
    // It changes from root to a user who may read neither the keys nor this file, after it has read them.
    let text = format!(
        "[Global]
Name = bench.local
Info = bench
Listen = {host}
Ports =
ServerUID = 0
ServerGID = 0
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
[SSL]
CertFile = {chain}
KeyFile = {key}
Ports = {port}
"
    );
    let file = configure(stage, "ngircd.conf", &text)?;
    let mut command = alone(stage, program);
    command.args(["--nodaemon", "--config"]).arg(file);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}
