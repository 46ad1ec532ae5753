//! The entrance: the parts that a connection needs on its way in.

use std::sync::{Arc, PoisonError, RwLock};

use crate::edge::gate::Gate;
use crate::edge::tls::Identity;
use crate::session::services::Services;

/// The parts that turn a connection into a session.
pub struct Entrance {
    /// Counts connections.
    pub gate: Arc<Gate>,
    /// The parts that sessions work with.
    pub services: Arc<Services>,
    identity: RwLock<Arc<Identity>>,
}

impl Entrance {
    /// An entrance at which the server shows this identity.
    pub fn new(services: Arc<Services>, identity: Identity) -> Self {
        let gate = Arc::new(Gate::new(Arc::clone(&services.limits)));
        Self { gate, services, identity: RwLock::new(Arc::new(identity)) }
    }

    /// The keys and certificates for a connection that begins now.
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses another identity for connections that begin later.
    pub fn show(&self, identity: Identity) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }
}
