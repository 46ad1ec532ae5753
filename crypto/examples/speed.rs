//! Prints how many messages a second one core seals and opens: run it with `--release`.

use std::error::Error;
use std::time::{Duration, Instant};

use parlour_crypto::{AccountKey, DeviceKey, Draft, Role, message};
use parlour_envelope::Content;
use rcgen::{CertificateParams, KeyPair};

const SPAN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = rand::rng();
    let device = DeviceKey::generate()?;
    let leaf = self_signed(&device)?;
    let recipient = AccountKey::generate(&mut rng)?;
    let own = AccountKey::generate(&mut rng)?;
    let draft = Draft {
        from: "sam",
        to: "erik",
        id: "0190a5e0-7d4c-7c3e-8f00-000000000001",
        time: 1_720_000_000_000,
        content: Content::Text("hey how are you?".repeat(8)),
        chain: "AAAAAAAAAAAAAAAAAAAAAA",
        n: 0,
        prev: "",
        void: 0,
    };
    let mut seal =
        || message::seal(&mut rng, &device, &leaf, draft.clone(), recipient.public(), own.public());
    let sealed = seal()?;

    println!("seal: {:.0} a second", rate(|| seal().is_ok())?);
    println!(
        "open: {:.0} a second",
        rate(|| message::open(&sealed.jwe, &recipient, Role::Recipient).is_ok())?
    );
    println!("({} bytes sealed)", sealed.jwe.len());
    Ok(())
}

/// Calls `work`, which must succeed each time, for a while. Returns calls a second.
fn rate(mut work: impl FnMut() -> bool) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SPAN {
        if !work() {
            return Err("the work failed".into());
        }
        calls += 1;
    }
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}

fn self_signed(device: &DeviceKey) -> Result<Vec<u8>, Box<dyn Error>> {
    let key = KeyPair::from_pem(&device.to_pkcs8_pem()?)?;
    Ok(CertificateParams::default().self_signed(&key)?.der().to_vec())
}
