//! A device certificate lives a week. It is renewed past half of that while the client runs, and over
//! an expired one when it comes back later: the key still proves itself.

use parlour_crypto::RenewalRequest;
use parlour_keylog::DeviceCertificate;
use parlour_protocol::{Command, Refusal, Reply};

use super::setup::OtherRoot;
use super::{Engine, open_guest};
use crate::asking::update::Update;
use crate::clock::doubted;
use crate::failure::{Explain, Explanation};
use crate::link::LinkError;
use crate::profile::{Profile, ProfileError};
use thiserror::Error;

/// Why the device certificate was not renewed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenewError {
    /// The connection failed, or the server refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The new certificate does not fit the profile, or could not be kept.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The profile comes from another root than the one that was named.
    #[error(transparent)]
    OtherRoot(#[from] OtherRoot),
}

impl Explain for RenewError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Link(error) => error.explain(),
            Self::Profile(error) => error.explain(),
            Self::OtherRoot(error) => error.explain(),
        }
    }
}

impl Engine {
    /// Renews over the live connection, once half of the certificate's time has passed.
    pub(super) async fn renew_in_time(&mut self) {
        let now = self.setup.clock.now().as_seconds();
        let due = self.account.as_ref().is_some_and(|account| account.profile.is_past_half(now));
        if !due || self.link.is_none() {
            return;
        }
        if let Err(failure) = self.renew_online().await
            && !failure.passes()
        {
            let notice = format!("the device certificate was not renewed: {failure}");
            self.tell(Update::Notice(notice)).await;
        }
    }

    async fn renew_online(&mut self) -> Result<(), RenewError> {
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let command = renewal(&account.profile)?;
        let reply = self.ask_online(&command).await?;
        self.take_renewed(reply)
    }

    /// Renews as a guest if the certificate has expired, by the clock here or by the server's, because the server would
    /// not let it in; also shortly before, so that it does not expire on the way.
    pub(super) async fn renew_if_expired(&mut self) -> Result<(), RenewError> {
        const ON_THE_WAY: i64 = 60;
        let now = self.setup.clock.now().as_seconds();
        let account = self.account.as_ref().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let profile = &account.profile;
        if !self.has_expired && now + ON_THE_WAY < profile.device.not_after() {
            return Ok(());
        }
        let server = self.setup.server_of(profile);
        let pin = self.setup.pin_of(profile)?;
        let command = renewal(profile)?;
        self.tell(Update::Progress("renewing the device certificate".to_owned())).await;
        let mut guest = open_guest(&server, &pin, &self.setup).await?;
        let reply = guest.ask(&command).await?;
        self.take_renewed(reply)?;
        self.has_expired = false;
        Ok(())
    }

    fn take_renewed(&mut self, reply: Reply) -> Result<(), RenewError> {
        let Reply::Renewed { device_certificate } = reply else {
            return Err(LinkError::protocol("it does not say whether the certificate is renewed").into());
        };
        let now = self.setup.clock.now().as_seconds();
        let account = self.account.as_mut().ok_or(LinkError::Refused(Refusal::NotNow))?;
        let profile = &mut account.profile;
        let wrong = |reason: String| ProfileError::WrongAnswer(format!("the renewed certificate: {reason}"));
        let fresh = DeviceCertificate::from_der(&device_certificate).map_err(|e| wrong(e.to_string()))?;
        fresh.verify(&profile.root, now).map_err(|error| wrong(doubted(&error)))?;
        if fresh.spki_der() != profile.device_key.public_spki() || *fresh.user() != profile.name {
            return Err(wrong("it is for another device".to_owned()).into());
        }
        Ok(profile.renew(fresh)?)
    }
}

fn renewal(profile: &Profile) -> Result<Command, ProfileError> {
    let request = RenewalRequest {
        name: profile.name.as_str(),
        device: profile.device.device().as_str(),
        key: &profile.device_key,
    };
    Ok(Command::Renew { request: request.build(&mut rand::rng())? })
}
