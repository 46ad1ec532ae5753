//! Opens messages: the slow part, which needs only the message itself, so that all cores can do it in any order.
//! Comparing a message with the others comes after that, in their order: `judge.rs`.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use parlour_crypto::{AccountKey, OpenError, Role, message};
use parlour_envelope::Content;
use parlour_envelope::statement::jws_hash;
use parlour_keylog::{CertificateError, DeviceCertificate, RootCertificate};
use parlour_protocol::{Body, Conversation, DeviceId, Message, SafeText, SealedMessage, Timestamp, UserName};
use tokio::task::JoinSet;

/// The most certificates that are remembered. A device has one a week.
const CERTIFICATES: usize = 1_000;

/// Opens messages that are sealed to one user.
pub struct Opener {
    me: UserName,
    key: Arc<AccountKey>,
    root: RootCertificate,
    cores: usize,
    /// Certificates that were verified: a device signs many messages under one certificate.
    issued: Mutex<HashMap<Vec<u8>, Arc<DeviceCertificate>>>,
}

/// A message and its content.
pub struct Opened {
    /// The message as the server delivered it.
    pub message: Message,
    /// `None` if it is not sealed.
    pub(crate) inside: Option<Inside>,
}

/// The content of a sealed message, or the reason not to believe it.
pub(crate) type Inside = Result<Believed, String>;

/// A private message that is valid as far as it can be checked by itself.
#[derive(Clone)]
pub(crate) struct Believed {
    /// Its text, or why this valid message's text cannot be shown.
    pub(crate) text: Result<String, String>,
    pub(crate) signed: Timestamp,
    pub(crate) device: DeviceId,
    pub(crate) chain: String,
    pub(crate) n: u64,
    pub(crate) prev: String,
    /// The number of refused messages right before it.
    pub(crate) void: u64,
    pub(crate) hash: String,
}

impl Opener {
    /// An opener for the messages of `me`, by `key`; every certificate must come from `root`.
    pub fn new(me: UserName, key: Arc<AccountKey>, root: RootCertificate) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { me, key, root, cores, issued: Mutex::default() }
    }

    /// Opens one message on this thread.
    pub fn open(&self, message: Message) -> Opened {
        Opened { inside: self.inside(&message), message }
    }

    /// Opens messages on all cores. Dropping the result stops the work after the messages that are begun.
    pub fn begin(self: &Arc<Self>, messages: Vec<Message>) -> Opening {
        let sealed = messages.iter().filter(|message| matches!(message.body, Body::Sealed(_))).count();
        let messages = Arc::new(messages);
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..self.cores.min(sealed) {
            let (opener, messages, next) = (Arc::clone(self), Arc::clone(&messages), Arc::clone(&next));
            workers.spawn_blocking(move || {
                let mut opened = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(message) = messages.get(index) else { return opened };
                    opened.extend(opener.inside(message).map(|inside| (index, inside)));
                }
            });
        }
        Opening { opener: Arc::clone(self), messages, found: HashMap::new(), next, workers }
    }

    fn inside(&self, message: &Message) -> Option<Inside> {
        match &message.body {
            Body::Text(_) | Body::Unknown => None,
            Body::Sealed(sealed) => Some(self.believe(message, sealed)),
        }
    }

    fn believe(&self, message: &Message, sealed: &SealedMessage) -> Inside {
        let Conversation::Direct(to) = &message.to else {
            return Err("sealed, but said in a channel".to_owned());
        };
        if message.from != self.me && *to != self.me {
            return Err("altered: it is neither from you nor to you".to_owned());
        }
        // A note to oneself is wrapped twice to the same key; either opens.
        let role = if message.from == self.me { Role::Sender } else { Role::Recipient };
        let opened = message::open(sealed.as_json(), &self.key, role).map_err(reason)?;
        let device = self.signer(&opened, message, to)?;
        let message::Opened { claims, jws, .. } = opened;
        let text = match &claims.content {
            Content::Text(text) => match SafeText::parse(text) {
                Ok(_) => Ok(text.clone()),
                Err(error) => Err(format!("not shown: {error}")),
            },
            _ => Err("of a kind that this version does not know".to_owned()),
        };
        Ok(Believed {
            text,
            signed: Timestamp::from_millis(claims.time),
            device,
            chain: claims.chain.clone(),
            n: claims.n,
            prev: claims.prev.clone(),
            void: claims.void,
            hash: jws_hash(&jws),
        })
    }

    /// The device that signed, if it is one of the sender's and signed this message for this conversation.
    fn signer(&self, opened: &message::Opened, message: &Message, to: &UserName) -> Result<DeviceId, String> {
        let claims = &opened.claims;
        let certificate = self
            .issued(&opened.leaf_der)
            .and_then(|certificate| {
                certificate.check_time(&self.root, claims.time.div_euclid(1_000)).map(|()| certificate)
            })
            .map_err(|error| format!("bad signature: the certificate: {error}"))?;
        if *certificate.user() != message.from {
            return Err(format!("bad signature: it is by {}", certificate.user()));
        }
        if claims.from != message.from.as_str()
            || claims.to != to.as_str()
            || claims.id != message.id.to_string()
        {
            return Err("altered: it was signed for another place".to_owned());
        }
        Ok(certificate.device().clone())
    }

    /// A certificate that the root has issued.
    fn issued(&self, der: &[u8]) -> Result<Arc<DeviceCertificate>, CertificateError> {
        let known = || self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = known().get(der) {
            return Ok(Arc::clone(certificate));
        }
        let certificate = Arc::new(DeviceCertificate::from_der(der)?);
        certificate.check_issuer(&self.root)?;
        let mut known = known();
        if known.len() >= CERTIFICATES {
            known.clear();
        }
        known.insert(der.to_vec(), Arc::clone(&certificate));
        Ok(certificate)
    }
}

/// Messages that are being opened.
pub struct Opening {
    opener: Arc<Opener>,
    messages: Arc<Vec<Message>>,
    /// Their content, by their index.
    found: HashMap<usize, Inside>,
    next: Arc<AtomicUsize>,
    workers: JoinSet<Vec<(usize, Inside)>>,
}

impl Opening {
    /// Waits until all are opened. A wait can be cancelled and started again.
    pub async fn wait(&mut self) {
        while let Some(part) = self.workers.join_next().await {
            self.found.extend(part.into_iter().flatten());
        }
    }

    /// The messages in their order, once they are opened.
    pub async fn opened(mut self) -> Vec<Opened> {
        self.wait().await;
        let messages = self.messages.iter().cloned().enumerate();
        messages
            .map(|(index, message)| {
                // A worker that failed has left some unopened.
                let inside = self.found.remove(&index).or_else(|| self.opener.inside(&message));
                Opened { message, inside }
            })
            .collect()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // A running thread cannot be stopped, but it finds no further message.
        self.next.store(self.messages.len(), Ordering::Relaxed);
    }
}

fn reason(error: OpenError) -> String {
    match error {
        OpenError::BadSignature => "bad signature".to_owned(),
        OpenError::Altered | OpenError::CommitmentMismatch | OpenError::IdMismatch => {
            format!("altered: {error}")
        }
        OpenError::NotForThisKey => "altered: not sealed to your key".to_owned(),
        OpenError::Malformed(_) => format!("altered: {error}"),
    }
}
