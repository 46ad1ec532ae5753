//! A database whose file was changed or torn serves what was stored, or an error.

mod records;

use std::path::{Path, PathBuf};

use parlour_protocol::ttp::Revocation;
use parlour_protocol::{Body, HistoryRange, Limits, Message, RevokedDevice, Seq, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use super::conformance::{self, Waiting, name};
use super::sqlite::{OpenError, SqliteStore};
use super::{Account, Bounds, ConversationKey, ReadError, Store, outcome_queue};
use crate::audit::Kind;
use crate::metrics::Commits;

fn bounds() -> Bounds {
    Bounds::new(&Limits::default())
}

/// A folder in memory, if the system has one, because the file is written hundreds of times.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Three registered users, and one who is not.
const USERS: [&str; 4] = ["anna", "erik", "sam", "nobody"];

fn open(path: &Path) -> Result<SqliteStore<Waiting>, OpenError> {
    SqliteStore::open(path, bounds(), outcome_queue().0, Commits::default())
}

/// Fills a database with accounts, revocations and messages of both kinds.
async fn fill(path: &Path) {
    fill_and_stay(path, "message", 120).await.0.close().await;
}

/// Does the same with `count` messages in the lobby that begin with `word`; the store stays open.
async fn fill_and_stay(path: &Path, word: &str, count: u8) -> conformance::Opened<SqliteStore<Waiting>> {
    let (told, mut outcomes) = outcome_queue();
    let store = SqliteStore::open(path, bounds(), told, Commits::default()).unwrap();
    for user in &USERS[..3] {
        let account = Account {
            name: name(user),
            certificate: user.bytes().cycle().take(900).collect(),
            kid: format!("kid of {user}"),
            created: Timestamp::from_millis(1),
        };
        store.create_account(account, conformance::entry(Kind::Registration, 1)).await.unwrap();
    }
    for number in 1..=count {
        let text = format!("{word} {number} {}", "of some length ".repeat(usize::from(number % 7)));
        let message = conformance::public(USERS[usize::from(number % 3)], number, &text);
        conformance::append(&store, &mut outcomes, message).await.unwrap();
    }
    for (from, to) in [("sam", "erik"), ("erik", "anna")] {
        conformance::append(&store, &mut outcomes, conformance::sealed(from, to)).await.unwrap();
    }
    for number in 1..=3 {
        let device = format!("{number:016}").parse().unwrap();
        let time = Timestamp::from_millis(9);
        let revocation = Revocation { number, name: name("anna"), device, time, statement: None };
        store.add_revocation(revocation, conformance::entry(Kind::DeviceRevoked, 9)).await.unwrap();
    }
    (store, outcomes)
}

/// Everything that a database serves.
#[derive(PartialEq, Debug)]
struct Served {
    accounts: Vec<Result<Option<Account>, ReadError>>,
    revoked: Vec<Result<Vec<RevokedDevice>, ReadError>>,
    lists: Vec<Result<Vec<String>, ReadError>>,
    pages: Vec<Result<Vec<(Seq, String)>, ReadError>>,
}

/// The content of a message, which its `Debug` leaves out.
fn words(message: &Message) -> Vec<String> {
    match &message.body {
        Body::Text(text) => vec![text.as_str().to_owned()],
        Body::Sealed(sealed) => {
            vec![sealed.rest_json(), sealed.key1().json.to_owned(), sealed.key2().json.to_owned()]
        }
        Body::Unknown => vec![],
    }
}

async fn served(store: &SqliteStore<Waiting>) -> Served {
    let mut served = Served { accounts: vec![], revoked: vec![], lists: vec![], pages: vec![] };
    for user in USERS.map(name) {
        served.accounts.push(store.account(user.clone()).await);
        served.revoked.push(store.revoked_devices(user.clone()).await);
        let heads = store.conversations(user).await;
        served.lists.push(heads.map(|heads| heads.iter().map(|head| format!("{head:?}")).collect()));
    }
    for (one, other) in [("sam", "#lobby"), ("sam", "@erik"), ("erik", "@anna"), ("anna", "@sam")] {
        let key = ConversationKey::seen_by(&name(one), &other.parse().unwrap());
        let ranges = [
            HistoryRange::Newest,
            HistoryRange::Before(100),
            HistoryRange::Before(2),
            HistoryRange::After(0),
            HistoryRange::After(60),
        ];
        for range in ranges {
            let page = store.history(key.clone(), range, 50).await;
            let said = |message: &Message| (message.seq, format!("{message:?}{:?}", words(message)));
            served.pages.push(page.map(|page| page.messages.iter().map(said).collect()));
        }
    }
    served
}

/// The results that are neither an error nor the same as before.
fn wrong<T: PartialEq + std::fmt::Debug>(
    good: &[Result<T, ReadError>],
    now: &[Result<T, ReadError>],
) -> Vec<String> {
    let pairs = good.iter().zip(now);
    pairs
        .filter(|(good, now)| now.is_ok() && good != now)
        .map(|(good, now)| format!("{good:.300?} became {now:.300?}"))
        .collect()
}

impl Served {
    fn wrong_in(&self, now: &Self) -> Vec<String> {
        let mut all = wrong(&self.accounts, &now.accounts);
        all.extend(wrong(&self.revoked, &now.revoked));
        all.extend(wrong(&self.lists, &now.lists));
        all.extend(wrong(&self.pages, &now.pages));
        all
    }
}

#[tokio::test]
async fn a_bit_that_flips_anywhere_in_the_file_is_served_as_an_error_or_changes_nothing() {
    const FLIPS: u64 = 250;
    let folder = in_memory();
    let path = folder.path().join("chat.db");
    fill(&path).await;
    let good_bytes = std::fs::read(&path).unwrap();
    let store = open(&path).unwrap();
    let good = served(&store).await;
    assert_eq!(good.wrong_in(&good), [""; 0]);
    store.close().await;
    let (mut refused, mut noticed, mut bad) = (0, 0, 0);
    for seed in 0..FLIPS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = good_bytes.clone();
        let place = random.random_range(0..bytes.len());
        bytes[place] ^= 1 << random.random_range(0..8);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = open(&path) else {
            refused += 1;
            continue;
        };
        let now = served(&store).await;
        store.close().await;
        let wrong: String = good.wrong_in(&now).concat();
        if !wrong.is_empty() {
            eprintln!("seed {seed}, byte {place}: {}", wrong.chars().take(1_000).collect::<String>());
            bad += 1;
        }
        noticed += u64::from(now != good);
    }
    assert_eq!(bad, 0, "of {FLIPS} flips");
    println!(
        "of {FLIPS} flipped bits {refused} kept the server from starting, {noticed} were refused when read"
    );
    assert!(noticed > FLIPS / 4, "{noticed}");
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The texts that the lobby serves.
async fn lobby(store: &SqliteStore<Waiting>) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let range = HistoryRange::After(texts.len() as u64);
        let page = store.history(conformance::lobby(), range, 50).await.unwrap();
        if page.messages.is_empty() {
            return texts;
        }
        texts.extend(page.messages.iter().flat_map(words));
    }
}

