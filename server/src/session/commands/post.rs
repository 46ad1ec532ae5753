//! `post`, and lines of text: a message is checked, stored, then answered and fanned out.

use std::sync::Arc;

use parlour_protocol::json::RequestId;
use parlour_protocol::{Body, Conversation, MessageId, Post, Refusal, UserName};

use super::store_refusal;
use crate::delivery::Posting;
use crate::metrics::Bound;
use crate::session::rights::{Deed, may};
use crate::session::{Session, Standing};
use crate::store::{Account, NewMessage};

/// Hands the message to the store. The reply is queued when it is durable; what is returned is only
/// why it was not even tried.
pub(super) async fn run(session: &mut Session, id: Option<RequestId>, post: Post) -> Result<(), Refusal> {
    let Standing::User { user, .. } = &session.standing else { return Err(Refusal::NotNow) };
    if !may(session.actor(), Deed::Post(&post.to)) {
        return Err(Refusal::ConversationNotFound);
    }
    let services = &session.services;
    if let Body::Text(text) = &post.body
        && text.as_str().len() as u64 > services.limits.text_bytes
    {
        return Err(Refusal::MessageTooLong);
    }
    if let (Conversation::Direct(to), Body::Sealed(sealed)) = (&post.to, &post.body) {
        let recipient = account(session, to).await?.ok_or(Refusal::UserNotFound)?;
        let sender = account(session, user).await?.ok_or(Refusal::UserNotFound)?;
        // What was wrapped to other keys could not be read by those whom it is for.
        if sealed.key1().kid != recipient.kid || sealed.key2().kid != sender.kid {
            return Err(Refusal::WrongKeys);
        }
    }
    let now = services.clock.now();
    let message = NewMessage {
        to: post.to,
        from: user.clone(),
        id: post.id.unwrap_or_else(|| MessageId::v7(now, rand::random())),
        body: post.body,
        now,
    };
    // Nobody closes it, so there is always a place in the end.
    if session.posts.available_permits() == 0 {
        services.metrics.limits.count(Bound::PostsInFlight);
    }
    let place = Arc::clone(&session.posts).acquire_owned().await.map_err(|_| Refusal::NotNow)?;
    let posting = Posting { peer: Arc::clone(&session.peer), id, place };
    services.store.append(message, posting).await.map_err(|error| store_refusal(&error))
}

async fn account(session: &Session, name: &UserName) -> Result<Option<Arc<Account>>, Refusal> {
    session.services.directory.account(name).await.map_err(|error| store_refusal(&error))
}
