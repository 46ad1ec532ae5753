//! Connecting: mutual TLS handshake and login. CPU seconds of the server for a thousand.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use parlour_protocol::Dialect;

use super::Stage;
use crate::machine::cpu_seconds;
use crate::report::Figures;
use crate::target::Kind;
use crate::visitor::enter;

/// Users who take turns.
const USERS: usize = 200;

/// Seconds of CPU for a thousand handshakes with login (on bare: with one line back and forth).
pub(crate) async fn handshakes(stage: &Stage<'_>, kind: Kind, hybrid: bool) -> Result<Figures> {
    let rounds: u32 = if stage.quick { 400 } else { 3_000 };
    let target = stage.target(kind, USERS)?;
    let configs: Vec<_> = (0..USERS).map(|n| stage.people.tls(n, hybrid)).collect::<Result<_>>()?;
    let cpu = cpu_seconds(target.pid())?;
    for (_, (number, tls)) in (0..rounds).zip(configs.iter().enumerate().cycle()) {
        let visit = enter(&target, stage.people, number, Arc::clone(tls), "door", Dialect::Plain);
        let (mut ear, mut mouth) = visit.await.context("a visit")?;
        if kind == Kind::Bare {
            mouth.say("here\n").await?;
            ear.line().await?;
        } else {
            mouth.say("/exit\n").await?;
            // By the time the server hangs up, it has marked the user as offline.
            while ear.line().await.is_ok() {}
        }
    }
    Ok(((cpu_seconds(target.pid())? - cpu) / f64::from(rounds) * 1e3).into())
}
