//! `revocations`: the signed statements of revoked devices.

use parlour_protocol::{Refusal, Reply};

use crate::delivery::{Posting, read_refusal};
use crate::store::{Statements, Store};

pub(super) async fn run(store: &dyn Store<Posting>, after: u64) -> Result<Reply, Refusal> {
    let page = store.statements(after).await.map_err(|error| read_refusal(&error))?;
    let Statements { statements, more } = page;
    Ok(Reply::Revocations { statements, more })
}
