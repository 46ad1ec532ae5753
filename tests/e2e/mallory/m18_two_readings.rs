//! 18: make one ciphertext read two ways.
//!
//! Bites: an honest envelope made by hand in the same way opens for both; and the ciphertext with two keys does
//! open under both, as far as AES-GCM is concerned. With the check of the commitment switched off in
//! `message::open`, the text that does not match the commitment was read.
//!
//! Left out: a ciphertext in which both readings are well-formed messages takes at least 2^32 tries, so the one
//! here already fails at the form of its contents, before the commitment is checked.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parlour_envelope::FrankingKey;
use parlour_envelope::statement::jws_hash;
use parlour_tests::{Author, World};
use serde_json::{Value, json};

use super::fast;

type Key = [u8; 32];

/// A message that a dishonest sender puts together by hand.
struct Forged {
    id: String,
    jws: String,
    commitment: [u8; 32],
}

impl Forged {
    fn new(sam: &Author, text: &str, n: u64, prev: &str) -> Result<Self> {
        let fk = URL_SAFE_NO_PAD.encode(rand::random::<Key>());
        let franking: FrankingKey = serde_json::from_value(json!(fk))?;
        let id = format!("0197741c-9a80-7000-8000-{:012}", rand::random::<u32>());
        let claims = json!({
            "from": "sam", "to": "erik", "id": id, "time": now()?, "text": text, "fk": fk,
            "chain": "AAAAAAAAAAAAAAAAAAAAAA", "n": n, "prev": prev,
        });
        let header = json!({"alg": "ES256", "x5c": [STANDARD.encode(&sam.leaf)]});
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(sam.device.sign_fixed(input.as_bytes())?);
        Ok(Self { id, commitment: franking.commit(&input), jws: format!("{input}.{signature}") })
    }

    fn protected(&self) -> String {
        let cmt = URL_SAFE_NO_PAD.encode(self.commitment);
        let header =
            json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWS", "id": self.id, "cmt": cmt});
        URL_SAFE_NO_PAD.encode(header.to_string())
    }

    /// Encrypted correctly under the first key, with each key wrapped for its reader.
    fn sealed(&self, people: [&Author; 2], keys: [Key; 2]) -> Result<Value> {
        let mut text = self.jws.clone().into_bytes();
        let iv = [7; 12];
        let tag = Aes256Gcm::new(&keys[0].into())
            .encrypt_inout_detached(&iv.into(), self.protected().as_bytes(), text.as_mut_slice().into())
            .map_err(|_| anyhow!("it is not encrypted"))?;
        self.envelope(people, keys, &iv, &text, &tag)
    }

    fn envelope(
        &self,
        people: [&Author; 2],
        keys: [Key; 2],
        iv: &[u8],
        text: &[u8],
        tag: &[u8],
    ) -> Result<Value> {
        let mut recipients = Vec::new();
        for (person, key) in people.into_iter().zip(&keys) {
            let public = person.account.public();
            let wrapped = URL_SAFE_NO_PAD.encode(public.wrap_cek(key)?);
            recipients.push(json!({"header": {"kid": public.kid()}, "encrypted_key": wrapped}));
        }
        let [iv, text, tag] = [iv, text, tag].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Ok(json!({
            "protected": self.protected(), "recipients": recipients, "iv": iv, "ciphertext": text, "tag": tag,
        }))
    }
}

/// Milliseconds since 1970.
fn now() -> Result<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

/// The messages from sam that one of the two sees: text, or the reason not to believe it.
fn read_by(world: &World, name: &str) -> Result<Vec<String>> {
    let mut client = world.robot(name, &["--user", name])?;
    let backlog = client.process.out.event("backlog")?;
    client.leave()?;
    let messages = backlog["messages"].as_array().context("messages")?;
    let seen = messages.iter().map(|message| {
        message["text"].as_str().or(message["verdict"]["reason"].as_str()).unwrap_or_default().to_owned()
    });
    Ok(seen.collect())
}

