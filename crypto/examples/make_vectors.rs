//! Writes the test vectors in `tests/vectors/` anew, with new keys: `cargo run -p parlour-crypto --example
//! make_vectors`. Needed only when a format changes, which its documentation must then say.

#![expect(clippy::indexing_slicing, reason = "a missing member of our own JSON may well stop this tool")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parlour_crypto::message;
use parlour_crypto::{AccountKey, DeviceKey, Draft, EnrolmentRequest, RenewalRequest, SealKey, Vault};
use parlour_envelope::statement::jws_hash;
use parlour_envelope::{AwsLc, Content, VerifiedEnrolment, VerifiedRenewal};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// 2025-06-15T15:06:40Z, in milliseconds since 1970; the certificates are valid from the 12th to the 19th.
const TIME: i64 = 1_750_000_000_000;
const CHAIN: &str = "AAECAwQFBgcICQoLDA0ODw";

fn main() -> Outcome<()> {
    let root = Root::new()?;
    let (sam, erik) = (Person::new("sam", &root)?, Person::new("erik", &root)?);
    messages(&sam, &erik)?;
    refused(&sam, &erik)?;
    requests(&sam)?;
    login(&sam)?;
    vault()
}

fn messages(sam: &Person, erik: &Person) -> Outcome<()> {
    let first = sam.seal_to(erik, 1, "hey how are you?", (0, 0, ""))?;
    write("message-first", "The first message of a chain.", &first)?;
    let prev = jws_hash(first["jws"].as_str().unwrap_or_default());
    let second = sam.seal_to(erik, 2, "Zeile 1\nLine 2 \u{1f600} \"\\/\u{2028}", (1, 0, &prev))?;
    write("message-second", "The next one, with line break, quotes and characters beyond ASCII.", &second)?;
    let after = sam.seal_to(erik, 5, "after two that were refused", (3, 2, &prev))?;
    write("message-after-refused", "It follows the first one: the two between were refused.", &after)?;
    let own = sam.seal_to(sam, 3, "note to self", (0, 0, ""))?;
    write("message-to-oneself", "Sender and recipient are the same: both keys are too.", &own)
}

/// Messages that must not open, made from a good one by changing the envelope.
fn refused(sam: &Person, erik: &Person) -> Outcome<()> {
    let good = sam.seal_to(erik, 4, "hello", (0, 0, ""))?;
    let spoil = |name: &str, about: &str, error: &str, change: &dyn Fn(&mut Value)| -> Outcome<()> {
        let mut jwe: Value = serde_json::from_str(good["jwe"].as_str().unwrap_or_default())?;
        change(&mut jwe);
        let case = json!({
            "kind": "refused", "as": "recipient", "error": error,
            "recipient": good["recipient"], "jwe": jwe.to_string(),
        });
        write(name, about, &case)
    };
    spoil("refused-swapped", "The two recipients in the wrong order.", "NotForThisKey", &|jwe| {
        let keys = json!([jwe["recipients"][1], jwe["recipients"][0]]);
        jwe["recipients"] = keys;
    })?;
    spoil("refused-key", "The wrapped key is nonsense.", "Altered", &|jwe| {
        jwe["recipients"][0]["encrypted_key"] = URL_SAFE_NO_PAD.encode([1; 384]).into();
    })?;
    spoil("refused-tag", "The tag is nonsense.", "Altered", &|jwe| {
        jwe["tag"] = URL_SAFE_NO_PAD.encode([1; 16]).into();
    })?;
    spoil("refused-aad", "The envelope has a member too many.", "Malformed", &|jwe| {
        jwe["aad"] = "AAAA".into();
    })?;
    spoil("refused-base64", "The tag is padded base64url.", "Malformed", &|jwe| {
        jwe["tag"] = format!("{}==", jwe["tag"].as_str().unwrap_or_default()).into();
    })
}

fn requests(sam: &Person) -> Outcome<()> {
    let Person { device, account, seal, .. } = sam;
    let request = EnrolmentRequest { name: "sam", device, account, seal };
    let compact = request.build(&mut rand::rng())?;
    let verified = VerifiedEnrolment::read(&compact, &AwsLc)?;
    let case = json!({
        "kind": "enrolment", "device": sam.device_json()?, "account": sam.account_json()?,
        "seal": { "pem": seal.to_pkcs8_pem()?.as_str() }, "compact": compact,
        "expected": {
            "name": verified.name,
            "nonce": URL_SAFE_NO_PAD.encode(verified.nonce),
            "device_spki": STANDARD.encode(verified.device_spki),
            "account_spki": STANDARD.encode(verified.account_spki),
            "seal_spki": STANDARD.encode(verified.seal_spki),
        },
    });
    write("enrolment", "The request for a name. Binary values under `expected` are standard base64.", &case)?;

    let request = RenewalRequest { name: "sam", device: "device-1", key: device };
    let compact = request.build(&mut rand::rng())?;
    let verified = VerifiedRenewal::read(&compact, &AwsLc)?;
    let case = json!({
        "kind": "renewal", "device": sam.device_json()?, "compact": compact,
        "expected": {
            "name": verified.name,
            "device": verified.device,
            "nonce": URL_SAFE_NO_PAD.encode(verified.nonce),
            "device_spki": STANDARD.encode(verified.device_spki),
        },
    });
    write("renewal", "The request for a new certificate for the same device key.", &case)
}

