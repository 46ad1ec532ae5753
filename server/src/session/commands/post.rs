//! `post`, and lines of text: a message is checked, stored, then answered and fanned out.

use std::sync::Arc;

use parlour_protocol::json::RequestId;
use parlour_protocol::{Body, Conversation, MessageId, Post, Refusal, UserName};

use crate::accounts::directory::Directory;
use crate::delivery::{Posting, read_refusal, write_refusal};
use crate::metrics::Bound;
use crate::session::caller::Caller;
use crate::session::posts::Posts;
use crate::session::rights::{Actor, Deed, may};
use crate::store::{Account, NewMessage};

/// Hands the message to the store. The reply is queued when it is durable; an error here means that the message was
/// not handed over.
pub(super) async fn run(
    caller: &Caller<'_>,
    posts: &Posts,
    id: Option<&RequestId>,
    post: Post,
) -> Result<(), Refusal> {
    let user = caller.user()?;
    if !may(Actor::User(user), Deed::Post(&post.to)) {
        return Err(Refusal::ConversationNotFound);
    }
    let services = caller.services;
    if let Body::Text(text) = &post.body
        && text.as_str().len() as u64 > services.limits.text_bytes
    {
        return Err(Refusal::MessageTooLong);
    }
    if let (Conversation::Direct(to), Body::Sealed(sealed)) = (&post.to, &post.body) {
        let recipient = account(&services.directory, to).await?;
        let sender = account(&services.directory, user.name).await?;
        // Sealed to other keys, the message could not be read by its sender or its recipient.
        if sealed.key1().kid != recipient.kid || sealed.key2().kid != sender.kid {
            return Err(Refusal::WrongKeys);
        }
    }
    let now = services.clock.now();
    let message = NewMessage {
        to: post.to,
        from: user.name.clone(),
        id: post.id.unwrap_or_else(|| MessageId::v7(now, rand::random())),
        body: post.body,
        now,
    };
    if posts.is_full() {
        services.metrics.limits.count(Bound::PostsInFlight);
    }
    let place = posts.place().await.ok_or(Refusal::NotNow)?;
    let bytes = services.in_flight.admit(&message.body, &services.metrics).await.ok_or(Refusal::NotNow)?;
    let posting = Posting { peer: Arc::clone(caller.peer), id: id.cloned(), place, bytes };
    services.store.append(message, posting).await.map_err(|error| write_refusal(&error))
}

async fn account(directory: &Directory, name: &UserName) -> Result<Arc<Account>, Refusal> {
    let account = directory.account(name).await.map_err(|error| read_refusal(&error))?;
    account.ok_or(Refusal::UserNotFound)
}
