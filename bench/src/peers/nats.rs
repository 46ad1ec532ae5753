//! nats-server, with TLS, in a mode that stores nothing.

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
    let text = format!(
        "listen: \"{address}\"
max_connections: 100000
max_pending: 256MB
ping_interval: \"1h\"
tls {{
  cert_file: \"{chain}\"
  key_file: \"{key}\"
  timeout: 10
}}
"
    );
    let file = configure(stage, "nats.conf", &text)?;
    let mut command = alone(stage, program);
    command.arg("--config").arg(file);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}
