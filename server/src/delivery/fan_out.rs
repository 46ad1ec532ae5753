//! Brings each stored message to everyone who may read it, and the answer to its sender.

mod broadcast;

use std::sync::Arc;

use parlour_protocol::json::RequestId;
use parlour_protocol::{Conversation, Event, Message, Refusal, Reply};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use self::broadcast::Broadcast;
use crate::delivery::append_refusal;
use crate::delivery::hub::Hub;
use crate::delivery::peer::{Encoded, Peer, append_event};
use crate::metrics::{Audience, Metrics};
use crate::store::{Appended, Outcome, OutcomeQueue};

/// A session that waits for its message to be stored.
pub struct Posting {
    /// The session that posted it.
    pub peer: Arc<Peer>,
    /// The id of the command, which its answer repeats.
    pub id: Option<RequestId>,
    /// The message's place among those of this session that are being stored; freed when it is answered.
    pub place: OwnedSemaphorePermit,
    /// Its share of the bytes that the messages of all sessions may have on their way.
    pub bytes: OwnedSemaphorePermit,
}

/// Bytes that gather for one session before they are sent: well below the smallest limit of an outbox, so that a
/// client that reads is never taken for a slow reader.
const BURST: usize = 32 * 1024;

/// Direct messages that are delivered before other tasks have a turn.
const OTHERS: usize = 256;

/// Sessions that one task sends to, one after the other.
const SHARE: usize = 64;

/// Delivers until the store ends.
pub async fn deliver(hub: Arc<Hub>, mut outcomes: OutcomeQueue<Posting>, metrics: Arc<Metrics>) {
    while let Some(mut batch) = outcomes.next().await {
        for run in runs(std::mem::take(&mut batch.outcomes)) {
            match run {
                Run::Channel(told) => Arc::new(Broadcast::new(&hub, told, &metrics)).bring().await,
                Run::Others(told) => bring_each(&hub, told, &metrics).await,
            }
            // Let other tasks run.
            tokio::task::yield_now().await;
        }
    }
}

/// An outcome as it is announced: the answer to the sender, and the event for everyone else.
struct Announcement {
    posting: Posting,
    answer: Result<Reply, Refusal>,
    event: Option<Event>,
}

impl Announcement {
    fn new((posting, outcome): Outcome<Posting>) -> Self {
        match outcome {
            Ok(Appended { message, fresh }) => {
                let event = fresh.then(|| Event::Message(message.clone()));
                Self { posting, answer: Ok(Reply::Posted(message)), event }
            }
            Err(error) => Self { posting, answer: Err(append_refusal(&error)), event: None },
        }
    }

