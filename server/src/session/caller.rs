//! The caller of a command: all that a handler may know of the session it works for.
//!
//! A handler takes what it needs: a [`User`] if only users may call it, a [`Caller`] if it also needs to know where the
//! call comes from, or just the service that it asks. It changes nothing of the session; what a command changes of it
//! comes back as an [effect](crate::session::commands::Effect).

use std::sync::Arc;

use parlour_protocol::Refusal;

use crate::audit::{Kind, SecurityEvent};
use crate::delivery::peer::Peer;
use crate::session::connection::Connection;
use crate::session::rights::{Actor, User};
use crate::session::services::Services;

/// One who calls a command, and the services to carry it out with.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The one who acts.
    pub actor: Actor<'a>,
    /// The connection that the call comes from.
    pub connection: &'a Connection,
    /// The session that answers go to.
    pub peer: &'a Arc<Peer>,
    /// The services that all sessions share.
    pub services: &'a Services,
}

impl<'a> Caller<'a> {
    /// The user, for what only users may do.
    pub fn user(&self) -> Result<User<'a>, Refusal> {
        match self.actor {
            Actor::Guest => Err(Refusal::NotNow),
            Actor::User(user) => Ok(user),
        }
    }

    /// An event of this caller, with the address that it comes from.
    pub fn event(&self, kind: Kind) -> SecurityEvent {
        let event = SecurityEvent::new(kind).from(self.connection.address.ip());
        match self.actor {
            Actor::Guest => event,
            Actor::User(User { name, device }) => event.of(name).on(device),
        }
    }
}
