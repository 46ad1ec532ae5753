//! Enrolment and renewal over the socket: one name, one account, one answer.

use std::sync::Barrier;

use parlour_keylog::{AccountCertificate, DeviceCertificate, Leaf, LeafKind, certificate_hash};
use parlour_protocol::ttp::TtpRefusal;
use parlour_tests::slowdown;
use parlour_ttp::ledger::Ledger;

use crate::people::{Person, with_other_signature};
use crate::world::{World, ask, enrol_line, read_issued, renew_line};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn an_applicant_gets_both_certificates_of_the_profiles() {
    let world = World::new();
    let sam = Person::new();
    let issued = world.serve().enrol(&sam.enrolment("sam")).unwrap();
    assert_eq!(issued.name.as_str(), "sam");
    let device = DeviceCertificate::from_der(&issued.device_certificate.0).unwrap();
    assert_eq!((device.user().as_str(), device.device()), ("sam", &sam.device_id()));
    assert_eq!(device.spki_der(), sam.device.public_spki());
    assert_eq!(device.not_after() - device.not_before(), 7 * DAY + 300);
    assert_eq!(device.verify(&world.root(), device.not_before()), Ok(()));
    let account = AccountCertificate::from_der(&issued.account_certificate.unwrap().0).unwrap();
    assert_eq!(account.spki_der(), sam.account.public().to_spki_der());
    assert_eq!(account.not_after(), world.root().not_after());
    assert_eq!(account.verify(&world.root(), account.not_before()), Ok(()));
    assert!(device.serial().len() > 24 && device.serial() != account.serial());
}