/// Copies a database in the state that a crash would leave, while its store goes on.
fn crash(from: &Path, to: &Path) {
    for ending in ["", "-wal", "-shm"] {
        std::fs::copy(beside(from, ending), beside(to, ending)).unwrap();
    }
}

#[tokio::test]
async fn a_store_that_was_closed_leaves_no_log() {
    let folder = in_memory();
    let path = folder.path().join("chat.db");
    fill(&path).await;
    for round in 0..100 {
        let store = open(&path).unwrap();
        store.audit(vec![conformance::entry(Kind::Reload, 1)]).await.unwrap();
        store.close().await;
        assert!(!beside(&path, "-wal").exists(), "in round {round}");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_anywhere_gives_the_messages_up_to_there() {
    let folder = in_memory();
    let (live, path) = (folder.path().join("live.db"), folder.path().join("chat.db"));
    let (store, mut outcomes) = fill_and_stay(&live, "message", 30).await;
    let all = lobby(&store).await;
    crash(&live, &path);
    let log = std::fs::read(beside(&path, "-wal")).unwrap();
    for number in 31..=60 {
        let message = conformance::public("sam", number, &format!("later {number}"));
        conformance::append(&store, &mut outcomes, message).await.unwrap();
    }
    store.close().await;
    let header = 32;
    let frame = 24 + 4_096;
    let mut cuts: Vec<usize> = (0..60).map(|page| header + page * frame).collect();
    let mut random = StdRng::seed_from_u64(1);
    cuts.extend((0..40).map(|_| random.random_range(0..260 * frame)));
    cuts.push(log.len());
    cuts.sort_unstable();
    let (database, index) = (std::fs::read(&path).unwrap(), std::fs::read(beside(&path, "-shm")).unwrap());
    let mut longest = 0;
    for (round, cut) in cuts.into_iter().enumerate() {
        std::fs::write(&path, &database).unwrap();
        std::fs::write(beside(&path, "-wal"), &log[..cut.min(log.len())]).unwrap();
        // With the index of the whole log, and without any index.
        if round % 2 == 0 {
            std::fs::write(beside(&path, "-shm"), &index).unwrap();
        }
        let store = open(&path).unwrap();
        let texts = lobby(&store).await;
        store.close().await;
        assert!(texts.len() >= longest && texts == all[..texts.len()], "cut at {cut}: {texts:?}");
        longest = texts.len();
    }
    assert_eq!(longest, 30, "with the whole log everything is there");
}

#[tokio::test]
async fn a_log_of_another_database_is_not_copied_and_nothing_is_changed() {
    let folder = in_memory();
    let [path, other] = ["chat.db", "other.db"].map(|name| folder.path().join(name));
    fill(&path).await;
    let (store, _) = fill_and_stay(&other, "elsewhere", 60).await;
    store.close().await;
    let (told, mut outcomes) = outcome_queue();
    let store = SqliteStore::open(&other, bounds(), told, Commits::default()).unwrap();
    for number in 61..=70 {
        conformance::append(&store, &mut outcomes, conformance::public("sam", number, "there"))
            .await
            .unwrap();
    }
    std::fs::copy(beside(&other, "-wal"), beside(&path, "-wal")).unwrap();
    store.close().await;
    let good = std::fs::read(&path).unwrap();
    for _ in 0..2 {
        let refused = open(&path).err().unwrap();
        assert!(matches!(&refused, OpenError::Misfit { .. }), "{refused}");
    }
    assert!(std::fs::read(&path).unwrap() == good, "the database was changed");
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(lobby(&store).await.len(), 120);
    store.close().await;
}

#[tokio::test]
async fn a_log_without_its_database_is_left_for_it() {
    let folder = in_memory();
    let [live, path] = ["live.db", "chat.db"].map(|name| folder.path().join(name));
    let (store, _) = fill_and_stay(&live, "message", 30).await;
    std::fs::copy(beside(&live, "-wal"), beside(&path, "-wal")).unwrap();
    std::fs::copy(&live, folder.path().join("found.db")).unwrap();
    store.close().await;
    for _ in 0..2 {
        assert!(matches!(open(&path).err().unwrap(), OpenError::Missing(_)));
    }
    assert!(!path.exists());
    std::fs::copy(folder.path().join("found.db"), &path).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(lobby(&store).await.len(), 30);
    store.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_unchanged() {
    let folder = in_memory();
    let path = folder.path().join("chat.db");
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(open(&path).err().unwrap(), OpenError::Empty(_)));
    for content in [b"no database ".repeat(1_000), vec![0; 4_096]] {
        std::fs::write(&path, &content).unwrap();
        let refused = open(&path).err().unwrap();
        assert!(matches!(&refused, OpenError::Failed { .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(open(&path).err().unwrap(), OpenError::Failed { .. }));
    assert!(path.is_dir());
}
