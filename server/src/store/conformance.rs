//! The suite of tests that every backend must pass.

use std::future::Future;

use parlour_protocol::ttp::Revocation;
use parlour_protocol::{
    Body, Conversation, HistoryRange, MessageId, SafeText, SealedMessage, Timestamp, UserName,
};

use super::{
    Account, AppendError, Appended, ConversationKey, CreateAccountError, NewMessage, OutcomeQueue,
    Statements, Store,
};
use crate::audit::{Entry, Kind, SecurityEvent};

pub(super) fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

pub(super) fn lobby() -> ConversationKey {
    ConversationKey::seen_by(&name("sam"), &Conversation::lobby())
}

fn account(text: &str, kid: &str) -> Account {
    Account {
        name: name(text),
        certificate: vec![1, 2, 3],
        kid: kid.to_owned(),
        created: Timestamp::from_millis(1),
    }
}

pub(super) fn entry(kind: Kind, seconds: i64) -> Entry {
    let event = SecurityEvent::new(kind).of(&name("sam")).from([127, 0, 0, 1].into());
    Entry { time: Timestamp::from_millis(seconds * 1_000), event, times: 1 }
}

fn registered() -> Entry {
    entry(Kind::Registration, 1)
}

pub(super) fn public(from: &str, number: u8, text: &str) -> NewMessage {
    NewMessage {
        to: Conversation::lobby(),
        from: name(from),
        id: MessageId::from_bytes([number; 16]),
        body: Body::Text(SafeText::parse(text).unwrap()),
        now: Timestamp::from_millis(1_000 + i64::from(number)),
    }
}

pub(super) fn sealed(from: &str, to: &str) -> NewMessage {
    let json = include_str!("conformance/sealed.json");
    let sealed = SealedMessage::from_json(json.trim()).unwrap();
    NewMessage {
        to: Conversation::Direct(name(to)),
        from: name(from),
        id: sealed.id,
        body: Body::Sealed(sealed),
        now: Timestamp::from_millis(5_000),
    }
}

/// The value that the suite attaches to a message.
pub(super) type Waiting = u32;

type Receiver = OutcomeQueue<Waiting>;

/// A store, and the receiver of its outcomes.
pub(super) type Opened<S> = (S, Receiver);

pub(super) async fn append(
    store: &impl Store<Waiting>,
    told: &mut Receiver,
    message: NewMessage,
) -> Result<Appended, AppendError> {
    store.append(message, 7).await.unwrap();
    let mut batch = told.next().await.unwrap();
    assert_eq!(batch.outcomes.len(), 1);
    let (waiting, outcome) = batch.outcomes.remove(0);
    assert_eq!(waiting, 7);
    outcome
}

/// Creates the account sam and posts this many messages of his to the lobby.
pub(super) async fn fill(store: &impl Store<Waiting>, told: &mut Receiver, count: u8) {
    store.create_account(account("sam", "kid"), registered()).await.unwrap();
    for number in 1..=count {
        append(store, told, public("sam", number, &format!("message {number}"))).await.unwrap();
    }
}

/// Runs the whole suite; `open` opens the same store again after each `close`.
pub(super) async fn all<S: Store<Waiting>, C: Future<Output = ()>>(
    open: impl Fn() -> Opened<S>,
    close: impl Fn(S) -> C,
) {
    let (store, mut told) = open();
    a_name_belongs_to_its_first_account(&store).await;
    messages_are_numbered_without_gaps_and_kept_once(&store, &mut told).await;
    messages_that_wait_together_are_announced_in_order(&store, &mut told).await;
    both_sides_find_a_direct_conversation(&store, &mut told).await;
    only_an_account_that_has_stored_too_much_is_refused(&store, &mut told).await;
    an_id_that_was_used_begins_no_conversation(&store, &mut told).await;
    revocations_are_kept_once(&store).await;
    close(store).await;
    assert!(told.next().await.is_none());
    let (store, mut told) = open();
    confirmed_writes_are_there_after_a_restart(&store, &mut told).await;
    close(store).await;
}

