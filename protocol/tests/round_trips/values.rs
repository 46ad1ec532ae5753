//! Any value of each type that a line can carry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlour_protocol::json::RequestId;
use parlour_protocol::limits::{HISTORY_PAGE, TEXT_BYTES};
use parlour_protocol::{
    AccountInfo, Body, Command, Conversation, ConversationHead, DeviceId, Dialect, Event, Farewell,
    HistoryRange, Message, MessageId, Post, Refusal, Reply, RevokedDevice, SafeText, SealedMessage,
    Timestamp, UserName,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// The largest number that every JSON reader holds exactly.
const MOST: u64 = 1 << 53;

pub(crate) fn names() -> impl Strategy<Value = UserName> {
    "[a-z0-9][a-z0-9_-]{0,31}".prop_map(|name| name.parse().unwrap())
}

pub(crate) fn devices() -> impl Strategy<Value = DeviceId> {
    "[0-9a-f]{16}".prop_map(|id| id.parse().unwrap())
}

fn ids() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

pub(crate) fn times() -> impl Strategy<Value = Timestamp> {
    let most = i64::try_from(MOST).unwrap();
    prop_oneof![Just(0), Just(1_750_000_000_000), -most..=most].prop_map(Timestamp::from_millis)
}

/// Texts of any characters except controls, and with the two controls that are allowed.
fn texts() -> impl Strategy<Value = SafeText> {
    prop_oneof![
        "[^\\p{Cc}]{1,200}",
        "[\\t\\n\"\\\\/@#\u{2028}\u{ad}\u{202e}a\u{301}]{1,60}",
        Just("\n".repeat(TEXT_BYTES)),
        Just("\u{ad}".repeat(TEXT_BYTES / 2)),
        Just("\u{2028}".repeat(TEXT_BYTES / 3)),
    ]
    .prop_map(|text| SafeText::parse(&text).unwrap())
}

pub(crate) fn sealed() -> impl Strategy<Value = SealedMessage> {
    let keys = vec(any::<u8>(), 384);
    (ids(), any::<[[u8; 32]; 3]>(), [keys.clone(), keys], vec(any::<u8>(), 0..300), any::<[u8; 16]>())
        .prop_map(|(id, [cmt, one, two], [key1, key2], text, tag)| {
            let text64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let header = format!(
                r#"{{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","id":"{id}","cmt":"{}"}}"#,
                text64(&cmt)
            );
            let recipient = |kid: [u8; 32], key: &[u8]| {
                format!(r#"{{"header":{{"kid":"{}"}},"encrypted_key":"{}"}}"#, text64(&kid), text64(key))
            };
            let json = format!(
                r#"{{"protected":"{}","recipients":[{},{}],"iv":"{}","ciphertext":"{}","tag":"{}"}}"#,
                text64(header.as_bytes()),
                recipient(one, &key1),
                recipient(two, &key2),
                text64(&[3; 12]),
                text64(&text),
                text64(&tag)
            );
            SealedMessage::from_json(&json).unwrap()
        })
}

/// A conversation, and content that fits it.
fn said() -> impl Strategy<Value = (Conversation, Body)> {
    prop_oneof![
        (names(), texts()).prop_map(|(name, text)| (format!("#{name}").parse().unwrap(), Body::Text(text))),
        (names(), sealed()).prop_map(|(name, sealed)| (Conversation::Direct(name), Body::Sealed(sealed))),
    ]
}

fn conversations() -> impl Strategy<Value = Conversation> {
    "[#@][a-z0-9][a-z0-9_-]{0,31}".prop_map(|name| name.parse().unwrap())
}

pub(crate) fn messages() -> impl Strategy<Value = Message> {
    (said(), names(), 1..=MOST, ids(), times()).prop_map(|((to, body), from, seq, id, time)| {
        let id = if let Body::Sealed(sealed) = &body { sealed.id } else { id };
        Message { to, from, seq, id, time, body }
    })
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

/// Requests, which are compact JWS.
pub(crate) fn requests() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.-]{1,200}"
}

pub(crate) fn commands() -> impl Strategy<Value = Command> {
    let range = prop_oneof![
        Just(HistoryRange::Newest),
        any::<u64>().prop_map(HistoryRange::Before),
        any::<u64>().prop_map(HistoryRange::After)
    ];
    let post = (said(), ids()).prop_map(|((to, body), id)| {
        let id = if let Body::Sealed(sealed) = &body { sealed.id } else { id };
        Command::Post(Post { to, id: Some(id), body })
    });
    prop_oneof![
        (names(), requests()).prop_map(|(name, request)| Command::Register { name, request }),
        requests().prop_map(|request| Command::Renew { request }),
        (names(), bytes()).prop_map(|(name, signature)| Command::Login { name, signature }),
        Just(Command::Users),
        Just(Command::Exit),
        Just(Command::Help),
        dialects().prop_map(Command::Dialect),
        post,
        names().prop_map(|name| Command::Account { name }),
        Just(Command::Conversations),
        (conversations(), range, 1..=HISTORY_PAGE)
            .prop_map(|(conversation, range, limit)| Command::History { conversation, range, limit }),
        (0..1_u64 << 53).prop_map(|after| Command::Revocations { after }),
        Just(Command::Pong),
    ]
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Plain), Just(Dialect::Json)]
}

