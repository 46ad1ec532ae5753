//! Judges opened messages one after the other in the order of their `seq`: was the device revoked, is a message
//! missing before it? A misfit is shown as what it is, never dropped.

use parlour_protocol::limits::CLOCK_TOLERANCE_MS;
use parlour_protocol::{Body, Conversation, RevokedDevice, Timestamp, UNKNOWN_CONTENT, UserName};

use crate::reading::chain::{ChainKey, Chains, Place, follow, take_known};
use crate::reading::opening::{Believed, Inside, Opened};
use crate::reading::shown::{REVOKED, Shown, Signer, Verdict};

/// Judges one message for the user `me` that was not held before. `revoked` are the sender's revoked devices, as far
/// as they are known by now.
pub fn judge(me: &UserName, opened: &Opened, revoked: &[RevokedDevice], chains: &mut impl Chains) -> Shown {
    let message = &opened.message;
    let conversation = message.conversation(me);
    let mut refused = false;
    let (text, signed, verdict) = match &message.body {
        Body::Text(text) => match &message.to {
            Conversation::Channel(_) => (Some(text.as_str().to_owned()), None, Verdict::Public),
            Conversation::Direct(_) => (None, None, bad("not sealed: anybody could have written it")),
        },
        Body::Sealed(_) => match believed(opened.inside.as_ref(), revoked) {
            Ok(believed) => {
                // It takes its place in the chain, whether it can be shown or not.
                let place = Place { seq: message.seq, id: message.id };
                let key = chain_key(opened, &conversation, believed);
                let followed = follow(&key, believed, place, chains);
                refused = followed.refused;
                let was_revoked = revoked.iter().any(|revoked| revoked.device == believed.device);
                let verdict = if was_revoked { followed.verdict.undated() } else { followed.verdict };
                match &believed.text {
                    Ok(text) if verdict.is_believed() => (Some(text.clone()), Some(believed.signed), verdict),
                    Err(reason) if verdict.is_believed() => (None, Some(believed.signed), bad(reason)),
                    _ => (None, Some(believed.signed), verdict),
                }
            }
            Err(reason) => (None, None, bad(reason)),
        },
        Body::Unknown => (None, None, bad(UNKNOWN_CONTENT)),
    };
    let differs =
        |signed: &Timestamp| (signed.as_millis() - message.time.as_millis()).abs() > CLOCK_TOLERANCE_MS;
    Shown {
        conversation,
        seq: message.seq,
        id: message.id,
        from: message.from.clone(),
        to: message.to.clone(),
        time: message.time,
        signed: signed.filter(differs),
        text,
        verdict,
        backwards: false,
        generation: 0,
        set_aside: false,
        refused,
        signer: opened
            .inside
            .as_ref()
            .and_then(|inside| inside.as_ref().ok())
            .map(|believed| Signer { device: believed.device.clone(), time: believed.signed }),
    }
}

/// Lets a message that is shown as it was judged before take its place.
pub fn know_again(me: &UserName, opened: &Opened, chains: &mut impl Chains) {
    if let Some(Ok(believed)) = &opened.inside {
        let key = chain_key(opened, &opened.message.conversation(me), believed);
        take_known(&key, believed.n, chains);
    }
}

fn chain_key(opened: &Opened, conversation: &Conversation, believed: &Believed) -> ChainKey {
    ChainKey {
        conversation: conversation.clone(),
        from: opened.message.from.clone(),
        device: believed.device.clone(),
        chain: believed.chain.clone(),
    }
}

/// The content, unless its device had been revoked when it signed.
fn believed<'a>(inside: Option<&'a Inside>, revoked: &[RevokedDevice]) -> Result<&'a Believed, &'a str> {
    let believed = inside.ok_or("altered: not opened")?.as_ref().map_err(String::as_str)?;
    let withdrawn = |revoked: &RevokedDevice| {
        revoked.device == believed.device && revoked.time.as_millis() <= believed.signed.as_millis()
    };
    if revoked.iter().any(withdrawn) {
        return Err(REVOKED);
    }
    Ok(believed)
}

fn bad(reason: &str) -> Verdict {
    Verdict::Bad { reason: reason.to_owned() }
}
