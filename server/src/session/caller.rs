//! The caller of a command: everything that a handler may know of its session.
//!
//! A handler takes what it needs: a [`User`] if only users may call it, a [`Caller`] if it also needs the origin of
//! the call, or just the service that it uses. It does not change the session, but returns the change as an
//! [effect](crate::session::commands::Effect).

use std::sync::Arc;

use parlour_protocol::Refusal;

use crate::audit::{Kind, SecurityEvent};
use crate::delivery::peer::Peer;
use crate::session::connection::Connection;
use crate::session::rights::{Actor, User};
use crate::session::services::Services;

/// The origin of a command, and the services that carry it out.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The guest or user who acts.
    pub actor: Actor<'a>,
    /// The connection that the call comes from.
    pub connection: &'a Connection,
    /// The session that answers go to.
    pub peer: &'a Arc<Peer>,
    /// The services that all sessions share.
    pub services: &'a Services,
}

impl<'a> Caller<'a> {
    /// The user, for commands that only users may call.
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
