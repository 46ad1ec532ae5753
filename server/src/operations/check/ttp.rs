//! Checks that the TTP answers.

use std::io::ErrorKind;
use std::path::Path;

use parlour_upkeep::{Finding, look};
use tokio::net::UnixStream;

use crate::accounts::ttp_client::TtpClient;

/// Asks it for later revocations than any, which changes nothing.
pub(super) async fn find(socket: Option<&Path>) -> Finding {
    let Some(socket) = socket else {
        return Finding::not_checked("ttp", "no --ttp was given");
    };
    if matches!(UnixStream::connect(socket).await, Err(error) if error.kind() == ErrorKind::PermissionDenied)
    {
        return look::out_of_reach("ttp", &socket.display().to_string());
    }
    match TtpClient::new(socket).watch(u64::MAX).await {
        Ok(_) => Finding::well("ttp", format!("it answers on {}", socket.display())),
        Err(error) => Finding::wrong(
            "ttp",
            format!("{} does not answer: {error}", socket.display()),
            "start it with 'parlour-ttp serve', and let this user use its socket (--socket-group)",
        ),
    }
}
