//! Peers that vanish silently, without an end of the connection or a reset. The tests take minutes, so `make soak`
//! runs them, and they need root for a network whose cable can be pulled.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;
use parlour_tests::{Client, Line, Process, Relay, World, line};

/// The time within which a vanished peer must be noticed.
const MOST: Duration = Duration::from_secs(45);

/// Two networks joined only by a cable: the server is in one, and the vanishing peers are in the other.
struct Networks {
    here: Process,
    there: u32,
}

const SERVER: &str = "10.77.0.1";

impl Networks {
    fn new() -> Result<Self> {
        ensure!(geteuid().is_root(), "only root can make a network");
        let script = format!(
            "set -e; ip link set lo up; unshare -n sleep 900 & there=$!
             while [ \"$(readlink /proc/$there/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do :; done
             ip link add near type veth peer name far netns $there
             ip addr add {SERVER}/24 dev near; ip link set near up
             nsenter -t $there -n ip addr add 10.77.0.2/24 dev far
             nsenter -t $there -n ip link set far up
             echo there $there; wait"
        );
        let mut command = Command::new("unshare");
        command.args(["-n", "--kill-child", "-f", "sh", "-c", &script]);
        let mut here = Process::start("network", &mut command, Stdio::null())?;
        let line = here.out.expect("there {}").with_context(|| here.errors())?;
        let there = line.strip_prefix("there ").context("a number")?.parse()?;
        Ok(Self { here, there })
    }

    /// The process whose network the server is in.
    fn near(&self) -> Result<u32> {
        // The first child of `unshare` is in it.
        let children = format!("/proc/{0}/task/{0}/children", self.here.pid());
        Ok(std::fs::read_to_string(children)?.split_whitespace().next().context("a child")?.parse()?)
    }

    /// Pulls the cable out, or puts it back.
    fn cable(&self, state: &str) -> Result<()> {
        let there = self.there.to_string();
        let set =
            Command::new("nsenter").args(["-t", &there, "-n", "ip", "link", "set", "far", state]).status()?;
        ensure!(set.success(), "the cable cannot be set {state}");
        Ok(())
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        // Its parent may be gone before it.
        if let Ok(there) = i32::try_from(self.there) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(there), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Runs an action in the network of a process.
fn within<T: Send>(process: u32, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(File::open(format!("/proc/{process}/ns/net"))?, CloneFlags::CLONE_NEWNET)?;
            act()
        });
        thread.join().map_err(|_| anyhow!("the thread panicked"))?
    })
}

/// Logs a person in over that network.
fn log_in(world: &World, network: u32, server: SocketAddr, name: &str) -> Result<Line> {
    let profile = world.profile(name);
    let (certificate, key) = (profile.join("device.crt"), profile.join("device.key"));
    let config = line::config(&world.root(), Some((&certificate, &key)))?;
    let mut line = within(network, || Line::open(server, config))?;
    let signature = line.signature(&profile, &name.parse()?)?;
    line.ask(&format!("/login {name} {signature}"), "Authentication Succeeded")?;
    Ok(line)
}

/// The time until each of these is no longer online.
fn until_gone(observer: &mut Line, names: &[&str]) -> Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut gone = vec![None; names.len()];
    while gone.iter().any(Option::is_none) {
        ensure!(begun.elapsed() < Duration::from_mins(2), "still online: {gone:?} of {names:?}");
        observer.say("/users")?;
        let mut online = observer.lines.next_line()?;
        while online.contains(':') {
            // This line was a message.
            online = observer.lines.next_line()?;
        }
        for (name, gone) in names.iter().zip(&mut gone) {
            if gone.is_none() && !online.split(' ').any(|user| user == *name) {
                *gone = Some(begun.elapsed());
            }
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
    Ok(gone.into_iter().flatten().collect())
}

fn report(what: &str, took: Duration, most: Duration) -> Result<()> {
    println!("half-open: {what}: gone after {:.1} s", took.as_secs_f64());
    ensure!(took <= most, "{what}: {took:?}");
    Ok(())
}

#[test]
#[ignore = "takes minutes and root"]
fn soak_half_open_peers_are_gone_within_45_seconds_on_a_network_that_is_cut() -> Result<()> {
    let networks = Networks::new()?;
    let (near, far) = (networks.near()?, networks.there);
    let mut world = World::with().people().prepare()?;
    world.start_ttp()?;
    std::fs::write(world.path("server.toml"), "allow-unsafe = [\"public-without-limits\"]")?;
    let command = world.server_command(&format!("{SERVER}:0"))?;
    let mut inside = Command::new("nsenter");
    inside.args(["-t", &near.to_string(), "-n"]).arg(command.get_program()).args(command.get_args());
    inside.args(["--config", "server.toml"]).current_dir(world.folder());
    let mut server = Process::start("server", &mut inside, Stdio::null())?;
    let said = server.out.expect("listening on {}").with_context(|| server.errors())?;
    let address: SocketAddr = said.strip_prefix("listening on ").context("an address")?.parse()?;

    let mut erik = log_in(&world, near, address, "erik")?;
    // They send and receive nothing, in plain and in json.
    let _sam = log_in(&world, far, address, "sam")?;
    let mut anna = log_in(&world, far, address, "anna")?;
    anna.ask("/dialect json", r#"{"dialect":"json"}"#)?;
    networks.cable("down")?;
    let gone = until_gone(&mut erik, &["sam", "anna"])?;
    report("a plain session, idle (TCP keepalive)", gone[0], MOST)?;
    report("a json session (pings)", gone[1], MOST)?;

    // This one is sent something that does not arrive.
    networks.cable("up")?;
    let _sam = log_in(&world, far, address, "sam")?;
    networks.cable("down")?;
    erik.say("does anybody hear me?")?;
    let gone = until_gone(&mut erik, &["sam"])?;
    report("a plain session, told something (TCP_USER_TIMEOUT)", gone[0], MOST)
}

#[test]
#[ignore = "takes a minute"]
fn soak_half_open_peers_are_gone_within_45_seconds_behind_a_relay_that_says_nothing() -> Result<()> {
    let world = World::peopled()?;
    let relay = Relay::to(world.address()?)?;
    let mut erik = world.logged_in_line("erik")?;
    let mut command = world.client_command_to("sam", &relay.address().to_string())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    relay.freeze();
    let begun = Instant::now();
    let gone = until_gone(&mut erik, &["sam"])?;
    report("a client, as its server sees it", gone[0], MOST)?;
    // The other direction, measured to within a second: the client waits for 45 seconds of silence.
    while begun.elapsed() < MOST + Duration::from_secs(5) {
        if sam.process.out.so_far().iter().any(|line| line.contains(r#""is":"offline""#)) {
            return report("a server, as its client sees it", begun.elapsed(), MOST + Duration::from_secs(1));
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    Err(anyhow!("the client believes in its server still"))
}