#[test]
fn an_envelope_has_one_reading_or_none() -> Result<()> {
    let world = fast()?;
    let (sam, erik) = (Author::of(&world, "sam")?, Author::of(&world, "erik")?);
    let people = [&erik, &sam];
    let (one, two): (Key, Key) = (rand::random(), rand::random());
    let mut line = world.json_line("sam")?;
    let mut post = |forged: &Forged, sealed: &Value| {
        let post = json!({"id": 1, "cmd": "post", "to": "@erik", "message_id": forged.id, "sealed": sealed});
        let reply = line.call(&post)?;
        ensure!(reply["ok"] == "posted", "{reply}");
        Ok(())
    };
    let honest = Forged::new(&sam, "yes", 0, "")?;
    post(&honest, &honest.sealed(people, [one, one])?)?;
    // A different key is wrapped for each: it opens with the one that encrypted it.
    let prev = jws_hash(&honest.jws);
    let split = Forged::new(&sam, "for erik", 1, &prev)?;
    post(&split, &split.sealed(people, [one, two])?)?;
    // The commitment is to another text by the same sender.
    let mut uncommitted = Forged::new(&sam, "no", 2, &jws_hash(&split.jws))?;
    uncommitted.commitment = honest.commitment;
    post(&uncommitted, &uncommitted.sealed(people, [one, one])?)?;
    let collided = Forged::new(&sam, "both", 2, &jws_hash(&split.jws))?;
    post(&collided, &collided.sealed_under_two(people, [one, two])?)?;

    let commitment = "altered: the commitment does not fit the text";
    let seen = read_by(&world, "erik")?;
    ensure!(seen[..3] == ["yes", "for erik", commitment], "{seen:?}");
    ensure!(seen[3].starts_with("altered: malformed"), "{seen:?}");
    let seen = read_by(&world, "sam")?;
    ensure!(seen[..3] == ["yes", "altered: altered on the way", commitment], "{seen:?}");
    ensure!(seen[3].starts_with("altered: malformed"), "{seen:?}");
    Ok(())
}

impl Forged {
    /// One ciphertext whose tag is valid under both keys: the text under the first, and a last block that was
    /// solved for (Dodis and others, "Fast message franking", 2018).
    fn sealed_under_two(&self, people: [&Author; 2], keys: [Key; 2]) -> Result<Value> {
        let iv = [9; 12];
        let protected = self.protected();
        let mut text = self.jws.clone().into_bytes();
        text.resize(text.len().next_multiple_of(16) + 16, b'.');
        Aes256Gcm::new(&keys[0].into())
            .encrypt_inout_detached(&iv.into(), b"", text.as_mut_slice().into())
            .map_err(|_| anyhow!("it is not encrypted"))?;
        let free = text.len() - 16;
        text[free..].fill(0);
        // The tag is a sum of blocks times powers of a value that depends on the key, and so is the difference of
        // two tags.
        let [(at_one, first), (at_two, second)] =
            keys.map(|key| (tag(&key, &iv, protected.as_bytes(), &text), hash_key(&key)));
        let square = |h: u128| multiply(h, h);
        let solved = multiply(at_one ^ at_two, inverse(square(first) ^ square(second)));
        text[free..].copy_from_slice(&solved.to_be_bytes());
        let tags = keys.map(|key| tag(&key, &iv, protected.as_bytes(), &text).to_be_bytes());
        for key in keys {
            let mut opened = text.clone();
            Aes256Gcm::new(&key.into())
                .decrypt_inout_detached(
                    &iv.into(),
                    protected.as_bytes(),
                    opened.as_mut_slice().into(),
                    &tags[0].into(),
                )
                .map_err(|_| anyhow!("it does not open under both keys"))?;
        }
        self.envelope(people, keys, &iv, &text, &tags[0])
    }
}

fn block(key: &Key, block: [u8; 16]) -> u128 {
    let mut block = block.into();
    Aes256::new(&(*key).into()).encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

/// GHASH's key (NIST SP 800-38D, 7.1).
fn hash_key(key: &Key) -> u128 {
    block(key, [0; 16])
}

/// The tag of whole blocks of ciphertext.
fn tag(key: &Key, iv: &[u8; 12], associated: &[u8], text: &[u8]) -> u128 {
    let h = hash_key(key);
    let blocks = associated.chunks(16).chain(text.chunks(16)).map(|part| {
        let mut block = [0; 16];
        block[..part.len()].copy_from_slice(part);
        u128::from_be_bytes(block)
    });
    let lengths = ((associated.len() as u128 * 8) << 64) | (text.len() as u128 * 8);
    let hash = blocks.chain([lengths]).fold(0, |sum, block| multiply(sum ^ block, h));
    let mut counter = [0; 16];
    counter[..12].copy_from_slice(iv);
    counter[15] = 1;
    hash ^ block(key, counter)
}

/// Multiplication in GF(2^128) as in GCM (NIST SP 800-38D, 6.3).
fn multiply(one: u128, two: u128) -> u128 {
    let (mut product, mut shifted) = (0, two);
    for bit in (0..128).rev() {
        if one >> bit & 1 == 1 {
            product ^= shifted;
        }
        shifted = (shifted >> 1) ^ if shifted & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

/// The inverse by Fermat's theorem: the power 2^128 - 2.
fn inverse(value: u128) -> u128 {
    // 1 in GCM's order of bits.
    let (mut result, mut power) = (1 << 127, value);
    for _ in 0..127 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}
