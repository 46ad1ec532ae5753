//! The loop that sends what waits in the outbox.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::hub::Peer;

/// The most bytes that are put together for one write.
const TOGETHER: usize = 64 * 1024;

/// Sends until the outbox is closed and empty. What has gathered goes out in one write.
pub(super) async fn write(peer: &Peer, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    while let Some(lines) = peer.outbox.take().await {
        let mut together: Vec<u8> = Vec::new();
        let size: usize = lines.iter().map(Bytes::len).sum();
        together.reserve(size.min(TOGETHER));
        for line in lines {
            together.extend_from_slice(&line);
            if together.len() >= TOGETHER {
                stream.write_all(&together).await?;
                together.clear();
            }
        }
        stream.write_all(&together).await?;
        stream.flush().await?;
        peer.outbox.sent(size);
    }
    Ok(())
}
