//! The accounts of others: certificates verified to the root, keys compared with the known ones.

use std::collections::HashMap;

use parlour_crypto::WrappingKey;
use parlour_keylog::AccountCertificate;
use parlour_protocol::{AccountInfo, Command, Refusal, Reply, UserName};
use thiserror::Error;

use super::Engine;
use super::revocations::Claimed;
use super::sync::SyncError;
use crate::asking::action::Answer;
use crate::asking::update::Update;
use crate::clock::doubted;
use crate::failure::{Explain, Explanation, Kind};
use crate::link::LinkError;
use crate::records::RecordsError;

/// Why somebody's account cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContactError {
    /// The server did not answer, or refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The records of the account could not be read or written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The account's certificate is not valid.
    #[error("the account certificate of {name} does not hold: {reason}; nothing was sent")]
    BadAccount {
        /// The name that was asked for.
        name: UserName,
        /// The fault in the certificate.
        reason: String,
    },
    /// The account key differs from the known one.
    #[error("the account key of {name} has changed; nothing was sent")]
    KeyChanged {
        /// The account's name.
        name: UserName,
        /// The key that the server has now (its RFC 7638 thumbprint).
        kid: String,
    },
}

impl Explain for ContactError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Link(error) => error.explain(),
            Self::Records(error) => error.explain(),
            Self::BadAccount { .. } => Explanation::new("bad_account", Kind::Failed),
            Self::KeyChanged { name, kid } => Explanation::new("key_changed", Kind::Failed).hint(format!(
                "ask {name} in another way whether the new key is {kid}, and if it is, /trust {name}"
            )),
        }
    }
}

/// Somebody's account, verified.
#[derive(Clone)]
pub(super) struct Contact {
    pub(super) key: WrappingKey,
    pub(super) kid: String,
}

/// The accounts that were asked for on this connection.
#[derive(Default)]
pub(super) struct Contacts {
    known: HashMap<UserName, Contact>,
}

impl Contacts {
    pub(super) fn get(&self, name: &UserName) -> Option<&Contact> {
        self.known.get(name)
    }
}

impl Engine {
    /// Asks for an account, unless it was asked for on this connection, and verifies its certificate.
    pub(super) async fn contact(&mut self, name: &UserName) -> Result<Contact, ContactError> {
        let known = self.account.as_ref().and_then(|account| account.contacts.get(name).cloned());
        if let Some(contact) = known {
            return Ok(contact);
        }
        let reply = self.ask_online(&Command::Account { name: name.clone() }).await?;
        let Reply::Account(info) = reply else {
            return Err(LinkError::protocol("it does not say whose account it is").into());
        };
        let now = self.setup.clock.now().as_seconds();
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let bad = |reason: String| ContactError::BadAccount { name: name.clone(), reason };
        let contact = verified(&info, name, &account.profile.root, now).map_err(bad)?;
        account.contacts.known.insert(name.clone(), contact.clone());
        for revoked in &info.revoked {
            let statement = revoked.statement.as_deref();
            let claimed =
                Claimed { user: name, device: &revoked.device, time: revoked.time, number: None, statement };
            match self.take_claim(claimed).await {
                Ok(_) => {}
                Err(SyncError::Link(failure)) => return Err(failure.into()),
                Err(SyncError::Records(failure)) => return Err(failure.into()),
            }
        }
        Ok(contact)
    }

    /// The account to seal to. Fails if its key differs from the known one, until the user accepts the new key.
    pub(super) async fn recipient(&mut self, name: &UserName) -> Result<Contact, ContactError> {
        let contact = self.contact(name).await?;
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        match account.records.pin(name)? {
            Some(kid) if kid != contact.kid => Err(account.suspect(name, &contact.kid)),
            Some(_) => Ok(contact),
            None => {
                account.records.set_pin(name, &contact.kid)?;
                Ok(contact)
            }
        }
    }

    /// Accepts the key that the server has now, because the user says that it is right.
    pub(super) async fn trust(&mut self, name: UserName) -> Result<Answer, ContactError> {
        let contact = self.contact(&name).await?;
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let pinned = account.records.pin(&name)?;
        // Only the exact key that the user was told of can be accepted.
        let unchanged = pinned.as_ref() == Some(&contact.kid);
        if pinned.is_some() && !unchanged && account.suspects.get(&name) != Some(&contact.kid) {
            return Err(account.suspect(&name, &contact.kid));
        }
        account.suspects.remove(&name);
        account.records.set_pin(&name, &contact.kid)?;
        let notice = if unchanged {
            format!("the account key of {name} has not changed: there was nothing to accept")
        } else {
            format!("the account key of {name} is trusted from here on")
        };
        self.tell(Update::Notice(notice)).await;
        Ok(Answer::Done)
    }
}

fn verified(
    info: &AccountInfo,
    name: &UserName,
    root: &parlour_keylog::RootCertificate,
    now: i64,
) -> Result<Contact, String> {
    let certificate = AccountCertificate::from_der(&info.certificate).map_err(|error| error.to_string())?;
    certificate.verify(root, now).map_err(|error| doubted(&error))?;
    if certificate.user() != name || info.user != *name {
        return Err(format!("it is for {}", certificate.user()));
    }
    let key = WrappingKey::from_spki_der(certificate.spki_der()).map_err(|error| error.to_string())?;
    Ok(Contact { kid: certificate.kid().to_owned(), key })
}
