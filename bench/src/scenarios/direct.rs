//! Fifty pairs who write to each other, sealed bodies of real size. CPU seconds of the server for a
//! million deliveries; what a sender hears of its own message is not counted.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_protocol::UserName;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Stage, per_million};
use crate::machine::cpu_seconds;
use crate::people::People;
use crate::target::Kind;
use crate::visitor::{Ear, Mouth, enter, fresh_id};

/// Pairs.
const PAIRS: usize = 50;

/// Bytes of the encrypted part of a message of a hundred bytes: the claims, a certificate and a
/// signature, twice in base64.
const CIPHERTEXT: usize = 1_500;

/// Seconds of CPU for a million deliveries; each side has so many messages under way.
pub(crate) async fn pairs(stage: &Stage<'_>, kind: Kind, in_flight: u64) -> Result<f64> {
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
    Ok(per_million(cpu_seconds(target.pid())? - cpu, delivered.get() - from))
}

/// Answers each message of the other side with one.
async fn ping_pong(
    (mut ear, mut mouth): (Ear, Mouth),
    other: usize,
    me: usize,
    kid: String,
    delivered: Rc<Cell<u64>>,
    begins: bool,
) -> Result<()> {
    let envelope = Envelope::new(other, &kid)?;
    let mark = mouth.mark(&People::name(me)?).into_bytes();
    if begins {
        mouth.say(&envelope.line(&mouth)).await?;
    }
    loop {
        let mut came = 0;
        ear.lines(|line| came += u64::from(contains(line, &mark))).await?;
        delivered.set(delivered.get() + came);
        for _ in 0..came {
            mouth.say(&envelope.line(&mouth)).await?;
        }
    }
}

/// Sends as long as fewer than `in_flight` messages have not arrived.
async fn pour(
    (mut ear, mut mouth): (Ear, Mouth),
    other: usize,
    kid: String,
    received: Rc<(Cell<u64>, Notify)>,
    in_flight: u64,
) -> Result<()> {
    let envelope = Envelope::new(other, &kid)?;
    let listening = tokio::task::spawn_local(async move { while ear.lines(|_| {}).await.is_ok() {} });
    let mut sent = 0;
    loop {
        let room = in_flight.saturating_sub(sent - received.0.get());
        if room == 0 {
            received.1.notified().await;
            continue;
        }
        for _ in 0..room {
            mouth.say(&envelope.line(&mouth)).await?;
        }
        sent += room;
        if listening.is_finished() {
            return Ok(());
        }
    }
}

/// Counts what arrives.
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
        // Kept, or the connection would be half closed.
        let _ = &mouth;
    }
}

fn contains(line: &[u8], mark: &[u8]) -> bool {
    // The name stands near the beginning of a line, before the envelope.
    line.get(..64.min(line.len())).unwrap_or_default().windows(mark.len()).any(|window| window == mark)
}

/// What a message looks like from outside, with an id of its own each time.
struct Envelope {
    to: UserName,
    after: String,
}

impl Envelope {
    fn new(to: usize, kid: &str) -> Result<Self> {
        let key = |byte: u8| {
            let wrapped = URL_SAFE_NO_PAD.encode([byte; 384]);
            format!(r#"{{"header":{{"kid":"{kid}"}},"encrypted_key":"{wrapped}"}}"#)
        };
        let after = format!(
            r#"","recipients":[{},{}],"iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
            key(1),
            key(2),
            URL_SAFE_NO_PAD.encode([3; 12]),
            URL_SAFE_NO_PAD.encode([4; CIPHERTEXT]),
            URL_SAFE_NO_PAD.encode([5; 16])
        );
        Ok(Self { to: People::name(to)?, after })
    }

    fn line(&self, mouth: &Mouth) -> String {
        let id = fresh_id();
        let cmt = "A".repeat(43);
        let header =
            format!(r#"{{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"{id}","cmt":"{cmt}"}}"#);
        let sealed = format!(r#"{{"protected":"{}{}"#, URL_SAFE_NO_PAD.encode(header), self.after);
        mouth.private(&self.to, id, &sealed)
    }
}
