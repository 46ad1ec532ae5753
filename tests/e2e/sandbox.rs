//! The sandbox: in force from the start, reported in the log, off only with a warning; and changing from root to
//! another user.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown, geteuid};
use parlour_tests::{Finished, Process, Terminal, World, run_to_end, wait_until};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// A field of `/proc/PID/status`.
fn status(process: &Process, field: &str) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(line.with_context(|| format!("no {field} in {status}"))?.trim().to_owned())
}

#[test]
fn server_ttp_client_and_its_broker_are_confined_from_their_start() -> Result<()> {
    let mut world = World::peopled()?;
    let sam = world.logged_in("sam")?;
    let server = world.server()?.pid();
    for process in [server, world.ttp()?.pid(), sam.process.pid(), sam.pid()?] {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        for field in ["NoNewPrivs:\t1", "Seccomp:\t2", "CoreDumping:\t0"] {
            ensure!(status.contains(field), "{field} is not in {status}");
        }
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits"))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).context("a limit")?;
        ensure!(core.split_whitespace().filter(|word| *word == "0").count() == 2, "{core}");
    }
    for log in [world.server_log(), world.ttp()?.errors()] {
        ensure!(log.contains("seccomp, no new privileges, no core dumps"), "{log}");
        ensure!(log.matches("confined").count() == 1, "{log}");
    }
    // A confined server reloads its keys, and a confined client does not mention any of this.
    world.mint_server_certificate()?;
    world.server()?.signal(Signal::SIGHUP)?;
    world.server()?.wait_for_error("keys and certificates were read again")?;
    ensure!(!sam.process.errors().contains("warning"), "{}", sam.process.errors());
    Ok(())
}

#[test]
fn without_the_sandbox_everything_works_and_every_start_warns() -> Result<()> {
    let mut world = World::with().people().prepare()?;
    let mut command = world.server_command("127.0.0.1:0")?;
    command.arg("--no-sandbox").env("PARLOUR_SANDBOX", "required");
    let mut server = Process::start("server", &mut command, Stdio::null())?;
    server.out.expect("listening on {}")?;
    server.wait_for_error("the sandbox is off")?;
    ensure!(status(&server, "Seccomp")? == "0" && status(&server, "NoNewPrivs")? == "0");
    drop(server);

    let mut command = world.command("parlour-ttp")?;
    command.args(["serve", "--keys", "keys"]).env("PARLOUR_SANDBOX", "off");
    let mut ttp = Process::start("ttp", &mut command, Stdio::null())?;
    ttp.out.expect("serving on {}")?;
    ttp.wait_for_error("the sandbox is off")?;

    world.start_server()?;
    std::fs::write(world.path("client.toml"), "sandbox = \"off\"")?;
    let mut command = world.client_command("sam")?;
    command.args(["--user", "sam", "--config", "client.toml", "users"]);
    let finished = run_to_end("client", &mut command, "")?;
    ensure!(finished.code == 0 && finished.errors.contains("warning: the sandbox is off"), "{finished:#?}");
    Ok(())
}

#[test]
fn a_confined_client_stops_with_its_job_and_comes_back() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = Terminal::start(&world, "sam", &world.address()?.to_string())?;
    sam.wait_for("#lobby", b"")?;
    sam.press(b"\x1a")?;
    wait_until("the client to stop", || sam.is_stopped())?;
    sam.go_on()?;
    // The client has taken the terminal for the second time.
    wait_until("the client to come back", || Ok(sam.bytes().matches("\x1b[?1049h").count() >= 2))?;
    sam.press(b"/help\r")?;
    sam.wait_for("/register", b"")
}

#[test]
fn a_client_whose_broker_alone_is_stopped_works_and_takes_the_terminal_again_when_its_job_goes_on()
-> Result<()> {
    let world = World::peopled()?;
    let mut sam = Terminal::start(&world, "sam", &world.address()?.to_string())?;
    sam.wait_for("#lobby", b"")?;
    let (_, broker) = sam.processes()?;
    Terminal::signal(broker, Signal::SIGSTOP)?;
    wait_until("the broker to stop", || sam.is_stopped())?;
    sam.press(b"said meanwhile\r")?;
    sam.wait_for("said meanwhile", b"")?;
    // As a shell, which sees the broker stop, makes it.
    sam.take_lines()?;
    sam.go_on()?;
    wait_until("the client to take the terminal", || Ok(!sam.takes_lines()?))?;
    wait_until("its whole screen", || {
        Ok(sam.bytes().rsplit("\x1b[?1049h").next().is_some_and(|last| last.contains("#lobby")))
    })?;
    ensure!(sam.bytes().matches("\x1b[?1049h").count() == 2);
    Ok(())
}

#[test]
fn a_client_ends_as_it_should_where_the_program_that_starts_it_ignores_ended_children() -> Result<()> {
    let world = World::peopled()?;
    for (arguments, code) in [(["send", "@erik", "hi"], 0), (["send", "@nobody", "hi"], 1)] {
        let client = world.client_command("sam")?;
        let mut command = like("env", &client);
        command.arg("--ignore-signal=CHLD").arg(client.get_program()).args(client.get_args());
        command.args(["--user", "sam"]).args(arguments);
        let finished = run_to_end("client", &mut command, "")?;
        ensure!(finished.code == code, "{finished:#?}");
    }
    Ok(())
}