fn login(sam: &Person) -> Outcome<()> {
    let exporter: Vec<u8> = (0..32).collect();
    let transcript = [b"parlour login v1\0sam\0".as_slice(), &exporter].concat();
    let case = json!({
        "kind": "login", "user": "sam", "device": sam.device_json()?,
        "exporter_hex": hex(&exporter), "transcript_hex": hex(&transcript),
        "signature_b64": STANDARD.encode(sam.device.sign_asn1(&transcript)?),
    });
    let about = "The signature at login: ASN.1 DER over \"parlour login v1\" 00 user 00 exporter.";
    write("login", about, &case)
}

fn vault() -> Outcome<()> {
    let vault = Vault::from_key([7; 32])?;
    let sealed = vault.seal(&mut rand::rng(), b"history/42", b"hello")?;
    let case = json!({
        "kind": "vault", "key_hex": hex(vault.key_bytes().as_slice()), "context": "history/42",
        "plain": "hello", "sealed_b64": STANDARD.encode(sealed),
        "label": "sam", "tag_hex": hex(&vault.tag(b"sam")),
    });
    write("vault", "A sealed value and a tag of a client's local database.", &case)
}

/// A certificate authority for the vectors' certificates.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

impl Root {
    fn new() -> Outcome<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let der = params.self_signed(&key)?.der().to_vec();
        Ok(Self { issuer: Issuer::new(params, key), der })
    }
}

struct Person {
    name: &'static str,
    device: DeviceKey,
    seal: SealKey,
    account: AccountKey,
    leaf: Vec<u8>,
    root: Vec<u8>,
}

impl Person {
    fn new(name: &'static str, root: &Root) -> Outcome<Self> {
        let device = DeviceKey::generate()?;
        let key = KeyPair::from_pem(&device.to_pkcs8_pem()?)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::URI(format!("parlour:{name}/device-1").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        params.not_before = rcgen::date_time_ymd(2025, 6, 12);
        params.not_after = rcgen::date_time_ymd(2025, 6, 19);
        let leaf = params.signed_by(&key, &root.issuer)?.der().to_vec();
        let (seal, account) = (SealKey::generate()?, AccountKey::generate(&mut rand::rng())?);
        Ok(Self { name, device, seal, account, leaf, root: root.der.clone() })
    }

    /// The case of a message from this person; `place` is `n`, the number of refused ones, and `prev`.
    fn seal_to(&self, recipient: &Self, number: u8, text: &str, place: (u64, u64, &str)) -> Outcome<Value> {
        let (n, void, prev) = place;
        let id = format!("0197741c-9a80-7000-8000-0000000000{number:02x}");
        let draft = Draft {
            from: self.name,
            to: recipient.name,
            id: &id,
            time: TIME + i64::from(number),
            content: Content::Text(text.to_owned()),
            chain: CHAIN,
            n,
            prev,
            void,
        };
        let (to, own) = (recipient.account.public(), self.account.public());
        let sealed = message::seal(&mut rand::rng(), &self.device, &self.leaf, draft, to, own)?;
        let claims: Value = json_part(sealed.jws.split('.').nth(1))?;
        let envelope: Value = serde_json::from_str(&sealed.jwe)?;
        Ok(json!({
            "kind": "message",
            "recipient": { "name": recipient.name, "account": recipient.account_json()? },
            "sender": {
                "name": self.name, "account": self.account_json()?, "device": self.device_json()?,
                "certificate": STANDARD.encode(&self.leaf), "root": STANDARD.encode(&self.root),
            },
            "claims": claims,
            "cmt": json_part(envelope["protected"].as_str())?["cmt"],
            "jws": sealed.jws.as_str(),
            "jws_hash": jws_hash(&sealed.jws),
            "jwe": sealed.jwe,
        }))
    }

    fn device_json(&self) -> Outcome<Value> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.device.to_pkcs8_der()?)?;
        let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes()?;
        let (x, y) = self.device.public().point().split_at(33);
        let x = URL_SAFE_NO_PAD.encode(x.get(1..).unwrap_or_default());
        let y = URL_SAFE_NO_PAD.encode(y);
        let d = URL_SAFE_NO_PAD.encode(private.as_ref());
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": d});
        Ok(json!({"pem": self.device.to_pkcs8_pem()?.as_str(), "jwk": jwk}))
    }

    fn account_json(&self) -> Outcome<Value> {
        let pem = self.account.to_pkcs8_pem()?;
        let key = RsaPrivateKey::from_pkcs8_pem(&pem)?;
        let number = |value: &rsa::BoxedUint| URL_SAFE_NO_PAD.encode(value.to_be_bytes_trimmed_vartime());
        let [p, q] = key.primes() else { return Err("not two primes".into()) };
        let (Some(dp), Some(dq), Some(qi)) = (key.dp(), key.dq(), key.crt_coefficient()) else {
            return Err("the key lacks its CRT values".into());
        };
        let jwk = json!({
            "kty": "RSA", "n": number(key.n()), "e": number(key.e()), "d": number(key.d()),
            "p": number(p), "q": number(q), "dp": number(dp), "dq": number(dq), "qi": number(&qi),
        });
        Ok(json!({"pem": pem.as_str(), "jwk": jwk, "kid": self.account.public().kid()}))
    }
}

fn json_part(part: Option<&str>) -> Outcome<Value> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.unwrap_or_default())?)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write(name: &str, about: &str, case: &Value) -> Outcome<()> {
    let mut case = case.clone();
    case["about"] = about.into();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let text = serde_json::to_string_pretty(&case)? + "\n";
    Ok(std::fs::write(folder.join(format!("{name}.json")), text)?)
}