async fn messages_that_wait_together_are_announced_in_order(
    store: &impl Store<Waiting>,
    told: &mut Receiver,
) {
    for number in 0..50 {
        // The same id twice in one batch, and once more with another text.
        let message = match number {
            20 => public("erik", 119, "together"),
            21 => public("erik", 119, "something else"),
            _ => public("erik", 100 + u8::try_from(number).unwrap(), "together"),
        };
        store.append(message, number).await.unwrap();
    }
    let mut outcomes = Vec::new();
    while outcomes.len() < 50 {
        outcomes.append(&mut told.next().await.unwrap().outcomes);
    }
    let mut seq = 7;
    for (number, (waiting, outcome)) in (0..).zip(outcomes) {
        assert_eq!(waiting, number);
        match number {
            20 => assert!(outcome.is_ok_and(|kept| kept.message.seq == seq && !kept.fresh)),
            21 => assert_eq!(outcome.unwrap_err(), AppendError::IdInUse),
            _ => {
                seq += 1;
                assert!(outcome.is_ok_and(|kept| kept.message.seq == seq && kept.fresh));
            }
        }
    }
}

async fn a_name_belongs_to_its_first_account(store: &impl Store<Waiting>) {
    for user in ["erik", "sam"] {
        assert_eq!(store.account(name(user)).await.unwrap(), None);
        store.create_account(account(user, user), registered()).await.unwrap();
        store.create_account(account(user, user), registered()).await.unwrap();
        let other = store.create_account(account(user, "other"), registered()).await;
        assert_eq!(other, Err(CreateAccountError::NameTaken));
        assert_eq!(store.account(name(user)).await.unwrap(), Some(account(user, user)));
    }
}

