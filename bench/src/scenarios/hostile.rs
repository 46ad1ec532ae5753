//! The cost of malicious clients: handshakes that are never finished, and members who never read. The limits are
//! the defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::Stage;
use super::channel::Room;
use super::latency::{Listening, MEMBERS};
use crate::machine::resident_kib;
use crate::report::Growth;
use crate::target::{Kind, Target};
use crate::visitor::{Ear, Mouth, enter, enter_over};

/// Connections from one address: fewer than the limit.
const FROM_ONE: usize = 50;

/// Logins that are timed; the result is the slowest.
const LOGINS: usize = 20;

/// Only the honest members, who share one address, need a higher limit on connections.
const LIMITS: [&str; 3] =
    ["connections_per_address=300", "command_burst=100000", "commands_per_second=100000"];

/// The slowest of some logins, without and with five thousand handshakes that wait for their client.
pub(crate) async fn handshakes(stage: &Stage<'_>) -> Result<Growth> {
    let held = if stage.quick { 1_000 } else { 5_000 };
    let mut growth =
        Growth::new("login_by_slow_handshakes", "milliseconds, the slowest of 20", "under 1,000 with 5,000");
    Target::prepare(Kind::Ours, stage, LOGINS)?;
    let target = Target::launch_with(Kind::Ours, stage, &LIMITS)?;
    growth.add("none", slowest_login(stage, &target).await?);
    let hello = client_hello(stage)?;
    let mut slow = Vec::new();
    for number in 0..held {
        let mut stream = connect_from(&target, number, None).await?;
        stream.write_all(&hello).await?;
        slow.push(stream);
    }
    growth.add(&format!("{held} held"), slowest_login(stage, &target).await?);
    let mut byte = [0];
    let open = slow.iter().filter(|stream| !matches!(stream.try_read(&mut byte), Ok(0))).count();
    ensure!(open == held, "only {open} of {held} are still held");
    Ok(growth)
}

async fn slowest_login(stage: &Stage<'_>, target: &Target) -> Result<f64> {
    let mut slowest = Duration::ZERO;
    for number in 0..LOGINS {
        let tls = stage.people.tls(number, false)?;
        let begun = Instant::now();
        let talk = enter(target, stage.people, number, tls, "lobby", stage.dialect).await?;
        slowest = slowest.max(begun.elapsed());
        drop(talk);
    }
    Ok(slowest.as_secs_f64() * 1e3)
}

/// The first bytes of a handshake.
fn client_hello(stage: &Stage<'_>) -> Result<Vec<u8>> {
    let mut client = ClientConnection::new(stage.people.tls(0, false)?, ServerName::try_from("localhost")?)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok(hello)
}

/// Connects from the loopback address with this number, with a small receive buffer if one is given.
async fn connect_from(target: &Target, number: usize, buffer: Option<u32>) -> Result<TcpStream> {
    let [third, fourth] = u16::try_from(2 + number / FROM_ONE)?.to_be_bytes();
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, third, fourth), 0)))?;
    Ok(socket.connect(target.address).await?)
}

/// A thousand members of the lobby who never read: the most memory that the server uses for each, and the time
/// that messages take to 200 others, without them and while their queues fill.
pub(crate) async fn readers(stage: &Stage<'_>) -> Result<[Growth; 2]> {
    let count = if stage.quick { 200 } else { 1_000 };
    let mut memory = Growth::new("silent_reader_memory", "KiB each, at most", "256");
    let mut latency = Growth::new("p99_by_silent_readers", "microseconds", "at most 1.1");
    let users = MEMBERS + count;
    Target::prepare(Kind::Ours, stage, users)?;
    let target = Target::launch_with(Kind::Ours, stage, &LIMITS)?;
    let Room { ears, mut mouths, .. } = Room::fill(stage, &target, MEMBERS).await?;
    let mut mouth = mouths.remove(0);
    let mut listening = Listening::to(ears)?;
    latency.add("none", typical(&mut listening, &mut mouth, stage).await?);

    let before = resident_kib(target.pid())?;
    let silent = be_silent(stage, &target, count).await?;
    // Until their queues in the server fill, after those of the operating system.
    let filled = fill((&listening, &mut mouth), &target, before, |grown| grown > 40 * count as u64).await?;
    ensure!(filled, "their queues do not fill");
    latency.add(&format!("{count}"), typical(&mut listening, &mut mouth, stage).await?);
    ensure!(
        resident_kib(target.pid())?.saturating_sub(before) > 80 * count as u64,
        "they were cut off early"
    );
    // Until they are disconnected.
    let mut most = 0;
    fill((&listening, &mut mouth), &target, before, |grown| {
        let falls = grown < most / 2;
        most = most.max(grown);
        falls
    })
    .await?;
    #[allow(clippy::cast_precision_loss)] // KiB of one process
    memory.add(&format!("{count}"), most as f64 / count as f64);
    drop(silent);
    Ok([memory, latency])
}

/// The 99th percentile, as the median of several runs: in a single run it depends on the slowest two or three
/// commits.
async fn typical(listening: &mut Listening, mouth: &mut Mouth, stage: &Stage<'_>) -> Result<f64> {
    let mut percentiles = [0.0; 3];
    for percentile in &mut percentiles {
        *percentile = listening.measure(mouth, stage.time).await?.1;
    }
    percentiles.sort_unstable_by(f64::total_cmp);
    let [_, median, _] = percentiles;
    Ok(median)
}

async fn be_silent(stage: &Stage<'_>, target: &Target, count: usize) -> Result<Vec<(Ear, Mouth)>> {
    let mut silent = Vec::new();
    for number in MEMBERS..MEMBERS + count {
        let tls = stage.people.tls(number, false)?;
        let stream = connect_from(target, number, Some(4_096)).await?;
        let who = (stage.people, number);
        silent.push(
            enter_over(stream, target, who, tls, "lobby", stage.dialect).await.context("a silent one")?,
        );
    }
    Ok(silent)
}

/// Posts long messages until `enough` accepts the server's growth since `before`, in KiB; false when it never
/// does.
async fn fill(
    (listening, mouth): (&Listening, &mut Mouth),
    target: &Target,
    before: u64,
    mut enough: impl FnMut(u64) -> bool,
) -> Result<bool> {
    for _ in 0..400 {
        listening.hear_all(mouth, &"x".repeat(8_000)).await?;
        if enough(resident_kib(target.pid())?.saturating_sub(before)) {
            return Ok(true);
        }
    }
    Ok(false)
}
