//! Fifty pairs who write to each other, with sealed messages of realistic size. CPU seconds of the server for a
//! million deliveries; the copy that a sender receives of its own message is not counted.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use parlour_bench::envelope::Envelope;
use parlour_protocol::UserName;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Stage, per_million};
use crate::machine::cpu_seconds;
use crate::people::People;
use crate::report::Figures;
use crate::target::Kind;
use crate::visitor::{Ear, Mouth, enter, fresh_id};

/// Pairs of users.
const PAIRS: usize = 50;

/// Seconds of CPU for a million deliveries; each side keeps `in_flight` messages under way.
pub(crate) async fn pairs(stage: &Stage<'_>, kind: Kind, in_flight: u64) -> Result<Figures> {
    let target = stage.target(kind, 2 * PAIRS)?;
    let delivered: Rc<Cell<u64>> = Rc::default();
    let mut tasks = JoinSet::new();
    for pair in 0..PAIRS {
        let room = format!("pair-{pair}");
        let (one, two) = (2 * pair, 2 * pair + 1);
        let first =
            enter(&target, stage.people, one, stage.people.tls(one, false)?, &room, stage.dialect).await?;
        let second =
            enter(&target, stage.people, two, stage.people.tls(two, false)?, &room, stage.dialect).await?;
        let kid = stage.people.kid().to_owned();
        if in_flight == 1 {
            tasks.spawn_local(ping_pong(first, two, one, kid.clone(), Rc::clone(&delivered), true));
            tasks.spawn_local(ping_pong(second, one, two, kid, Rc::clone(&delivered), false));
        } else {
            let received = Rc::new((Cell::new(0), Notify::new()));
            tasks.spawn_local(pour(first, two, kid, Rc::clone(&received), in_flight));
            tasks.spawn_local(drink(second.0, one, second.1, Rc::clone(&delivered), received));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (cpu, from) = (cpu_seconds(target.pid())?, delivered.get());
    tokio::time::sleep(stage.time).await;
    Ok(per_million(cpu_seconds(target.pid())? - cpu, delivered.get() - from).into())
}

/// Answers each message from the other side with one.
async fn ping_pong(
    (mut ear, mut mouth): (Ear, Mouth),
    other: usize,
    me: usize,
    kid: String,
    delivered: Rc<Cell<u64>>,
    begins: bool,
) -> Result<()> {
    let letters = Letters::new(other, &kid)?;
    let mark = mouth.mark(&People::name(me)?).into_bytes();
    if begins {
        mouth.say(&letters.line(&mouth)).await?;
    }
    loop {
        let mut came = 0;
        ear.lines(|line| came += u64::from(contains(line, &mark))).await?;
        delivered.set(delivered.get() + came);
        for _ in 0..came {
            mouth.say(&letters.line(&mouth)).await?;
        }
    }
}

/// Sends while fewer than `in_flight` messages are under way.
async fn pour(
    (mut ear, mut mouth): (Ear, Mouth),
    other: usize,
    kid: String,
    received: Rc<(Cell<u64>, Notify)>,
    in_flight: u64,
) -> Result<()> {
    let letters = Letters::new(other, &kid)?;
    let listening = tokio::task::spawn_local(async move { while ear.lines(|_| {}).await.is_ok() {} });
    let mut sent = 0;
    loop {
        let room = in_flight.saturating_sub(sent - received.0.get());
        if room == 0 {
            received.1.notified().await;
            continue;
        }
        for _ in 0..room {
            mouth.say(&letters.line(&mouth)).await?;
        }
        sent += room;
        if listening.is_finished() {
            return Ok(());
        }
    }
}

/// Counts the messages that arrive.
async fn drink(
    mut ear: Ear,
    _other: usize,
    mouth: Mouth,
    delivered: Rc<Cell<u64>>,
    received: Rc<(Cell<u64>, Notify)>,
) -> Result<()> {
    loop {
        let mut came = 0;
        ear.lines(|_| came += 1).await?;
        delivered.set(delivered.get() + came);
        received.0.set(received.0.get() + came);
        received.1.notify_one();
        // Dropping it would close half of the connection.
        let _ = &mouth;
    }
}

fn contains(line: &[u8], mark: &[u8]) -> bool {
    // The name stands near the beginning of a line, before the envelope.
    line.get(..64.min(line.len())).unwrap_or_default().windows(mark.len()).any(|window| window == mark)
}

/// Sealed messages to one user, each with a new id.
struct Letters {
    to: UserName,
    envelope: Envelope,
}

impl Letters {
    fn new(to: usize, kid: &str) -> Result<Self> {
        Ok(Self { to: People::name(to)?, envelope: Envelope::new(kid) })
    }

    fn line(&self, mouth: &Mouth) -> String {
        let id = fresh_id();
        mouth.private(&self.to, id, &self.envelope.json(id))
    }
}
