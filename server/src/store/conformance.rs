//! What every backend must do, as one suite that each runs.

use std::future::Future;

use parlour_protocol::authority::Revocation;
use parlour_protocol::{
    Body, Conversation, HistoryRange, MessageId, SafeText, SealedMessage, Timestamp, UserName,
};
use tokio::sync::oneshot;

use super::{Account, Appended, ConversationKey, NewMessage, Store, StoreError};

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

fn public(from: &str, number: u8, text: &str) -> NewMessage {
    NewMessage {
        to: Conversation::lobby(),
        from: name(from),
        id: MessageId::from_bytes([number; 16]),
        body: Body::Text(SafeText::parse(text).unwrap()),
        now: Timestamp::from_millis(1_000 + i64::from(number)),
    }
}

fn sealed(from: &str, to: &str) -> NewMessage {
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

async fn append(store: &impl Store, message: NewMessage) -> Result<Appended, StoreError> {
    let (done, outcome) = oneshot::channel();
    store.append(message, Box::new(move |result| drop(done.send(result)))).await.unwrap();
    outcome.await.unwrap()
}

/// Makes the account sam and lets him say so many things in the lobby.
pub(super) async fn fill(store: &impl Store, count: u8) {
    store.create_account(account("sam", "kid")).await.unwrap();
    for number in 1..=count {
        append(store, public("sam", number, &format!("message {number}"))).await.unwrap();
    }
}

/// Runs the whole suite; `open` opens the same store again after each `close`.
pub(super) async fn all<S: Store, C: Future<Output = ()>>(open: impl Fn() -> S, close: impl Fn(S) -> C) {
    let store = open();
    a_name_belongs_to_its_first_account(&store).await;
    messages_are_numbered_without_gaps_and_kept_once(&store).await;
    both_sides_find_a_direct_conversation(&store).await;
    revocations_are_kept_once(&store).await;
    close(store).await;
    let store = open();
    what_was_confirmed_is_there_after_a_restart(&store).await;
    close(store).await;
}

async fn a_name_belongs_to_its_first_account(store: &impl Store) {
    for user in ["erik", "sam"] {
        assert_eq!(store.account(name(user)).await.unwrap(), None);
        store.create_account(account(user, user)).await.unwrap();
        store.create_account(account(user, user)).await.unwrap();
        assert_eq!(store.create_account(account(user, "other")).await, Err(StoreError::NameTaken));
        assert_eq!(store.account(name(user)).await.unwrap(), Some(account(user, user)));
    }
}

async fn messages_are_numbered_without_gaps_and_kept_once(store: &impl Store) {
    for number in 1..=5 {
        let kept = append(store, public("sam", number, "hello")).await.unwrap();
        assert_eq!((kept.message.seq, kept.fresh), (u64::from(number), true));
    }
    let again = append(store, public("sam", 3, "hello")).await.unwrap();
    assert_eq!((again.message.seq, again.fresh), (3, false));
    let other = append(store, public("sam", 3, "something else")).await;
    assert_eq!(other.unwrap_err(), StoreError::IdInUse);
    // Ids are the sender's own: another user may use the same.
    assert_eq!(append(store, public("erik", 3, "hi")).await.unwrap().message.seq, 6);
    // The clock went back; the conversation's time does not.
    let mut early = public("sam", 7, "early");
    early.now = Timestamp::from_millis(0);
    assert!(append(store, early).await.unwrap().message.time >= Timestamp::from_millis(1_005));

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

async fn both_sides_find_a_direct_conversation(store: &impl Store) {
    let kept = append(store, sealed("sam", "erik")).await.unwrap().message;
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

async fn revocations_are_kept_once(store: &impl Store) {
    assert_eq!(store.newest_revocation().await.unwrap(), 0);
    let revocation = Revocation {
        number: 1,
        name: name("sam"),
        device: "0123456789abcdef".parse().unwrap(),
        time: Timestamp::from_millis(9),
    };
    store.add_revocation(revocation.clone()).await.unwrap();
    store.add_revocation(revocation).await.unwrap();
    assert_eq!(store.newest_revocation().await.unwrap(), 1);
    assert_eq!(store.revoked_devices(name("sam")).await.unwrap().len(), 1);
    assert_eq!(store.revoked_devices(name("erik")).await.unwrap().len(), 0);
}

async fn what_was_confirmed_is_there_after_a_restart(store: &impl Store) {
    let page = store.history(lobby(), HistoryRange::Newest, 100).await.unwrap();
    assert_eq!(page.messages.len(), 7);
    assert_eq!(append(store, public("sam", 8, "after")).await.unwrap().message.seq, 8);
    assert!(!append(store, public("sam", 3, "hello")).await.unwrap().fresh);
    assert_eq!(store.newest_revocation().await.unwrap(), 1);
}
