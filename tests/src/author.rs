//! Seals messages by hand with a person's keys: like our client, or with false values in them.

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use parlour_crypto::{AccountKey, DeviceKey, Draft, message};
use parlour_envelope::Content;
use parlour_envelope::statement::jws_hash;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::world::World;

/// A chain of messages from one device.
pub struct Author {
    /// The person.
    pub name: String,
    /// The device's key.
    pub device: DeviceKey,
    /// The device's certificate, DER.
    pub leaf: Vec<u8>,
    /// The person's account key.
    pub account: AccountKey,
    n: u64,
    prev: String,
}

/// A sealed message with its destination.
#[derive(Clone)]
pub struct Letter {
    /// The recipient's name.
    pub to: String,
    /// The message's id.
    pub id: String,
    /// The envelope.
    pub sealed: Value,
}

impl Letter {
    /// The command that posts it, with this `id` for the command.
    pub fn post(&self, id: u64) -> Value {
        let to = format!("@{}", self.to);
        json!({"id": id, "cmd": "post", "to": to, "message_id": self.id, "sealed": self.sealed})
    }
}

impl Author {
    /// A person with the keys of that person's profile.
    pub fn of(world: &World, name: &str) -> Result<Self> {
        let profile = world.profile(name);
        let text = |file: &str| {
            let path = profile.join(file);
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        Ok(Self {
            name: name.to_owned(),
            device: DeviceKey::from_pkcs8_pem(&text("device.key")?)?,
            leaf: CertificateDer::from_pem_file(profile.join("device.crt"))?.to_vec(),
            account: AccountKey::from_pkcs8_pem(&text("account.key")?)?,
            n: 0,
            prev: String::new(),
        })
    }

    /// The number of messages written.
    pub fn written(&self) -> u64 {
        self.n
    }

    /// The next message of the chain.
    pub fn write(&mut self, to: &Self, text: &str) -> Result<Letter> {
        self.forge(to, text, |_| ())
    }

    /// Writes the next message after a change to it, before it is signed and sealed.
    pub fn forge(&mut self, to: &Self, text: &str, change: impl FnOnce(&mut Draft<'_>)) -> Result<Letter> {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let id = format!("0197741c-9a80-7000-8000-{:012x}", rand::random::<u64>() >> 16);
        let mut draft = Draft {
            from: &self.name,
            to: &to.name,
            id: &id,
            time: i64::try_from(time)?,
            content: Content::Text(text.to_owned()),
            chain: "AAAAAAAAAAAAAAAAAAAAAA",
            n: self.n,
            prev: &self.prev,
            void: 0,
        };
        change(&mut draft);
        let (recipient, own) = (to.account.public(), self.account.public());
        let sealed = message::seal(&mut rand::rng(), &self.device, &self.leaf, draft, recipient, own)?;
        self.prev = jws_hash(&sealed.jws);
        self.n += 1;
        Ok(Letter { to: to.name.clone(), id, sealed: serde_json::from_str(&sealed.jwe)? })
    }
}
