//! Delivering a message to those who may read it.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, ensure};
use parlour_protocol::{DeviceId, Message, UserName};
use parlour_server::delivery::hub::{Hub, Presence};
use parlour_server::delivery::peer::Peer;
use parlour_server::delivery::{Posting, deliver as deliver_outcomes};
use parlour_server::metrics::Metrics;
use parlour_server::store::{Appended, outcome_queue};
use tokio::sync::Semaphore;

use super::{Work, samples};

/// Puts a stored message into the outboxes of all `online` users, with one device each, and empties the outboxes
/// again in place of the connections, which are missing here.
pub(super) fn deliver(online: u64, message: Message) -> Result<Work> {
    let hub = Arc::new(Hub::default());
    let peers: Vec<Arc<Peer>> = (0..online).map(|id| Arc::new(Peer::new(id, 1_000_000, None))).collect();
    let presences: Vec<Presence> = peers.iter().map(|peer| join(&hub, peer)).collect::<Result<_>>()?;
    let writer = peers.first().map(Arc::clone);
    let places = Arc::new(Semaphore::new(2));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let metrics = Arc::new(Metrics::default());
    let mut taken = Vec::new();
    Ok(Box::new(move || {
        let (told, outcomes) = outcome_queue();
        if let Some(peer) = writer.clone() {
            let posting = Posting {
                peer,
                id: None,
                place: Arc::clone(&places).try_acquire_owned()?,
                bytes: Arc::clone(&places).try_acquire_owned()?,
            };
            told.send(vec![(posting, Ok(Appended { message: message.clone(), fresh: true }))]);
        }
        drop(told); // ends the delivery
        runtime.block_on(deliver_outcomes(Arc::clone(&hub), outcomes, Arc::clone(&metrics)));
        let heard = peers.iter().filter(|peer| peer.outbox.take(&mut taken)).count();
        ensure!(heard == peers.len(), "{heard} of {online} heard it");
        black_box((&taken, &presences));
        Ok(())
    }))
}

/// The first user writes, and the second is the recipient of sealed messages.
fn join(hub: &Arc<Hub>, peer: &Arc<Peer>) -> Result<Presence> {
    let name: UserName = match peer.id {
        0 => samples::sam()?,
        1 => samples::erik()?,
        id => format!("u{id}").parse()?,
    };
    let device: DeviceId = "1".repeat(16).parse()?;
    hub.join(&name, &device, peer, None).map_err(|_| anyhow::anyhow!("{name} is online twice"))
}