pub(crate) fn replies() -> impl Strategy<Value = Reply> {
    let revoked = (devices(), times(), proptest::option::of("[a-z.]{1,9}"))
        .prop_map(|(device, time, statement)| RevokedDevice { device, time, statement });
    let account = (names(), bytes(), vec(revoked, 0..4))
        .prop_map(|(user, certificate, revoked)| Reply::Account(AccountInfo { user, certificate, revoked }));
    let head = (conversations(), any::<u64>(), proptest::option::of(ids()))
        .prop_map(|(name, last, newest)| ConversationHead { name, last, newest });
    prop_oneof![
        (bytes(), bytes()).prop_map(|(device_certificate, account_certificate)| Reply::Registered {
            device_certificate,
            account_certificate
        }),
        bytes().prop_map(|device_certificate| Reply::Renewed { device_certificate }),
        (names(), devices(), times()).prop_map(|(user, device, time)| Reply::LoggedIn { user, device, time }),
        vec(names(), 0..20).prop_map(Reply::Users),
        Just(Reply::Goodbye),
        vec("[^\\p{Cc}]{0,40}", 0..20).prop_map(Reply::Help),
        dialects().prop_map(Reply::Dialect),
        messages().prop_map(Reply::Posted),
        account,
        vec(head, 0..20).prop_map(Reply::Conversations),
        (vec(messages(), 0..8), any::<u64>()).prop_map(|(messages, last)| Reply::History { messages, last }),
        (vec("[a-z.]{1,9}", 0..8), any::<bool>())
            .prop_map(|(statements, more)| Reply::Revocations { statements, more }),
        Just(Reply::Pong),
    ]
}

pub(crate) fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        messages().prop_map(Event::Message),
        Just(Event::Ping),
        (
            names(),
            devices(),
            times(),
            proptest::option::of(any::<u64>()),
            proptest::option::of("[a-z.]{1,9}"),
        )
            .prop_map(|(user, device, time, number, statement)| {
                Event::Revoked { user, device, time, number, statement }
            }),
        proptest::sample::select(Farewell::ALL.to_vec()).prop_map(Event::Goodbye),
    ]
}

pub(crate) fn refusals() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        any::<String>().prop_map(|word| Refusal::unknown(&word)),
        any::<u64>().prop_map(|seconds| Refusal::TooMany { seconds }),
        "[0-9a-f]{8}".prop_map(|incident| Refusal::Internal { incident }),
        proptest::sample::select(vec![
            Refusal::NotNow,
            Refusal::Format,
            Refusal::LineTooLong,
            Refusal::MessageTooLong,
            Refusal::NotUtf8,
            Refusal::ControlCharacter,
            Refusal::UserExists,
            Refusal::RequestRefused,
            Refusal::InvalidCredentials,
            Refusal::AlreadyLoggedIn,
            Refusal::UserNotFound,
            Refusal::ConversationNotFound,
            Refusal::MustBeSealed,
            Refusal::WrongKeys,
            Refusal::IdInUse,
            Refusal::AuthorityUnavailable,
        ]),
    ]
}

pub(crate) fn request_ids() -> impl Strategy<Value = RequestId> {
    prop_oneof![
        any::<u64>().prop_map(RequestId::Number),
        "[ -~]{0,64}".prop_map(RequestId::Text),
        "[^\\p{Cc}]{0,16}".prop_map(RequestId::Text),
    ]
}
