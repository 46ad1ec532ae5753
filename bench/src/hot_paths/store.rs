//! Storing messages.

use anyhow::{Context as _, Result, ensure};
use parlour_protocol::{Limits, Message, Timestamp};
use parlour_server::audit::{Entry, Kind, SecurityEvent};
use parlour_server::metrics::Commits;
use parlour_server::store::sqlite::{Write, Writer};
use parlour_server::store::{Account, Bounds, NewMessage, outcome_queue};
use tokio::sync::{mpsc, oneshot};

use super::{Work, samples};

/// Appends this many messages in one commit. It does the work of the store's writing thread, on the caller's
/// thread, so that exactly these messages share a commit.
pub(super) fn commit(count: u32, message: Message) -> Result<Work> {
    let folder = tempfile::tempdir()?;
    let (told, mut told_outcomes) = outcome_queue();
    let bounds = Bounds::new(&Limits::default());
    let mut writer = Writer::open(&folder.path().join("chat.db"), bounds, told, Commits::default())?;
    let (queue, mut writes) = mpsc::channel(usize::try_from(count)? + 2);
    for name in [samples::sam()?, samples::erik()?] {
        let created = Timestamp::from_millis(samples::NOW);
        let account = Account { name, certificate: Vec::new(), kid: String::new(), created };
        let entry = Entry { time: created, event: SecurityEvent::new(Kind::Registration), times: 1 };
        queue.try_send(Write::CreateAccount(Box::new((account, entry)), oneshot::channel().0))?;
    }
    queue.try_send(Write::Stop)?;
    writer.run(&mut writes);
    let mut numbers = 0..;
    Ok(Box::new(move || {
        let _ = &folder; // keeps the folder as long as the database is used
        for number in numbers.by_ref().take(usize::try_from(count)?) {
            let Message { to, from, body, .. } = message.clone();
            let now = Timestamp::from_millis(samples::NOW + i64::from(number));
            let new = NewMessage { to, from, id: samples::id(number), body, now };
            queue.try_send(Write::Append(Box::new(new), ()))?;
        }
        queue.try_send(Write::Stop)?;
        writer.run(&mut writes);
        let batch = told_outcomes.try_next().context("outcomes")?;
        let kept = batch.outcomes.iter().filter(|((), outcome)| outcome.is_ok()).count();
        ensure!(kept == usize::try_from(count)?, "{kept} of {count} were kept");
        Ok(())
    }))
}
