//! The terminal face.

use parlour_protocol::UserName;
use tokio::sync::mpsc;

use crate::engine::Asker;
use crate::failure::Failure;
use crate::update::Update;

/// Runs the terminal face.
pub async fn run(
    _asker: Asker,
    _updates: mpsc::Receiver<Update>,
    _login: Option<UserName>,
    _profiles: Vec<UserName>,
) -> Result<(), Failure> {
    Ok(())
}
