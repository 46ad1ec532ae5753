//! The services that every session works with.

use std::sync::Arc;

use parlour_protocol::Limits;
use tokio_util::sync::CancellationToken;

use crate::accounts::directory::Directory;
use crate::accounts::ttp_client::TtpClient;
use crate::clock::Clock;
use crate::delivery::Posting;
use crate::delivery::hub::Hub;
use crate::delivery::in_flight::InFlight;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::session::attempts::Attempts;
use crate::store::Store;

/// The parts of the server that sessions share.
pub struct Services {
    /// Accounts and messages.
    pub store: Arc<dyn Store<Posting>>,
    /// Room for messages that are under way.
    pub in_flight: InFlight,
    /// The cache of accounts.
    pub directory: Arc<Directory>,
    /// The sessions that are logged in.
    pub hub: Arc<Hub>,
    /// The counters for the operator.
    pub metrics: Arc<Metrics>,
    /// Writes security events to the audit log.
    pub recorder: Arc<Recorder>,
    /// The client of the TTP.
    pub ttp: TtpClient,
    /// Counts of registrations, renewals and failed logins.
    pub attempts: Attempts,
    /// The limits in force.
    pub limits: Arc<Limits>,
    /// The clock.
    pub clock: Clock,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}