#[test]
fn the_same_request_gets_the_same_bytes_also_after_a_kill() {
    let world = World::new();
    let sam = Person::new();
    let line = enrol_line(&sam.enrolment("sam"));
    let serving = world.serve();
    let first = serving.ask(&line);
    assert!(first.starts_with(r#"{"issued":{"name":"sam""#), "{first}");
    assert_eq!(serving.ask(&line), first);
    serving.kill();
    let offset = (4 * DAY).to_string();
    let serving = world.serve_with(&["--clock-offset", &offset]);
    let renewal = renew_line(&sam.renewal("sam"));
    let renewed = serving.ask(&renewal);
    serving.kill();
    let serving = world.serve_with(&["--clock-offset", &offset]);
    assert_eq!((serving.ask(&line), serving.ask(&renewal)), (first, renewed));
    assert_eq!(Ledger::open(&world.path("keys/ttp/ttp.db")).unwrap().leaves().unwrap().len(), 2);
}

#[test]
fn a_name_belongs_to_one_account_for_ever() {
    let world = World::new();
    let (sam, mallory) = (Person::new(), Person::numbered(1));
    let serving = world.serve();
    serving.enrol(&sam.enrolment("sam")).unwrap();
    assert_eq!(serving.enrol(&mallory.enrolment("sam")), Err(TtpRefusal::NameTaken));
    // Not by its own keys in another request either.
    assert_eq!(serving.enrol(&sam.enrolment("sam")), Err(TtpRefusal::NameTaken));
    world.succeed(&["revoke", "sam"]);
    serving.kill();
    let serving = world.serve_with(&["--clock-offset", "1000000000"]);
    // By then the root has expired too, so nothing new is issued; the name was looked at before.
    assert_eq!(serving.enrol(&mallory.enrolment("sam")), Err(TtpRefusal::NameTaken));
    assert_eq!(serving.enrol(&mallory.enrolment("mallory")), Err(TtpRefusal::Internal));
}

#[test]
fn a_key_belongs_to_one_name() {
    let world = World::new();
    let (sam, other_device) = (Person::new(), Person::new());
    let other_account = Person { account: Person::numbered(1).account, ..Person::new() };
    let serving = world.serve();
    serving.enrol(&sam.enrolment("sam")).unwrap();
    assert_eq!(serving.enrol(&other_device.enrolment("erik")), Err(TtpRefusal::BadRequest));
    let with_device = Person { device: sam.device, ..other_account };
    assert_eq!(serving.enrol(&with_device.enrolment("erik")), Err(TtpRefusal::BadRequest));
    // A refusal burns nothing.
    serving.enrol(&Person::numbered(1).enrolment("erik")).unwrap();
}

#[test]
fn of_a_hundred_at_once_exactly_one_gets_the_name() {
    let world = World::new();
    let serving = world.serve();
    let lines: Vec<String> = (0..100).map(|_| enrol_line(&Person::new().enrolment("sam"))).collect();
    let (socket, barrier) = (world.socket(), Barrier::new(lines.len()));
    let answers: Vec<String> = std::thread::scope(|scope| {
        let racers: Vec<_> = lines
            .iter()
            .map(|line| {
                scope.spawn(|| {
                    barrier.wait();
                    ask(&socket, line).unwrap()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let winners = answers.iter().filter(|answer| read_issued(answer).is_ok()).count();
    let losers = answers.iter().filter(|answer| read_issued(answer) == Err(TtpRefusal::NameTaken));
    assert_eq!((winners, losers.count()), (1, 99));
    drop(serving);
    let ledger = Ledger::open(&world.path("keys/ttp/ttp.db")).unwrap();
    assert_eq!((ledger.leaves().unwrap().len(), ledger.certificates().unwrap().len()), (1, 4));
}

#[test]
fn kills_in_the_middle_of_a_storm_lose_no_answer_and_give_no_name_twice() {
    let world = World::new();
    let people: Vec<Person> = (0..6).map(Person::numbered).collect();
    // Two for each name, so that a name could be lost to a second one.
    let mut requests = Vec::new();
    for (number, person) in people.iter().enumerate() {
        let name = format!("name{}", number / 2);
        requests.push((name.clone(), enrol_line(&person.enrolment(&name))));
    }
    let mut answered: Vec<Option<String>> = vec![None; requests.len()];
    // On a slow machine they come to the same point later.
    let slowdown = slowdown().unwrap();
    for round in 0..6 {
        let serving = world.serve();
        let socket = world.socket();
        let answers: Vec<Option<String>> = std::thread::scope(|scope| {
            let asking: Vec<_> =
                requests.iter().map(|(_, line)| scope.spawn(|| ask(&socket, line).ok())).collect();
            std::thread::sleep(std::time::Duration::from_millis(4 * round).mul_f64(slowdown));
            serving.kill();
            asking.into_iter().map(|asking| asking.join().unwrap()).collect()
        });
        for (before, now) in answered.iter_mut().zip(answers) {
            // A line without its end is no answer.
            let Some(now) = now.filter(|now| now.ends_with('\n')) else { continue };
            if let Some(before) = before {
                assert_eq!(*before, now);
            }
            *before = Some(now);
        }
    }
    let serving = world.serve();
    for (pair, names) in answered.chunks(2).zip(requests.chunks(2)) {
        let last: Vec<String> = names.iter().map(|(_, line)| serving.ask(line)).collect();
        assert_eq!(last.iter().filter(|answer| read_issued(answer).is_ok()).count(), 1, "{}", names[0].0);
        for (before, last) in pair.iter().zip(&last) {
            assert!(before.as_ref().is_none_or(|before| before == last));
        }
    }
}

#[test]
fn a_renewal_gives_a_fresh_certificate_for_the_same_key() {
    let world = World::new();
    let sam = Person::new();
    let serving = world.serve();
    let first = serving.enrol(&sam.enrolment("sam")).unwrap();
    serving.kill();
    // Also long after the first one has expired: the key still proves itself.
    let serving = world.serve_with(&["--clock-offset", &(100 * DAY).to_string()]);
    let renewed = serving.renew(&sam.renewal("sam")).unwrap();
    assert_eq!(renewed.account_certificate, None);
    let before = DeviceCertificate::from_der(&first.device_certificate.0).unwrap();
    let after = DeviceCertificate::from_der(&renewed.device_certificate.0).unwrap();
    assert_eq!((before.spki_der(), before.device()), (after.spki_der(), after.device()));
    assert!(after.not_before() - before.not_before() >= 100 * DAY);
    assert_ne!(before.serial(), after.serial());
}

#[test]
fn a_renewal_by_anybody_else_is_refused() {
    let world = World::new();
    let (sam, mallory) = (Person::new(), Person::numbered(1));
    let serving = world.serve();
    serving.enrol(&sam.enrolment("sam")).unwrap();
    serving.enrol(&mallory.enrolment("mallory")).unwrap();
    for request in [
        mallory.renewal("sam"),
        mallory.renewal_of("sam", sam.device_id().as_str()),
        sam.renewal("mallory"),
        sam.renewal("nobody"),
        sam.renewal_of("sam", "0123456789abcdef"),
    ] {
        assert_eq!(serving.renew(&request), Err(TtpRefusal::UnknownDevice));
    }
    for request in
        [sam.renewal_of("Sam", "0123456789abcdef"), sam.renewal_of("sam", "x"), sam.enrolment("sam")]
    {
        assert_eq!(serving.renew(&request), Err(TtpRefusal::BadRequest));
    }
    assert_eq!(serving.enrol(&sam.renewal("sam")), Err(TtpRefusal::BadRequest));
}

#[test]
fn a_renewal_is_not_used_again_with_its_signature_rewritten() {
    let world = World::new();
    let sam = Person::new();
    let serving = world.serve();
    serving.enrol(&sam.enrolment("sam")).unwrap();
    serving.kill();
    let serving = world.serve_with(&["--clock-offset", &(4 * DAY).to_string()]);
    let request = sam.renewal("sam");
    serving.renew(&request).unwrap();
    let again = with_other_signature(&request);
    parlour_envelope::VerifiedRenewal::read(&again, &parlour_envelope::AwsLc).unwrap();
    assert_eq!(serving.renew(&again), Err(TtpRefusal::BadRequest));
}

#[test]
fn every_act_is_a_leaf_and_every_certificate_is_kept() {
    let world = World::new();
    let sam = Person::new();
    let serving = world.serve();
    let request = sam.enrolment("sam");
    let issued = serving.enrol(&request).unwrap();
    serving.kill();
    let serving = world.serve_with(&["--clock-offset", &(4 * DAY).to_string()]);
    let renewed = serving.renew(&sam.renewal("sam")).unwrap();
    world.succeed(&["revoke", "sam", sam.device_id().as_str()]);
    let ledger = Ledger::open(&world.path("keys/ttp/ttp.db")).unwrap();
    let leaves: Vec<Leaf> = ledger.leaves().unwrap().iter().map(|leaf| Leaf::decode(leaf).unwrap()).collect();
    let account = issued.account_certificate.unwrap().0;
    assert_eq!(
        leaves[0].certificates,
        [certificate_hash(&issued.device_certificate.0), certificate_hash(&account)]
    );
    assert!(matches!(&leaves[0].kind, LeafKind::Enrolment { request: kept, seal_key, .. }
        if *kept == request && *seal_key == sam.seal.public_spki()));
    assert_eq!(leaves[1].certificates, [certificate_hash(&renewed.device_certificate.0)]);
    assert!(matches!(leaves[2].kind, LeafKind::Revocation { .. }));
    let kept: Vec<Vec<u8>> = ledger.certificates().unwrap().into_iter().map(|kept| kept.der).collect();
    let root = world.root();
    let [_, log, ..] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(
        kept,
        [root.der(), log, &issued.device_certificate.0, &account, &renewed.device_certificate.0]
    );
}