/// A command for another program, with the folder and environment of this one.
fn like(program: &str, other: &Command) -> Command {
    let mut command = Command::new(program);
    command.envs(other.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = other.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

#[test]
fn a_client_that_is_killed_leaves_the_terminal_as_it_was() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = Terminal::start(&world, "sam", &world.address()?.to_string())?;
    sam.wait_for("#lobby", b"")?;
    ensure!(!sam.takes_lines()?, "the terminal face is not on it");
    let (client, _) = sam.processes()?;
    let status = std::fs::read_to_string(format!("/proc/{client}/status"))?;
    ensure!(status.contains("Seccomp:\t2"), "{status}");
    Terminal::signal(client, Signal::SIGKILL)?;
    let mut ended = None;
    wait_until("the broker to end", || {
        ended = sam.ended()?;
        Ok(ended.is_some())
    })?;
    ensure!(ended.and_then(|status| status.signal()) == Some(libc::SIGKILL), "{ended:?}");
    ensure!(sam.takes_lines()?, "it still takes keys one by one");
    wait_until("the shell's screen", || {
        let bytes = sam.bytes();
        Ok(["\x1b[?1049l", "\x1b[?2004l", "\x1b[?1004l", "\x1b[?25h"].iter().all(|end| bytes.contains(end)))
    })?;
    Ok(())
}

#[test]
fn a_client_whose_broker_is_killed_leaves_too_and_gives_the_terminal_back() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = Terminal::start(&world, "sam", &world.address()?.to_string())?;
    sam.wait_for("#lobby", b"")?;
    let (_, broker) = sam.processes()?;
    Terminal::signal(broker, Signal::SIGKILL)?;
    wait_until("the shell's screen", || Ok(sam.bytes().contains("\x1b[?1049l")))?;
    wait_until("whole lines", || sam.takes_lines())?;
    // Its keys are free again.
    wait_until("its end", || Ok(!world.profile("sam").join("parlour.sock").exists()))
}

#[test]
fn a_signal_for_the_broker_reaches_the_client_and_both_end_by_it() -> Result<()> {
    let world = World::peopled()?;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut sam = world.logged_in("sam")?;
        sam.process.signal(signal)?;
        let status = sam.process.wait()?;
        ensure!(status.signal() == Some(signal as i32), "{signal}: {status:?}");
        ensure!(!sam.process.errors().contains("error"), "{}", sam.process.errors());
    }
    Ok(())
}

/// Runs something as on a kernel that does not have these system calls.
fn without_calls<T: Send>(calls: &[i64], run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let calls: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let machine = std::env::consts::ARCH.try_into()?;
    let filter: BpfProgram = SeccompFilter::new(calls, SeccompAction::Allow, missing, machine)?.try_into()?;
    std::thread::scope(|scope| {
        // A filter applies to a thread and to those that it starts.
        let thread = scope.spawn(move || {
            apply_filter(&filter)?;
            run()
        });
        thread.join().map_err(|_| anyhow::anyhow!("the thread panicked"))?
    })
}

/// Commands that make the three programs confine themselves, try something and exit.
fn probes(world: &World, act: &[&str]) -> Result<Vec<(&'static str, Command)>> {
    let mut server = world.command("parlour-server")?;
    server.args(["probe", "--listen", "127.0.0.1:0", "--keys", "keys/server", "--data", "data"]);
    let mut ttp = world.command("parlour-ttp")?;
    ttp.args(["probe", "--keys", "keys"]);
    let mut client = world.command("parlour")?;
    client.args(["localhost:1", "--keys", "people/sam", "probe"]);
    let mut programs = vec![("server", server), ("ttp", ttp), ("client", client)];
    for (_, program) in &mut programs {
        program.args(act);
    }
    Ok(programs)
}

/// Commands that make the three programs confine themselves and exit.
fn programs(world: &World, arguments: &[&str]) -> Result<Vec<(&'static str, Command)>> {
    probes(world, &[&["nothing"], arguments].concat())
}

fn run_all(programs: Vec<(&str, Command)>) -> Result<Vec<Finished>> {
    programs.into_iter().map(|(name, mut command)| run_to_end(name, &mut command, "")).collect()
}

#[test]
fn on_a_kernel_without_the_sandbox_programs_warn_once_and_go_on_unless_it_is_required() -> Result<()> {
    let world = World::with().people().prepare()?;
    for finished in run_all(programs(&world, &["--sandbox", "required"])?)? {
        ensure!(finished.code == 0 && !finished.errors.contains("not confined"), "{finished:#?}");
    }
    for (call, said) in [
        (libc::SYS_landlock_create_ruleset, "files and ports are not confined: the kernel has no Landlock"),
        (libc::SYS_seccomp, "system calls are not confined: "),
    ] {
        let usual = programs(&world, &[])?;
        for finished in without_calls(&[call], || run_all(usual))? {
            ensure!(finished.code == 0, "{finished:#?}");
            ensure!(finished.errors.matches(said).count() == 1, "{finished:#?}");
        }
        let strict = programs(&world, &["--sandbox", "required"])?;
        for finished in without_calls(&[call], || run_all(strict))? {
            ensure!(finished.code == 2, "{finished:#?}");
            let error = finished.error()?;
            ensure!(error.starts_with("error: the sandbox is required and not complete: "), "{error}");
            ensure!(error.contains(said) && finished.hint().contains("--sandbox on"), "{finished:#?}");
        }
    }
    Ok(())
}

