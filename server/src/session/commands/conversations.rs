//! `conversations`: a user's conversations, each with its newest `seq`.

use parlour_protocol::{Refusal, Reply};

use crate::delivery::{Posting, read_refusal};
use crate::session::rights::User;
use crate::store::Store;

pub(super) async fn run(user: User<'_>, store: &dyn Store<Posting>) -> Result<Reply, Refusal> {
    let heads = store.conversations(user.name.clone()).await;
    heads.map(Reply::Conversations).map_err(|error| read_refusal(&error))
}
