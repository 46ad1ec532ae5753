//! Short texts with a meaning: names, numbers, and addresses of servers.

use parlour_keylog::Host;
use parlour_protocol::{
    ChannelName, Conversation, DEFAULT_PORT, DeviceId, Fingerprint, Invitation, Limits, MessageId,
    ServerAddress, UserName, limits,
};

/// Names of users, channels, conversations, devices and messages, and `--limit NAME=VALUE`: an accepted text
/// follows the grammar, as the simplest possible check sees it, and is written as it was read.
pub fn name(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let user = text.parse::<UserName>();
    assert_eq!(user.is_ok(), is_name(text), "{text:?}");
    assert_eq!(text.parse::<ChannelName>().is_ok(), user.is_ok());
    if let Ok(user) = user {
        assert_eq!(user.as_str(), text);
    }
    let conversation = text.parse::<Conversation>();
    assert_eq!(conversation.is_ok(), text.strip_prefix(['#', '@']).is_some_and(is_name), "{text:?}");
    if let Ok(conversation) = conversation {
        assert_eq!(conversation.to_string(), text);
    }
    let digits = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    assert_eq!(text.parse::<DeviceId>().is_ok(), text.len() == 16 && digits(text), "{text:?}");
    if let Ok(id) = text.parse::<MessageId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(MessageId::from_bytes(*id.as_bytes()), id);
    }
    limit(text);
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9');
    (1..=32).contains(&text.len())
        && text.starts_with(letter)
        && text.chars().all(|c| letter(c) || matches!(c, '_' | '-'))
}

fn limit(text: &str) {
    let mut limits = Limits::default();
    if limits.set(text).is_ok() {
        for row in limits::TABLE {
            assert!(limits.get(row.name).is_some_and(|value| (row.least..=row.most).contains(&value)));
        }
    } else {
        assert_eq!(limits, Limits::default());
    }
}

/// Texts that name a server: `HOST:PORT`, an invitation, a host of a certificate, a fingerprint.
pub fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<ServerAddress>() {
        check_address(&address);
    }
    if let Ok(invitation) = text.parse::<Invitation>() {
        check_address(&invitation.server);
        let written = invitation.to_string();
        assert!(written.len() <= 600 && written.bytes().all(|byte| byte.is_ascii_graphic()), "{written}");
        assert_eq!(written.parse::<Invitation>().as_ref(), Ok(&invitation));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string(), text.to_ascii_lowercase());
    }
    if let Ok(host) = text.parse::<Host>() {
        assert!(host.dns().is_some() != host.ip().is_some());
        assert_eq!(host.to_string().parse::<Host>(), Ok(host));
    }
}

fn check_address(address: &ServerAddress) {
    assert!(address.port != 0 && !address.host.is_empty() && address.host.len() <= 253);
    let written = address.to_string();
    assert_eq!(written.parse::<ServerAddress>().as_ref(), Ok(address), "{written}");
    if address.port == DEFAULT_PORT {
        assert_eq!(address.host.parse::<ServerAddress>().as_ref(), Ok(address), "{written}");
    }
}
