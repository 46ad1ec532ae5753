//! The services that every session works with.

use std::sync::Arc;

use parlour_protocol::Limits;
use tokio_util::sync::CancellationToken;

use crate::accounts::directory::Directory;
use crate::accounts::ttp_client::TtpClient;
use crate::audit::Recorder;
use crate::clock::Clock;
use crate::delivery::Posting;
use crate::delivery::hub::Hub;
use crate::delivery::in_flight::InFlight;
use crate::metrics::Metrics;
use crate::session::attempts::Attempts;
use crate::store::Store;

/// The parts of the server that sessions share.
pub struct Services {
    /// Accounts and messages.
    pub store: Arc<dyn Store<Posting>>,
    /// Room for messages that are under way.
    pub in_flight: InFlight,
    /// Accounts, remembered.
    pub directory: Arc<Directory>,
    /// The sessions that are logged in.
    pub hub: Arc<Hub>,
    /// Numbers for the operator.
    pub metrics: Arc<Metrics>,
    /// Where security events go.
    pub recorder: Arc<Recorder>,
    /// The way to the TTP.
    pub ttp: TtpClient,
    /// Counts of what clients have tried.
    pub attempts: Attempts,
    /// The limits that hold.
    pub limits: Arc<Limits>,
    /// The clock.
    pub clock: Clock,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}
