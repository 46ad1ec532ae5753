//! What every session works with.

use std::sync::{Arc, PoisonError, RwLock};

use parlour_protocol::Limits;
use tokio_util::sync::CancellationToken;

use crate::accounts::directory::Directory;
use crate::accounts::ttp_client::Authority;
use crate::audit::Recorder;
use crate::clock::Clock;
use crate::delivery::Posting;
use crate::delivery::hub::Hub;
use crate::edge::gate::Gate;
use crate::edge::tls::Identity;
use crate::metrics::Metrics;
use crate::store::Store;

/// The parts of the server that sessions share.
pub struct Services {
    /// Accounts and messages.
    pub store: Arc<dyn Store<Posting>>,
    /// Accounts, remembered.
    pub directory: Directory,
    /// Who is online.
    pub hub: Arc<Hub>,
    /// What is counted for the operator.
    pub metrics: Arc<Metrics>,
    /// Where security events go.
    pub recorder: Arc<Recorder>,
    /// The TTP.
    pub authority: Authority,
    /// Counts and rates.
    pub gate: Arc<Gate>,
    /// The limits that hold.
    pub limits: Arc<Limits>,
    /// The clock.
    pub clock: Clock,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// Keys and certificates; a reload replaces them for connections to come.
    pub identity: RwLock<Arc<Identity>>,
}

impl Services {
    /// The keys and certificates for a connection that begins now.
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.read().unwrap_or_else(PoisonError::into_inner))
    }
}
