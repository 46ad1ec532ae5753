//! Sending a message: it is kept first, sealed in its turn, and sent until the server has it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_crypto::{Draft, message};
use parlour_envelope::Content;
use parlour_envelope::statement::jws_hash;
use parlour_protocol::{
    Body, Command, Conversation, Message, MessageId, Post, Refusal, Reply, SafeText, SealedMessage, UserName,
};
use thiserror::Error;

use super::Engine;
use super::contacts::ContactError;
use super::sync::{SyncError, Taken};
use crate::asking::action::Answer;
use crate::asking::asker::Answering;
use crate::asking::update::{NotSent, Update};
use crate::failure::{Explain, Explanation, Failure, Kind};
use crate::link::LinkError;
use crate::reading::shown::Shown;
use crate::records::{Outgoing, OutgoingBody, OwnChain, RecordsError};

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SayError {
    /// The connection failed, or the server refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The outbox.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The recipient's account.
    #[error(transparent)]
    Contact(ContactError),
    /// The message could not be sealed.
    #[error("a key could not be used: {0}")]
    Seal(String),
    /// The server has no room for it. It waits here, and is sent again automatically.
    #[error("the server cannot store it now")]
    PutOff,
}

impl From<ContactError> for SayError {
    fn from(error: ContactError) -> Self {
        match error {
            ContactError::Link(error) => Self::Link(error),
            ContactError::Records(error) => Self::Records(error),
            error => Self::Contact(error),
        }
    }
}

impl Explain for SayError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Link(error) => error.explain(),
            Self::Records(error) => error.explain(),
            Self::Contact(error) => error.explain(),
            Self::Seal(_) => Explanation::new("key", Kind::Broken),
            Self::PutOff => Explanation::new("not_stored", Kind::PutOff)
                .hint("it is kept here, and sent by itself later, at the latest after the next login"),
        }
    }
}

impl Engine {
    /// Accepts a message; `answer` gets the outcome once it is stored or has failed.
    pub(super) async fn say(&mut self, to: Conversation, text: &SafeText, answer: Answering) {
        let id = MessageId::v7(self.setup.clock.now(), rand::random());
        let outgoing = match self.compose(id, to, text).await {
            Ok(outgoing) => outgoing,
            Err(failure) => return drop(answer.send(Err(failure.into()))),
        };
        let Some(account) = &mut self.account else {
            return drop(answer.send(Err(Refusal::NotNow.into())));
        };
        if let Err((failure, answer)) = account.queue(outgoing, answer) {
            return drop(answer.send(Err(failure.into())));
        }
        if self.link.is_none() {
            self.tell(Update::Notice("not connected; it will be sent".to_owned())).await;
        }
        self.tell_outbox().await;
        self.send_again().await;
    }

    /// Sends waiting messages, including those that the server could not store earlier.
    pub(super) async fn send_again(&mut self) {
        self.resend.begin();
        self.send_waiting().await;
    }

