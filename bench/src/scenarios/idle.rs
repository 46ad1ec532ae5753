//! Idle connections after login: the server's resident memory for each.

use anyhow::{Context as _, Result};

use super::Stage;
use crate::machine::resident_kib;
use crate::report::Figures;
use crate::target::Kind;
use crate::visitor::enter;

/// KiB of resident memory for each idle connection.
pub(crate) async fn memory(stage: &Stage<'_>, kind: Kind) -> Result<Figures> {
    let count: u32 = if stage.quick { 1_000 } else { 10_000 };
    let users = usize::try_from(count)?;
    let target = stage.target(kind, users)?;
    // The first few connections also pay costs that arise only once.
    let warm = enter(&target, stage.people, 0, stage.people.tls(0, false)?, "warm", stage.dialect).await?;
    let before = resident_kib(target.pid())?;
    let mut visitors = vec![warm];
    for number in 1..users {
        let tls = stage.people.tls(number, false)?;
        let room = format!("idle-{number}");
        visitors.push(
            enter(&target, stage.people, number, tls, &room, stage.dialect).await.context("a visitor")?,
        );
    }
    let after = resident_kib(target.pid())?;
    #[allow(clippy::cast_precision_loss)] // KiB of one process
    let grown = after.saturating_sub(before) as f64;
    drop(visitors);
    Ok((grown / f64::from(count - 1)).into())
}
