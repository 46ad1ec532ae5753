//! `history`: a page of a conversation.

use parlour_protocol::{Conversation, HistoryRange, Refusal, Reply};

use crate::accounts::directory::Directory;
use crate::delivery::{Posting, read_refusal};
use crate::session::rights::{Actor, Deed, User, may};
use crate::store::{ConversationKey, Store};

/// The page that is wanted.
pub(super) struct Asked<'a> {
    pub conversation: &'a Conversation,
    pub range: HistoryRange,
    pub limit: u16,
}

pub(super) async fn run(
    user: User<'_>,
    directory: &Directory,
    store: &dyn Store<Posting>,
    Asked { conversation, range, limit }: Asked<'_>,
) -> Result<Reply, Refusal> {
    if !may(Actor::User(user), Deed::Read(conversation)) {
        return Err(Refusal::ConversationNotFound);
    }
    if let Conversation::Direct(other) = conversation {
        let account = directory.account(other).await.map_err(|error| read_refusal(&error))?;
        account.ok_or(Refusal::UserNotFound)?;
    }
    let key = ConversationKey::seen_by(user.name, conversation);
    let page = store.history(key, range, limit).await.map_err(|error| read_refusal(&error))?;
    Ok(Reply::History { messages: page.messages, last: page.last })
}
