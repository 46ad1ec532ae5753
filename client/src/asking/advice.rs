//! Hints beside the fixed words of a refusal: the fault in the request, and the request that may have been meant.

use std::path::Path;

use parlour_protocol::limits::TEXT_BYTES;
use parlour_protocol::{Conversation, UserName};

/// The hint for a text that is not a name.
pub fn name(text: &str) -> String {
    match lower(text) {
        Some(name) => format!("names are lower case: did you mean {name}?"),
        None => "a name is 1 to 32 of a-z, 0-9, - and _, and begins with a letter or a digit".to_owned(),
    }
}

/// The hint for a text that is not a conversation.
pub fn conversation(text: &str) -> String {
    let (sign, rest) = match text.strip_prefix(['@', '#']) {
        Some(rest) => (text.get(..1).unwrap_or_default(), rest),
        None => ("", text),
    };
    match (sign, lower(rest)) {
        ("", Some(name)) if Conversation::lobby().to_string().get(1..) == Some(name.as_str()) => {
            "a conversation is #CHANNEL or @NAME: did you mean #lobby?".to_owned()
        }
        ("", Some(name)) => format!("a conversation is #CHANNEL or @NAME: did you mean @{name}?"),
        ("", None) => "a conversation is #CHANNEL or @NAME".to_owned(),
        (sign, Some(name)) => format!("names are lower case: did you mean {sign}{name}?"),
        (_, None) => self::name(rest),
    }
}

/// The hint for a text that is too long, with its size in bytes.
pub fn too_long(bytes: usize) -> String {
    format!("it has {bytes} bytes, and a message has at most {TEXT_BYTES}")
}

/// The hint for an empty text.
pub const EMPTY: &str = "there is nothing to say: the text is empty";

/// The hint for keys that the server does not accept.
pub const NOT_ACCEPTED: &str = "this device may be revoked, or the server does not know this account (it may be new, or set \
    back to an earlier state): ask its operator";

/// The hint for a name that is not registered, because its keys are in this folder.
pub fn has_keys(name: &UserName, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "the keys of {name} are in {folder}, and /login {name} uses them; if the server does not accept them, ask its \
         operator, or register another name"
    )
}

/// The hint for something that was not found.
pub fn not_found(conversation: &Conversation) -> String {
    match conversation {
        Conversation::Direct(name) => format!("no user {name}"),
        Conversation::Channel(_) => format!("no channel {conversation}, or none that you may see"),
    }
}

/// The name that a text becomes in lower case, if it becomes one.
fn lower(text: &str) -> Option<UserName> {
    text.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_request_that_may_have_been_meant() {
        let mean = |text: &str| format!("did you mean {text}?");
        for (advice, meant) in [
            (name("Sam"), mean("sam")),
            (conversation("sam"), mean("@sam")),
            (conversation("Sam"), mean("@sam")),
            (conversation("@SAM"), mean("@sam")),
            (conversation("lobby"), mean("#lobby")),
            (conversation("#Lobby"), mean("#lobby")),
        ] {
            assert!(advice.ends_with(&meant), "{advice}");
        }
        for advice in [name("s.m"), name(""), conversation("@s.m"), conversation("&plans"), conversation("")]
        {
            assert!(!advice.contains("did you mean"), "{advice}");
        }
    }
}
