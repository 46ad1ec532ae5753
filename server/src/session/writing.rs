//! The loop that sends the lines that the system did not accept at once.

use std::io;

use crate::delivery::peer::Peer;
use crate::delivery::wire::Sent;

/// Sends until the outbox is closed and empty.
pub(super) async fn write(peer: &Peer) -> io::Result<()> {
    loop {
        // Read first: lines that are queued when the outbox closes are still sent.
        let closed = peer.outbox.closing().is_some();
        match (peer.send()?, peer.wire()) {
            (Sent::Partly, Some(wire)) => wire.writable().await?,
            _ if closed => return Ok(()),
            _ => peer.outbox.called().await,
        }
    }
}
