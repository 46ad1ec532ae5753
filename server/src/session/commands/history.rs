//! `history`: a page of a conversation.

use parlour_protocol::{Conversation, HistoryRange, Refusal, Reply};

use super::store_refusal;
use crate::session::rights::{Deed, may};
use crate::session::{Session, Standing};
use crate::store::ConversationKey;

pub(super) async fn run(
    session: &Session,
    conversation: &Conversation,
    range: HistoryRange,
    limit: u16,
) -> Result<Reply, Refusal> {
    let Standing::User { user, .. } = &session.standing else { return Err(Refusal::NotNow) };
    if !may(session.actor(), Deed::Read(conversation)) {
        return Err(Refusal::ConversationNotFound);
    }
    let services = &session.services;
    if let Conversation::Direct(other) = conversation {
        let account = services.directory.account(other).await.map_err(|error| store_refusal(&error))?;
        account.ok_or(Refusal::UserNotFound)?;
    }
    let key = ConversationKey::seen_by(user, conversation);
    let page = services.store.history(key, range, limit).await.map_err(|error| store_refusal(&error))?;
    Ok(Reply::History { messages: page.messages, last: page.last })
}
