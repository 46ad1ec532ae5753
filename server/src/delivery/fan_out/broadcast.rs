//! Messages in a channel, brought to everyone with one write for each session.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use tokio::task::JoinSet;

use super::{Announcement, SHARE, count, is_alone};
use crate::delivery::hub::Hub;
use crate::delivery::outbox::InJson;
use crate::delivery::peer::{Peer, append_event};
use crate::metrics::{Audience, Metrics};

/// Messages in one channel on their way to all who are in it.
pub(super) struct Broadcast {
    run: Vec<Announcement>,
    audience: Arc<[Arc<Peer>]>,
    /// The sessions that posted one of the messages: they get an answer instead of the event.
    writers: Vec<Arc<Peer>>,
    metrics: Arc<Metrics>,
    plain: OnceLock<Lines>,
    json: OnceLock<Lines>,
}

/// All lines of a run in one dialect.
struct Lines {
    bytes: Vec<u8>,
    /// The range of each line.
    lines: Vec<Range<usize>>,
}

impl Broadcast {
    pub(super) fn new(hub: &Hub, run: Vec<Announcement>, metrics: &Arc<Metrics>) -> Self {
        let mut writers: Vec<Arc<Peer>> = run.iter().map(|told| Arc::clone(&told.posting.peer)).collect();
        writers.sort_unstable_by_key(|peer| peer.id);
        writers.dedup_by_key(|peer| peer.id);
        Self {
            run,
            audience: hub.everyone(),
            writers,
            metrics: Arc::clone(metrics),
            plain: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// Sends to everyone, on all available cores.
    pub(super) async fn bring(self: Arc<Self>) {
        self.metrics.messages.add(Audience::Public, count(self.run.len()));
        for writer in &self.writers {
            self.bring_to_writer(writer);
        }
        let everyone = 0..self.audience.len();
        if everyone.len() <= SHARE || is_alone() {
            return self.bring_to(everyone);
        }
        let mut tasks = JoinSet::new();
        for begin in everyone.clone().step_by(SHARE) {
            let broadcast = Arc::clone(&self);
            let share = begin..everyone.end.min(begin + SHARE);
            tasks.spawn(async move { broadcast.bring_to(share) });
        }
        tasks.join_all().await;
    }

    fn bring_to(&self, share: Range<usize>) {
        let writers: Vec<u64> = self.writers.iter().map(|peer| peer.id).collect();
        let mut others = 0;
        for peer in self.audience.get(share).unwrap_or_default() {
            if !writers.contains(&peer.id) {
                peer.queue(|in_json, lines| lines.extend_from_slice(&self.lines(in_json).bytes));
                peer.flush();
                others += 1;
            }
        }
        self.metrics.deliveries.add(Audience::Public, others * count(self.run.len()));
    }

    fn bring_to_writer(&self, writer: &Peer) {
        let mut told_of_others = 0;
        for (index, told) in self.run.iter().enumerate() {
            if told.posting.peer.id == writer.id {
                writer.answer(told.posting.id.as_ref(), &told.answer);
            } else {
                writer.queue(|in_json, lines| lines.extend_from_slice(self.lines(in_json).line(index)));
                told_of_others += 1;
            }
        }
        self.metrics.deliveries.add(Audience::Public, told_of_others);
        writer.flush();
    }

    fn lines(&self, in_json: InJson) -> &Lines {
        let lines = if in_json { &self.json } else { &self.plain };
        lines.get_or_init(|| Lines::write(&self.run, in_json))
    }
}

impl Lines {
    fn write(run: &[Announcement], in_json: InJson) -> Self {
        let (mut bytes, mut lines) = (Vec::new(), Vec::with_capacity(run.len()));
        for told in run {
            let begin = bytes.len();
            if let Some(event) = &told.event {
                append_event(event, in_json, &mut bytes);
            }
            lines.push(begin..bytes.len());
        }
        Self { bytes, lines }
    }

    fn line(&self, index: usize) -> &[u8] {
        self.lines.get(index).and_then(|line| self.bytes.get(line.clone())).unwrap_or_default()
    }
}