    /// Makes a new message to be kept. If its turn has come, it is sealed right away and written only once.
    async fn compose(
        &mut self,
        id: MessageId,
        to: Conversation,
        text: &SafeText,
    ) -> Result<Outgoing, SayError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let text = text.as_str();
        let body = match &to {
            Conversation::Direct(name) if self.link.is_some() && account.is_next(&to) => {
                match self.seal(id, name.clone(), text).await {
                    // The connection was lost meanwhile: the message is sealed when it is sent.
                    Err(failure) if failure.is_over() => OutgoingBody::Text(text.to_owned()),
                    sealed => sealed?,
                }
            }
            _ => OutgoingBody::Text(text.to_owned()),
        };
        Ok(Outgoing { id, to, body })
    }

    /// Sends every message whose turn it is.
    pub(super) async fn send_waiting(&mut self) {
        while self.link.is_some() && !self.resend.is_planned() {
            let Some(index) = self.account.as_ref().and_then(super::Account::next_to_send) else { return };
            match self.send(index).await {
                Ok(()) => {}
                // Later, on another connection.
                Err(failure) if failure.is_over() => return,
                Err(failure) => self.give_up(index, failure).await,
            }
        }
    }

    async fn send(&mut self, index: usize) -> Result<(), SayError> {
        let post = self.post(index).await?;
        let link = self.link.as_mut().ok_or(LinkError::Lost)?;
        let number = link.send(&Command::Post(post)).await?;
        if let Some(sending) = self.account.as_mut().and_then(|account| account.sending.get_mut(index)) {
            sending.asked = Some(number);
        }
        Ok(())
    }

    /// The command for a message; a private one is sealed now, unless it is sealed already.
    async fn post(&mut self, index: usize) -> Result<Post, SayError> {
        let outgoing = self
            .account
            .as_ref()
            .and_then(|account| account.sending.get(index))
            .map(|sending| sending.outgoing.clone())
            .ok_or(LinkError::Lost)?;
        let text = |text: &str| {
            SafeText::parse(text).map_err(|error| SayError::Link(LinkError::Refused(error.into())))
        };
        let body = match (&outgoing.to, &outgoing.body) {
            (Conversation::Channel(_), body) => Body::Text(text(body.text())?),
            (Conversation::Direct(_), OutgoingBody::Sealed { jwe, .. }) => sealed(jwe)?,
            (Conversation::Direct(to), OutgoingBody::Text(text)) => {
                let body = self.seal(outgoing.id, to.clone(), text).await?;
                self.keep_sealed(index, body)?
            }
        };
        Ok(Post { to: outgoing.to, id: Some(outgoing.id), body })
    }

    /// Keeps the envelope of a waiting message, so that the same bytes are sent each time.
    fn keep_sealed(&mut self, index: usize, body: OutgoingBody) -> Result<Body, SayError> {
        let OutgoingBody::Sealed { jwe, .. } = &body else { return Err(LinkError::Lost.into()) };
        let envelope = sealed(jwe)?;
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let sending = account.sending.get_mut(index).ok_or(LinkError::Lost)?;
        sending.outgoing.body = body;
        account.records.update_outgoing(sending.position, &sending.outgoing)?;
        Ok(envelope)
    }

    /// Seals a message as the next of our chain in its conversation.
    async fn seal(&mut self, id: MessageId, to: UserName, text: &str) -> Result<OutgoingBody, SayError> {
        let recipient = self.recipient(&to).await?;
        let time = self.setup.clock.now().as_millis();
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let conversation = Conversation::Direct(to.clone());
        let own = match account.records.own_chain(&conversation)? {
            Some(chain) if chain.can_go_on() => chain,
            _ => OwnChain {
                chain: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
                n: 0,
                prev: String::new(),
                void: 0,
            },
        };
        let profile = &account.profile;
        let draft = Draft {
            from: profile.name.as_str(),
            to: to.as_str(),
            id: &id.to_string(),
            time,
            content: Content::Text(text.to_owned()),
            chain: &own.chain,
            n: own.n,
            prev: &own.prev,
            void: own.void,
        };
        let sealed = message::seal(
            &mut rand::rng(),
            &profile.device_key,
            profile.device.der(),
            draft,
            &recipient.key,
            profile.account_key.public(),
        )
        .map_err(|error| SayError::Seal(error.to_string()))?;
        Ok(OutgoingBody::Sealed {
            text: text.to_owned(),
            hash: jws_hash(&sealed.jws),
            jwe: sealed.jwe,
            chain: own.chain,
            n: own.n,
        })
    }

    /// Handles an answer; only answers to messages come here.
    pub(super) async fn hear_reply(&mut self, number: u64, reply: Result<Reply, Refusal>) {
        let Some(account) = &self.account else { return };
        let Some(index) = account.sending.iter().position(|sending| sending.asked == Some(number)) else {
            return;
        };
        match reply {
            Ok(Reply::Posted(message)) if account.is_answer(index, &message) => {
                self.stored(index, message).await;
            }
            // It stays in the outbox.
            Ok(Reply::Posted(_)) => {
                let failure = LinkError::Protocol("it confirms another message than was sent".to_owned());
                return self.lost(failure).await;
            }
            Ok(_) => {
                let failure = LinkError::Protocol("it does not say whether the message is stored".to_owned());
                self.give_up(index, failure.into()).await;
            }
            Err(Refusal::NotStored) => self.put_off(index),
            Err(refusal) => self.give_up(index, LinkError::Refused(refusal).into()).await,
        }
        self.send_waiting().await;
    }

    /// Keeps a message that the server could not store in the outbox, with those after it in its conversation, and
    /// tells the waiting face.
    fn put_off(&mut self, index: usize) {
        let Some(account) = &mut self.account else { return };
        let Some(sending) = account.sending.get_mut(index) else { return };
        sending.asked = None;
        let to = sending.outgoing.to.clone();
        for sending in account.sending.iter_mut().filter(|sending| sending.outgoing.to == to) {
            if let Some(answer) = sending.answer.take() {
                // A face that no longer waits does not need to know.
                let _ = answer.send(Err(SayError::PutOff.into()));
            }
        }
        self.resend.again();
    }

    /// Takes a message out of the outbox: the server has it.
    async fn stored(&mut self, index: usize, message: Message) {
        // Earlier messages of others are taken first.
        let taken = self.take(&message).await;
        let Some(account) = &mut self.account else { return };
        if taken.as_ref().is_err_and(SyncError::is_over) {
            // It stays in the outbox: the next connection sends it again and gets the same answer.
            if let Some(sending) = account.sending.get_mut(index) {
                sending.asked = None;
            }
            return;
        }
        self.resend.succeeded();
        let sending = account.sending.remove(index);
        let conversation = sending.outgoing.to.clone();
        let next = match sending.outgoing.body {
            OutgoingBody::Sealed { hash, chain, n, .. } => {
                Some(OwnChain { chain, n: n + 1, prev: hash, void: 0 })
            }
            OutgoingBody::Text(_) => None,
        };
        if let Err(failure) = account.records.sent(sending.position, &conversation, next.as_ref()) {
            self.tell(Update::Notice(format!("a message was sent but not noted: {failure}"))).await;
        }
        self.tell_outbox().await;
        match (taken, sending.answer) {
            (Ok(Taken::Later), answer) => self.hold(message, answer),
            (Ok(Taken::Now(shown)), Some(answer)) => self.answer_said(&message, shown, answer),
            (Err(failure), Some(answer)) => drop(answer.send(Err(failure.into()))),
            (_, None) => {}
        }
    }

    /// Tells the face that sent it that a message is stored and taken.
    pub(super) fn answer_said(&self, message: &Message, shown: Option<Box<Shown>>, answer: Answering) {
        let said = match shown {
            Some(message) => Ok(Answer::Said { message }),
            // It was fetched before its answer came.
            None => self.kept(message).map_err(Failure::from),
        };
        let _ = answer.send(said);
    }

    fn kept(&self, message: &Message) -> Result<Answer, SyncError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let conversation = message.conversation(&account.profile.name);
        let found = account.records.message(&conversation, message.seq)?;
        found
            .filter(|shown| shown.id == message.id)
            .map(|shown| Answer::Said { message: Box::new(shown) })
            .ok_or_else(|| {
                RecordsError::Unusable("a message that was stored is not kept here".to_owned()).into()
            })
    }

    /// Gives up a message. The counter of a sealed one is used up: the server may have the message, and can deliver it.
    async fn give_up(&mut self, index: usize, failure: SayError) {
        let Some(account) = &mut self.account else { return };
        let Some(sending) = account.sending.get(index) else { return };
        let burnt = account.burnt(&sending.outgoing);
        let marked = match account.records.give_up_outgoing(sending.position, burnt.as_ref()) {
            Ok(marked) => marked,
            Err(failure) => {
                // It stays, with its counter, and is sent again unchanged: no other message may get that counter.
                self.put_off(index);
                return self.tell(Update::Notice(format!("the outbox: {failure}"))).await;
            }
        };
        let sending = account.sending.remove(index);
        self.tell_judged(marked).await;
        self.tell_outbox().await;
        let reason = Failure::from(failure);
        let heard = sending.answer.is_some_and(|answer| answer.send(Err(reason.clone())).is_ok());
        if !heard {
            let Outgoing { to, body, .. } = sending.outgoing;
            let text = body.text().to_owned();
            self.tell(Update::NotSent(Box::new(NotSent { to, text, reason }))).await;
        }
    }

    pub(super) async fn tell_outbox(&mut self) {
        let Some(account) = &mut self.account else { return };
        let (count, newest) = (account.sending.len(), account.waiting());
        let was_long = std::mem::replace(&mut account.is_outbox_long, count > newest.len());
        if count > newest.len() && !was_long {
            let notice = format!("many messages wait to be sent: only the newest {} are shown", newest.len());
            self.tell(Update::Notice(notice)).await;
        }
        self.tell(Update::Outbox { count, newest }).await;
    }
}

fn sealed(jwe: &str) -> Result<Body, SayError> {
    let sealed = SealedMessage::from_json(jwe).map_err(|error| SayError::Seal(error.to_string()))?;
    Ok(Body::Sealed(sealed))
}
