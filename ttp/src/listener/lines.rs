//! Sends answers as lines, and closes connections.

use parlour_protocol::ttp::TtpAnswer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::PATIENCE;

/// The other side has closed, or does not read in time.
#[derive(Debug)]
pub(super) struct Closed;

/// An answer as a line, without line feed. Encoding cannot fail: the keys of our types are text, and none of their
/// parts can fail.
pub(super) fn line(answer: &TtpAnswer) -> String {
    serde_json::to_string(answer).unwrap_or_else(|_| r#"{"error":"internal"}"#.to_owned())
}

/// Sends lines, and fails if the other side does not read them in time.
pub(super) async fn send(stream: &mut UnixStream, lines: &str) -> Result<(), Closed> {
    let sending = async {
        stream.write_all(lines.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        stream.flush().await
    };
    match timeout(PATIENCE, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Closed),
    }
}

/// Closes our side, and reads until the other side has closed too: if a socket is closed with bytes unread, the other side
/// gets an error.
pub(super) async fn close(mut stream: UnixStream) {
    let mut scrap = [0; 4_096];
    let drain = async {
        stream.shutdown().await?;
        while stream.read(&mut scrap).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    let _ = timeout(PATIENCE, drain).await;
}