#[test]
fn landlock_alone_keeps_the_signals_of_server_and_ttp_from_others() -> Result<()> {
    let world = World::with().people().prepare()?;
    let acts = probes(&world, &["signal", &std::process::id().to_string()])?;
    // seccomp would refuse before Landlock is consulted.
    for finished in without_calls(&[libc::SYS_seccomp], || run_all(acts))? {
        let version = finished.errors.split("Landlock ").nth(1).and_then(|rest| rest.split(',').next());
        match version.map(str::parse::<u32>) {
            Some(Ok(6..)) => ensure!(finished.error()?.contains("the system refused"), "{finished:#?}"),
            Some(_) => println!("skipped: this kernel's Landlock knows no signals"),
            // The client does not say anything: it stops the whole foreground job.
            None => ensure!(finished.code == 0, "{finished:#?}"),
        }
    }
    Ok(())
}

/// An ordinary user that every Debian has. `None`, with a message, when this test does not run as root.
fn somebody() -> Result<Option<User>> {
    if !geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return Ok(None);
    }
    Ok(Some(User::from_name("nobody")?.context("there is no user 'nobody'")?))
}

/// Makes a user the owner of everything in a folder.
fn give(folder: &std::path::Path, user: &User) -> Result<()> {
    chown(folder, Some(user.uid), Some(user.gid))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give(&entry.path(), user)?;
        } else {
            chown(&entry.path(), Some(user.uid), Some(user.gid))?;
        }
    }
    Ok(())
}

#[test]
fn a_server_or_ttp_that_root_starts_runs_as_the_user_who_is_named() -> Result<()> {
    let Some(user) = somebody()? else { return Ok(()) };
    let mut world = World::with().prepare()?;
    give(world.folder(), &user)?;
    std::fs::write(world.path("server.toml"), "user = \"nobody\"")?;
    let mut command = world.server_command("127.0.0.1:0")?;
    let mut server = Process::start("server", command.args(["--config", "server.toml"]), Stdio::null())?;
    server.out.expect("listening on {}").with_context(|| server.errors())?;
    let mut command = world.command("parlour-ttp")?;
    command.args(["serve", "--keys", "keys", "--run-as", "nobody"]);
    let mut ttp = Process::start("ttp", &mut command, Stdio::null())?;
    ttp.out.expect("serving on {}").with_context(|| ttp.errors())?;
    let four = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
    for process in [&server, &ttp] {
        // Real, effective, saved and file-system ids: there is no way back.
        ensure!(status(process, "Uid")? == four(user.uid.as_raw()));
        ensure!(status(process, "Gid")? == four(user.gid.as_raw()));
        ensure!(!status(process, "Groups")?.split_whitespace().any(|group| group == "0"));
        for field in ["CapPrm", "CapEff"] {
            ensure!(status(process, field)?.chars().all(|digit| digit == '0'), "{field}");
        }
        ensure!(!process.errors().contains("running as root"), "{}", process.errors());
    }
    drop((server, ttp));

    // Without a named user there is a warning, and it runs as root.
    world.start_server()?;
    ensure!(world.server_log().contains("running as root; name a user"), "{}", world.server_log());
    Ok(())
}

#[test]
fn a_user_who_cannot_exist_is_refused_before_anything_is_made() -> Result<()> {
    let Some(user) = somebody()? else { return Ok(()) };
    let world = World::with().prepare()?;
    for (name, said, hinted) in [
        ("no-such-user", "there is no user 'no-such-user'", "useradd"),
        ("root", "'root' is root", "ordinary user"),
        // The program becomes nobody, who cannot read root's keys.
        ("nobody", "Permission denied", "run it as the user whose key this is"),
    ] {
        let mut command = world.server_command("127.0.0.1:0")?;
        let finished = run_to_end("server", command.args(["--run-as", name]), "")?;
        ensure!(finished.code == 2 && finished.error()?.contains(said), "{finished:#?}");
        ensure!(finished.hint().contains(hinted), "{finished:#?}");
        ensure!(!world.path("data").exists(), "a data directory was made");
    }
    // Only root can become another user.
    give(world.folder(), &user)?;
    let mut command = world.server_command("127.0.0.1:0")?;
    std::os::unix::process::CommandExt::uid(&mut command, user.uid.as_raw());
    let finished = run_to_end("server", command.args(["--run-as", "daemon"]), "")?;
    ensure!(finished.error()? == "error: only root can run as 'daemon'", "{finished:#?}");
    ensure!(Uid::current().is_root());
    Ok(())
}
