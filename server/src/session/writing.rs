//! The loop that sends what waits in the outbox.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::hub::Peer;

/// Sends until the outbox is closed and empty. What has gathered goes out in one write.
pub(super) async fn write(peer: &Peer, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut lines = Vec::new();
    while peer.outbox.take(&mut lines).await {
        stream.write_all(&lines).await?;
        stream.flush().await?;
    }
    Ok(())
}