    fn message(&self) -> Option<&Message> {
        match &self.event {
            Some(Event::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// The channel that it belongs to, if it is a message in one.
    fn channel(&self) -> Option<&Conversation> {
        self.message().map(|message| &message.to).filter(|to| matches!(to, Conversation::Channel(_)))
    }
}

/// Outcomes that follow one another and are announced together.
enum Run {
    /// Messages in one channel.
    Channel(Vec<Announcement>),
    /// Direct messages, and answers that nobody else hears.
    Others(Vec<Announcement>),
}

fn runs(batch: Vec<Outcome<Posting>>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut size = 0;
    for outcome in batch {
        let told = Announcement::new(outcome);
        let bytes = told.message().map_or(0, |message| message.body.line_bytes());
        match (runs.last_mut(), told.channel()) {
            (Some(Run::Others(run)), None) if run.len() < OTHERS => run.push(told),
            (Some(Run::Channel(run)), Some(channel))
                if size + bytes <= BURST && run.first().and_then(Announcement::channel) == Some(channel) =>
            {
                size += bytes;
                run.push(told);
            }
            (_, None) => runs.push(Run::Others(vec![told])),
            (_, Some(_)) => {
                size = bytes;
                runs.push(Run::Channel(vec![told]));
            }
        }
    }
    runs
}

/// Brings direct messages to both users' sessions, and each answer to the session that waits for it.
async fn bring_each(hub: &Hub, run: Vec<Announcement>, metrics: &Metrics) {
    let mut touched = Vec::with_capacity(2 * run.len());
    let mut hearers = Vec::new();
    let (mut messages, mut deliveries) = (0, 0);
    for told in &run {
        let writer = &told.posting.peer;
        if let (Some(event), Some(Message { to: Conversation::Direct(to), from, .. })) =
            (&told.event, told.message())
        {
            let mut hear = |peer: &Arc<Peer>| {
                if peer.id != writer.id {
                    hearers.push(Arc::clone(peer));
                }
            };
            hub.visit(to, &mut hear);
            if to != from {
                hub.visit(from, &mut hear);
            }
            queue_for(&hearers, event);
            messages += 1;
            deliveries += count(hearers.len());
            hearers.drain(..).for_each(|peer| touch(&mut touched, peer));
        }
        if let Err(refusal) = &told.answer {
            metrics.refused(refusal);
        }
        writer.answer(told.posting.id.as_ref(), &told.answer);
        touch(&mut touched, Arc::clone(writer));
    }
    metrics.messages.add(Audience::Private, messages);
    metrics.deliveries.add(Audience::Private, deliveries);
    touched.sort_unstable_by_key(|peer| peer.id);
    touched.dedup_by_key(|peer| peer.id);
    flush(touched).await;
}

/// Queues an event for each of these sessions.
fn queue_for(hearers: &[Arc<Peer>], event: &Event) {
    if let [peer] = hearers {
        // A single event is written straight into the outbox.
        return peer.queue(|in_json, lines| append_event(event, in_json, lines));
    }
    let encoded = Encoded::new(event);
    for peer in hearers {
        peer.queue(|in_json, lines| lines.extend_from_slice(encoded.line(in_json)));
    }
}

/// Sends the queued lines of these sessions, on all available cores.
async fn flush(peers: Vec<Arc<Peer>>) {
    if peers.len() <= SHARE || is_alone() {
        return peers.iter().for_each(|peer| peer.flush());
    }
    let mut tasks = JoinSet::new();
    for share in peers.chunks(SHARE) {
        let share = share.to_vec();
        tasks.spawn(async move {
            for peer in share {
                peer.flush();
            }
        });
    }
    tasks.join_all().await;
}

/// True if there is only one core to work on.
fn is_alone() -> bool {
    Handle::current().metrics().num_workers() == 1
}

/// Notes that a session has lines to be sent; if many have gathered, they are sent at once.
fn touch(touched: &mut Vec<Arc<Peer>>, peer: Arc<Peer>) {
    if peer.outbox.waiting() > BURST {
        peer.flush();
    } else {
        touched.push(peer);
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use parlour_protocol::{Body, DeviceId, MessageId, SafeText, Timestamp, UserName};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::delivery::hub::Presence;
    use crate::metrics::ErrorCode;
    use crate::store::{AppendError, outcome_queue};

    fn peer(id: u64) -> Arc<Peer> {
        Arc::new(Peer::new(id, 1_000_000, None))
    }

    fn join(hub: &Arc<Hub>, name: &str, device: char, peer: &Arc<Peer>) -> Presence {
        let device: DeviceId = device.to_string().repeat(16).parse().unwrap();
        hub.join(&name.parse().unwrap(), &device, peer, None).ok().unwrap()
    }

    /// A message from sam that was stored, posted by `peer`.
    fn stored(peer: &Arc<Peer>, to: &str, text: &str) -> Outcome<Posting> {
        let from: UserName = "sam".parse().unwrap();
        let message = Message {
            to: to.parse().unwrap(),
            from,
            seq: 1,
            id: MessageId::from_bytes([1; 16]),
            time: Timestamp::from_millis(0),
            body: Body::Text(SafeText::parse(text).unwrap()),
        };
        (posting(peer), Ok(Appended { message, fresh: true }))
    }

    fn posting(peer: &Arc<Peer>) -> Posting {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let bytes = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Posting { peer: Arc::clone(peer), id: None, place, bytes }
    }

    /// Delivers a batch and returns what was counted.
    async fn deliver_all(hub: &Arc<Hub>, batch: Vec<Outcome<Posting>>) -> Arc<Metrics> {
        let metrics = Arc::new(Metrics::default());
        let (told, outcomes) = outcome_queue();
        told.send(batch);
        drop(told);
        deliver(Arc::clone(hub), outcomes, Arc::clone(&metrics)).await;
        metrics
    }

    /// The last words of each line that a session was sent.
    fn heard(peer: &Peer) -> Vec<String> {
        let (mut lines, mut piece) = (Vec::new(), Vec::new());
        while peer.outbox.take(&mut piece) {
            lines.append(&mut piece);
        }
        let lines = String::from_utf8(lines).unwrap();
        lines.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_direct_message_reaches_both_users_devices_and_nobody_else() {
        let hub = Arc::new(Hub::default());
        let [writing, other_device, erik, anna] = [1, 2, 3, 4].map(peer);
        let _presences = [
            join(&hub, "sam", '1', &writing),
            join(&hub, "sam", '2', &other_device),
            join(&hub, "erik", '1', &erik),
            join(&hub, "anna", '1', &anna),
        ];
        let batch = vec![stored(&writing, "@erik", "one"), stored(&writing, "#lobby", "two")];
        let metrics = deliver_all(&hub, batch).await;
        assert_eq!(heard(&writing), ["one", "two"]);
        assert_eq!(heard(&other_device), ["one", "two"]);
        assert_eq!(heard(&erik), ["one", "two"]);
        assert_eq!(heard(&anna), ["two"]);
        let counted = |audience| (metrics.messages.get(audience), metrics.deliveries.get(audience));
        assert_eq!(counted(Audience::Private), (1, 2));
        assert_eq!(counted(Audience::Public), (1, 3));
    }

    #[tokio::test]
    async fn everyone_hears_a_channel_in_the_order_in_which_it_was_stored() {
        let hub = Arc::new(Hub::default());
        let peers: Vec<Arc<Peer>> = (0..200).map(peer).collect();
        let names = (0..200).map(|number| format!("u{number}"));
        let _presences: Vec<Presence> =
            peers.iter().zip(names).map(|(peer, name)| join(&hub, &name, '1', peer)).collect();
        let texts: Vec<String> = (0..500).map(|number| format!("{number}-{}", "x".repeat(300))).collect();
        let batch = texts.iter().zip(peers.iter().cycle().take(500));
        let batch = batch.map(|(text, peer)| stored(peer, "#lobby", text)).collect();
        let metrics = deliver_all(&hub, batch).await;
        assert_eq!(metrics.messages.get(Audience::Public), 500);
        // Nobody hears her own message as an event.
        assert_eq!(metrics.deliveries.get(Audience::Public), 500 * 199);
        for peer in peers {
            assert_eq!(heard(&peer), texts);
        }
    }

    #[tokio::test]
    async fn a_message_that_was_not_stored_reaches_nobody_else_and_is_answered_in_turn() {
        let hub = Arc::new(Hub::default());
        let [writing, other] = [1, 2].map(peer);
        let _presences = [join(&hub, "sam", '1', &writing), join(&hub, "erik", '1', &other)];
        let refused = (posting(&writing), Err(AppendError::IdInUse));
        let batch = vec![stored(&writing, "#lobby", "one"), refused, stored(&writing, "#lobby", "two")];
        let metrics = deliver_all(&hub, batch).await;
        assert_eq!(metrics.errors.get(ErrorCode::IdInUse), 1);
        assert_eq!(heard(&other), ["one", "two"]);
        let lines = heard(&writing);
        assert_eq!((lines.len(), &lines[0], &lines[2]), (3, &"one".to_owned(), &"two".to_owned()));
    }
}