async fn messages_are_numbered_without_gaps_and_kept_once(store: &impl Store<Waiting>, told: &mut Receiver) {
    for number in 1..=5 {
        let kept = append(store, told, public("sam", number, "hello")).await.unwrap();
        assert_eq!((kept.message.seq, kept.fresh), (u64::from(number), true));
    }
    let again = append(store, told, public("sam", 3, "hello")).await.unwrap();
    assert_eq!((again.message.seq, again.fresh), (3, false));
    let other = append(store, told, public("sam", 3, "something else")).await;
    assert_eq!(other.unwrap_err(), AppendError::IdInUse);
    // Ids belong to the sender: another user may use the same.
    assert_eq!(append(store, told, public("erik", 3, "hi")).await.unwrap().message.seq, 6);
    // The clock went back; the conversation's time does not.
    let mut early = public("sam", 7, "early");
    early.now = Timestamp::from_millis(0);
    assert!(append(store, told, early).await.unwrap().message.time >= Timestamp::from_millis(1_005));

    let seqs = async |range, limit| {
        let page = store.history(lobby(), range, limit).await.unwrap();
        assert_eq!(page.last, 7);
        page.messages.iter().map(|message| message.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(HistoryRange::Newest, 3).await, [5, 6, 7]);
    assert_eq!(seqs(HistoryRange::Before(4), 2).await, [2, 3]);
    assert_eq!(seqs(HistoryRange::Before(1), 2).await, [0; 0]);
    assert_eq!(seqs(HistoryRange::After(5), 100).await, [6, 7]);
    assert_eq!(seqs(HistoryRange::After(u64::MAX), 100).await, [0; 0]);
    assert_eq!(seqs(HistoryRange::Before(u64::MAX), 1).await, [7]);
}

async fn both_sides_find_a_direct_conversation(store: &impl Store<Waiting>, told: &mut Receiver) {
    let kept = append(store, told, sealed("sam", "erik")).await.unwrap().message;
    for (reader, other) in [("sam", "erik"), ("erik", "sam")] {
        let heads = store.conversations(name(reader)).await.unwrap();
        let names: Vec<String> = heads.iter().map(|head| head.name.to_string()).collect();
        assert_eq!(names, ["#lobby".to_owned(), format!("@{other}")]);
        assert_eq!(heads[1].last, 1);
        let key = ConversationKey::seen_by(&name(reader), &heads[1].name);
        let page = store.history(key, HistoryRange::Newest, 10).await.unwrap();
        assert_eq!(page.messages, std::slice::from_ref(&kept));
    }
    let strangers = ConversationKey::seen_by(&name("mallory"), &Conversation::Direct(name("erik")));
    assert_eq!(store.history(strangers, HistoryRange::Newest, 10).await.unwrap().messages, []);
}

/// Opens the store with room for one mebibyte of messages for each account.
async fn only_an_account_that_has_stored_too_much_is_refused(
    store: &impl Store<Waiting>,
    told: &mut Receiver,
) {
    store.create_account(account("anna", "anna"), registered()).await.unwrap();
    let text = "x".repeat(8_192);
    for number in 0..124 {
        append(store, told, public("anna", number, &text)).await.unwrap();
    }
    assert_eq!(append(store, told, public("anna", 124, &text)).await.unwrap_err(), AppendError::AccountFull);
    // Messages stored before are answered as before, a small enough message fits, and other users are not
    // affected.
    assert!(!append(store, told, public("anna", 5, &text)).await.unwrap().fresh);
    assert!(append(store, told, public("anna", 125, "short")).await.unwrap().fresh);
    assert!(append(store, told, public("erik", 200, &text)).await.unwrap().fresh);
}

async fn an_id_that_was_used_begins_no_conversation(store: &impl Store<Waiting>, told: &mut Receiver) {
    let text_to_anna =
        |number| NewMessage { to: Conversation::Direct(name("anna")), ..public("sam", number, "hello") };
    for repeated in [sealed("sam", "anna"), text_to_anna(3)] {
        assert_eq!(append(store, told, repeated).await.unwrap_err(), AppendError::IdInUse);
        for (reader, others) in [("sam", ["#lobby", "@erik"].as_slice()), ("anna", &["#lobby"])] {
            let heads = store.conversations(name(reader)).await.unwrap();
            let names: Vec<String> = heads.iter().map(|head| head.name.to_string()).collect();
            assert_eq!(names, others);
        }
    }
    let first = append(store, told, text_to_anna(9)).await.unwrap();
    assert_eq!((first.message.seq, first.fresh), (1, true));
    assert_eq!(store.conversations(name("anna")).await.unwrap().len(), 2);
}

async fn revocations_are_kept_once(store: &impl Store<Waiting>) {
    assert_eq!(store.newest_revocation().await.unwrap(), 0);
    let revocation = Revocation {
        number: 1,
        name: name("sam"),
        device: "0123456789abcdef".parse().unwrap(),
        time: Timestamp::from_millis(9),
        statement: None,
    };
    store.add_revocation(revocation.clone(), entry(Kind::DeviceRevoked, 9)).await.unwrap();
    store.add_revocation(revocation.clone(), entry(Kind::DeviceRevoked, 9)).await.unwrap();
    assert_eq!(store.newest_revocation().await.unwrap(), 1);
    assert_eq!(store.statements(0).await.unwrap(), Statements::default());
    let stated = Revocation { statement: Some("a.b.c".to_owned()), ..revocation.clone() };
    store.add_revocation(stated, entry(Kind::DeviceRevoked, 9)).await.unwrap();
    // An older TTP sends no statements; that removes none.
    store.add_revocation(revocation, entry(Kind::DeviceRevoked, 9)).await.unwrap();
    assert_eq!(store.statements(0).await.unwrap().statements, ["a.b.c"]);
    assert_eq!(store.statements(1).await.unwrap(), Statements::default());
    assert_eq!(store.revoked_devices(name("sam")).await.unwrap()[0].statement.as_deref(), Some("a.b.c"));
    assert_eq!(store.revoked_devices(name("sam")).await.unwrap().len(), 1);
    assert_eq!(store.revoked_devices(name("erik")).await.unwrap().len(), 0);
}

async fn confirmed_writes_are_there_after_a_restart(store: &impl Store<Waiting>, told: &mut Receiver) {
    let page = store.history(lobby(), HistoryRange::Newest, 100).await.unwrap();
    assert_eq!(page.last, 181);
    assert_eq!(append(store, told, public("sam", 8, "after")).await.unwrap().message.seq, 182);
    assert!(!append(store, told, public("sam", 3, "hello")).await.unwrap().fresh);
    assert_eq!(store.newest_revocation().await.unwrap(), 1);
}
