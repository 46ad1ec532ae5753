//! The loop that reads lines and has them carried out, one after the other.

use std::io;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use parlour_protocol::json::{self, RequestId};
use parlour_protocol::{LineSplitter, Refusal, Request, plain};

use super::Session;
use crate::delivery::wire::Incoming;
use crate::metrics::Bound;
use crate::session::commands::{self, After};
use crate::session::rights::{Deed, may};

impl Session {
    /// Reads until the client's side ends or a command ends the session.
    pub(super) async fn read(&mut self, incoming: &mut Incoming) -> io::Result<()> {
        let peer = Arc::clone(&self.peer);
        let Some(wire) = peer.wire() else { return Ok(()) };
        let longest = usize::try_from(self.services.limits.line_bytes).unwrap_or(usize::MAX);
        let mut lines = LineSplitter::new(longest);
        let mut more = incoming.begin(wire, &mut lines)?;
        loop {
            while let Some(line) = lines.next_line() {
                self.pace().await;
                let after = match line {
                    Ok(line) => self.carry_out(line).await,
                    Err(fault) => self.refuse_in_turn(None, fault.into()).await,
                };
                if after == After::Leave {
                    return Ok(());
                }
            }
            peer.flush();
            if !more {
                return Ok(());
            }
            more = incoming.receive(wire, &mut lines).await?;
            peer.hear();
        }
    }

    /// Waits while the client is faster than allowed, or does not read what it asked for.
    async fn pace(&self) {
        let mut waited = false;
        while let Err(not_until) = self.rate.check() {
            if !std::mem::replace(&mut waited, true) {
                self.services.metrics.limits.count(Bound::CommandsPerSecond);
            }
            self.peer.flush();
            tokio::time::sleep(not_until.wait_time_from(DefaultClock::default().now())).await;
        }
        if !self.peer.outbox.has_room() {
            self.peer.flush();
            self.peer.outbox.room().await;
        }
    }

    async fn carry_out(&mut self, line: &str) -> After {
        let (id, request) = if self.peer.speaks_json() {
            let incoming = json::parse(line);
            (incoming.id, incoming.request)
        } else {
            (None, plain::parse(line))
        };
        match self.checked(request) {
            Ok(command) => commands::run(self, id, command).await,
            Err(refusal) => self.refuse_in_turn(id, refusal).await,
        }
    }

    /// Unknown comes first, then not now, then the format.
    fn checked(&self, request: Result<Request, Refusal>) -> Result<parlour_protocol::Command, Refusal> {
        let request = request?;
        self.services.metrics.commands.count(request.verb);
        if !may(self.actor(), Deed::Use(request.verb)) {
            return Err(Refusal::NotNow);
        }
        request.command
    }

    /// Refuses after the messages before it were answered: replies come in the order of commands.
    async fn refuse_in_turn(&self, id: Option<RequestId>, refusal: Refusal) -> After {
        self.settle().await;
        self.answer(id.as_ref(), &Err(refusal));
        After::Stay
    }
}
