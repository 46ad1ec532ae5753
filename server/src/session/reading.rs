//! The loop that reads lines, and carries them out one after the other.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use parlour_protocol::{Command, LineSplitter, Refusal, Request, json, plain};

use crate::delivery::wire::Incoming;
use crate::metrics::{Bound, Line};
use crate::session::Session;
use crate::session::commands;
use crate::session::rights::{Deed, may};

impl Session {
    /// Reads until the client closes its side or a command ends the session.
    pub(super) async fn read(&mut self, incoming: &mut Incoming) -> io::Result<()> {
        let peer = Arc::clone(&self.peer);
        let Some(wire) = peer.wire() else { return Ok(()) };
        let longest = usize::try_from(self.services.limits.line_bytes).unwrap_or(usize::MAX);
        let mut lines = LineSplitter::new(longest);
        let mut more = incoming.begin(wire, &mut lines)?;
        loop {
            while let Some(line) = lines.next_line() {
                self.pace().await;
                match line {
                    Ok(line) => {
                        if self.carry_out(line).await.is_break() {
                            return Ok(());
                        }
                    }
                    Err(fault) => self.refuse_in_turn(None, fault.into()).await,
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

    /// Waits while the client sends faster than allowed, or does not read its answers.
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

    async fn carry_out(&mut self, line: &str) -> ControlFlow<()> {
        let (id, request) = if self.peer.speaks_json() {
            let incoming = json::parse(line);
            (incoming.id, incoming.request)
        } else {
            (None, plain::parse(line))
        };
        match self.checked(request) {
            Ok(command) => match commands::run(&self.caller(), &self.posts, id.as_ref(), command).await {
                Some(outcome) => self.conclude(id.as_ref(), outcome),
                None => ControlFlow::Continue(()),
            },
            Err(refusal) => {
                self.refuse_in_turn(id.as_ref(), refusal).await;
                ControlFlow::Continue(())
            }
        }
    }

    /// Returns the command or the first fault: unknown command, then not allowed now, then malformed.
    fn checked(&self, request: Result<Request, Refusal>) -> Result<Command, Refusal> {
        let commands = &self.services.metrics.commands;
        let request = request.inspect_err(|refusal| {
            if *refusal == Refusal::Format {
                commands.count(Line::Unreadable);
            }
        })?;
        commands.count(request.verb.into());
        if !may(self.standing.actor(), Deed::Use(request.verb)) {
            return Err(Refusal::NotNow);
        }
        request.command
    }
}
