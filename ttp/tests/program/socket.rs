//! The socket: who may use it, and what it does with those who misuse it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use parlour_protocol::limits::AUTHORITY_LINE_BYTES;
use parlour_tests::in_time;

use crate::people::Person;
use crate::world::{DEADLINE, World};

const FORMAT: &str = "{\"error\":\"format\"}\n";

fn rest(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_process() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::new();
        let serving = world.serve();
        assert_eq!(world.mode("keys/ttp/ttp.sock"), 0o600);
        assert_eq!(world.mode("keys/ttp/ttp.lock"), 0o600);
        assert_eq!(serving.signal(signal), Some(0));
        assert!(!world.socket().exists());
        drop(world.serve());
    }
}

#[test]
fn a_group_can_be_let_in() {
    let world = World::new();
    let group = nix::unistd::getgid().to_string();
    let serving = world.serve_with(&["--socket-group", &group]);
    assert_eq!(world.mode("keys/ttp/ttp.sock"), 0o660);
    assert_eq!(fs::metadata(world.socket()).unwrap().gid().to_string(), group);
    serving.kill();
    let run = world.fail(&["serve", "--socket-group", "no-such-group"]);
    assert!(run.err.contains("there is no group 'no-such-group'"), "{run:?}");
}

#[test]
fn a_second_ttp_is_refused_and_leaves_the_first_alone() {
    let world = World::new();
    let serving = world.serve();
    let run = world.fail(&["serve"]);
    assert!(run.err.starts_with("error: keys/ttp/ttp.sock is already being served\nhint: "), "{run:?}");
    assert_eq!(serving.ask("{}"), FORMAT);
    // Not even when its lock was deleted.
    fs::remove_file(world.path("keys/ttp/ttp.lock")).unwrap();
    world.fail(&["serve"]);
    assert_eq!(serving.ask("{}"), FORMAT);
}

#[test]
fn the_socket_of_a_killed_process_is_replaced() {
    let world = World::new();
    world.serve().kill();
    assert!(world.socket().exists());
    assert_eq!(world.serve().ask("{}"), FORMAT);
}

#[test]
fn something_else_under_the_sockets_name_is_left_alone() {
    let world = World::new();
    fs::write(world.socket(), "mine").unwrap();
    let run = world.fail(&["serve"]);
    assert!(run.err.contains("is there and is not a socket"), "{run:?}");
    assert_eq!(world.text("keys/ttp/ttp.sock"), "mine");
}

#[test]
fn lines_that_are_no_requests_are_answered_and_closed() {
    let world = World::new();
    let serving = world.serve();
    for line in ["", "nonsense", "{}", "[]", "null", r#"{"op":"dance"}"#, r#"{"op":"enrol"}"#, "\u{1b}[2J"] {
        assert_eq!(serving.ask(line), FORMAT, "{line}");
    }
    for bytes in [&b"\xff\xfe\n"[..], b"{\"op\":\"enrol\",\"request\":\"\xff\"}\n", b"\0\0\0\n"] {
        let mut stream = serving.connect();
        stream.write_all(bytes).unwrap();
        assert_eq!(rest(&mut stream), FORMAT);
    }
    let mut stream = serving.connect();
    stream.write_all(b"{\"op\":").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), FORMAT);
    let mut stream = serving.connect();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), "");
}

#[test]
fn one_line_is_answered_and_the_next_is_not() {
    let world = World::new();
    let serving = world.serve();
    assert_eq!(serving.ask("{}\n{}\n{}"), FORMAT);
    let request = crate::world::enrol_line(&Person::new().enrolment("sam"));
    let answer = serving.ask(&format!("{request}\n{request}"));
    assert_eq!(answer.lines().count(), 1);
}

#[test]
fn a_line_that_is_too_long_is_refused_before_it_ends() {
    let world = World::new();
    let serving = world.serve();
    let mut stream = serving.connect();
    stream.write_all(&vec![b'x'; AUTHORITY_LINE_BYTES + 1]).unwrap();
    let mut answer = vec![0; FORMAT.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, FORMAT.as_bytes());
    // For a while the rest is read and ignored; then the connection is closed.
    let (begun, more) = (Instant::now(), vec![b'x'; 65_536]);
    while begun.elapsed() < DEADLINE {
        if stream.write_all(&more).is_err() {
            return;
        }
    }
    panic!("an endless line is read without end");
}

#[test]
fn a_slow_client_is_closed_and_others_are_served_meanwhile() {
    let world = World::new();
    let serving = world.serve();
    let begun = Instant::now();
    let mut slow = serving.connect();
    slow.write_all(b"{\"op\"").unwrap();
    let mut silent = serving.connect();
    assert_eq!(serving.ask("{}"), FORMAT);
    in_time("asking beside them", begun.elapsed(), Duration::from_secs(2)).unwrap();
    // Sending a byte now and then does not extend the time.
    let mut dripping = slow.try_clone().unwrap();
    std::thread::spawn(move || {
        while dripping.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let mut scrap = [0; 1];
    assert!(matches!(slow.read(&mut scrap), Ok(0) | Err(_)));
    assert_eq!(rest(&mut silent), "");
    let taken = begun.elapsed();
    assert!(taken > Duration::from_secs(4), "{taken:?}");
    in_time("closing them", taken, Duration::from_secs(9)).unwrap();
}

#[test]
fn a_flood_of_silent_connections_only_delays_others() {
    let world = World::new();
    let serving = world.serve();
    let begun = Instant::now();
    let _silent: Vec<UnixStream> = (0..64).map(|_| serving.connect()).collect();
    assert_eq!(serving.ask("{}"), FORMAT);
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn it_stops_soon_despite_open_connections() {
    let world = World::new();
    let serving = world.serve();
    let mut watching = serving.connect();
    watching.write_all(b"{\"op\":\"watch\",\"after\":0}\n").unwrap();
    let _silent = serving.connect();
    let mut answered = serving.connect();
    answered.write_all(b"{}\n").unwrap();
    let mut line = vec![0; FORMAT.len()];
    answered.read_exact(&mut line).unwrap();
    let begun = Instant::now();
    assert_eq!(serving.signal(Signal::SIGTERM), Some(0));
    in_time("stopping", begun.elapsed(), Duration::from_secs(2)).unwrap();
}

#[test]
fn no_key_is_in_the_log() {
    let world = World::new();
    let mut command = world.command(&["serve", "--log-level", "trace"]);
    let log = fs::File::create(world.path("log")).unwrap();
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(log).spawn().unwrap();
    let mut ready = [0; 10];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let line = crate::world::enrol_line(&Person::new().enrolment("sam"));
    assert!(crate::world::ask(&world.socket(), &line).unwrap().contains("issued"));
    child.kill().unwrap();
    child.wait().unwrap();
    let log = world.text("log");
    assert!(log.contains("enrolled"), "{log}");
    let key = world.text("keys/ttp/ca.key");
    assert!(!log.contains("PRIVATE") && key.lines().filter(|l| l.len() > 40).all(|line| !log.contains(line)));
}
