//! `revoke`, and the watchers who are told at once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use parlour_keylog::SignedRevocation;
use parlour_protocol::ttp::{Revocation, TtpAnswer, TtpRefusal};
use parlour_tests::in_time;

use crate::people::Person;
use crate::world::{DEADLINE, Serving, World};

struct Watcher(BufReader<UnixStream>);

impl Watcher {
    fn begin(serving: &Serving<'_>, after: u64) -> Self {
        let mut stream = serving.connect();
        writeln!(stream, r#"{{"op":"watch","after":{after}}}"#).unwrap();
        let mut watcher = Self(BufReader::new(stream));
        assert_eq!(watcher.line(), Some("{\"watching\":{}}\n".to_owned()));
        watcher
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        Some(line).filter(|line| !line.is_empty())
    }

    fn next(&mut self) -> Revocation {
        match serde_json::from_str(&self.line().unwrap()).unwrap() {
            TtpAnswer::Revoked(revocation) => revocation,
            other => panic!("{other:?}"),
        }
    }
}

fn with_people(count: usize) -> (World, Vec<Person>) {
    let world = World::new();
    let people: Vec<Person> = (0..count).map(Person::numbered).collect();
    let serving = world.serve();
    for (number, person) in people.iter().enumerate() {
        serving.enrol(&person.enrolment(&format!("name{number}"))).unwrap();
    }
    drop(serving);
    (world, people)
}

#[test]
fn a_revocation_by_another_process_is_heard_within_a_second() {
    let (world, people) = with_people(1);
    let serving = world.serve();
    let (mut first, mut second) = (Watcher::begin(&serving, 0), Watcher::begin(&serving, 0));
    let run = world.succeed(&["revoke", "name0", people[0].device_id().as_str()]);
    let begun = Instant::now();
    assert_eq!(run.out, format!("revoked name0 {}\n", people[0].device_id()));
    let revocation = first.next();
    in_time("hearing of it", begun.elapsed(), Duration::from_secs(1)).unwrap();
    assert_eq!((revocation.number, revocation.name.as_str()), (1, "name0"));
    assert_eq!(revocation.device, people[0].device_id());
    assert_eq!(second.next(), revocation);
    // Its statement proves the same to anybody who has the root.
    let statement = revocation.statement.as_deref().unwrap();
    let now = revocation.time.as_seconds();
    let signed = SignedRevocation::verify(statement, &world.root(), now).unwrap();
    assert_eq!((signed.number, signed.name, signed.device), (1, revocation.name, revocation.device));
    assert_eq!(signed.time, revocation.time);
}

#[test]
fn a_watcher_gets_what_it_missed_and_nothing_twice() {
    let (world, _) = with_people(3);
    world.succeed(&["revoke", "name0"]);
    world.succeed(&["revoke", "name1"]);
    let serving = world.serve();
    let mut all = Watcher::begin(&serving, 0);
    assert_eq!([all.next().number, all.next().number], [1, 2]);
    let mut later = Watcher::begin(&serving, 1);
    assert_eq!(later.next().number, 2);
    let mut ahead = Watcher::begin(&serving, 2);
    world.succeed(&["revoke", "name2"]);
    for watcher in [&mut all, &mut later, &mut ahead] {
        assert_eq!((watcher.next().number), 3);
    }
    serving.signal(nix::sys::signal::Signal::SIGTERM);
    for watcher in [&mut all, &mut later, &mut ahead] {
        assert_eq!(watcher.line(), None);
    }
}

#[test]
fn a_revoked_device_is_not_renewed() {
    let (world, people) = with_people(1);
    let serving = world.serve();
    let before = people[0].renewal("name0");
    serving.renew(&before).unwrap();
    world.succeed(&["revoke", "name0"]);
    assert_eq!(serving.renew(&people[0].renewal("name0")), Err(TtpRefusal::Revoked));
    // Nothing was stored for this one, which got the certificate of the enrolment.
    assert_eq!(serving.renew(&before), Err(TtpRefusal::Revoked));
}

#[test]
fn unknown_names_and_devices_cannot_be_revoked() {
    let (world, people) = with_people(2);
    let device = people[0].device_id();
    let run = world.fail(&["revoke", "nobody"]);
    assert!(run.err.starts_with("error: there is no user 'nobody'\n"), "{run:?}");
    let run = world.fail(&["revoke", "name1", device.as_str()]);
    assert!(run.err.starts_with(&format!("error: user 'name1' has no device {device}\n")), "{run:?}");
    world.succeed(&["revoke", "name0"]);
    let run = world.succeed(&["revoke", "name0"]);
    assert!(run.out.starts_with(&format!("already revoked name0 {device} at 20")), "{run:?}");
    let shown = world.succeed(&["show"]).out;
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains(" device ")).collect();
    assert!(!rows[0].ends_with('-') && rows[1].ends_with('-'), "{shown}");
}

#[test]
fn watchers_cannot_take_every_place() {
    let (world, people) = with_people(1);
    let serving = world.serve();
    let watchers: Vec<Watcher> = (0..16).map(|_| Watcher::begin(&serving, 0)).collect();
    assert_eq!(serving.ask(r#"{"op":"watch","after":0}"#), "{\"error\":\"internal\"}\n");
    serving.renew(&people[0].renewal("name0")).unwrap();
    drop(watchers);
    // Their places are free again, as soon as their end was seen.
    let begun = Instant::now();
    loop {
        let mut stream = serving.connect();
        writeln!(stream, r#"{{"op":"watch","after":0}}"#).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        if line == "{\"watching\":{}}\n" {
            break;
        }
        assert!(begun.elapsed() < DEADLINE);
    }
}
