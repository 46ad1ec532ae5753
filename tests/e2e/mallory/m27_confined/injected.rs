//! System calls that no safe Rust makes, put into a program from outside when it has confined itself. The client
//! does with each face what it always does, up to its end.

mod traced;

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, ensure};
use nix::libc;
use nix::unistd::geteuid;
use parlour_tests::{World, wait_until};

use super::Fate::{self, Done, Killed, Refused};
use super::{Face, authority, sam, server, world};
use traced::{Call, Input, ONE, ROOM, SOCKET, TERMINAL, Traced, ZEROS};

// Constants that `libc` does not have.
const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;
const FIOSETOWN: u64 = 0x8901;
const SIOCSPGRP: u64 = 0x8902;
const TIOCSTI: u64 = 0x5412;

/// A process of the same user that belongs to no program under test.
struct Victim(Child);

impl Victim {
    fn start() -> Result<Self> {
        Ok(Self(Command::new("sleep").arg("600").spawn()?))
    }

    fn number(&self) -> u64 {
        u64::from(self.0.id())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn control(descriptor: u64, command: i32, argument: u64) -> Call {
    Call(libc::SYS_fcntl, [descriptor, number(command), argument, 0, 0])
}

fn tcp_option(option: i32) -> Call {
    Call(libc::SYS_setsockopt, [SOCKET, number(libc::IPPROTO_TCP), number(option), ONE, 4])
}

/// Tries each call in a confined program, which must refuse it in its way, and without the sandbox, where it must
/// be done.
fn refuses(program: impl Fn() -> Result<Command>, input: Input, way: Fate, calls: &[Call]) -> Result<()> {
    for call in calls {
        let Call(number, arguments) = call;
        let what = || format!("{number} {arguments:x?}");
        let found = Traced::start(&program()?, input)?.make(call).with_context(what)?;
        ensure!(found == way, "{}: {found:?} instead of {way:?}", what());
        let free = Traced::start(program()?.arg("--no-sandbox"), input)?.make(call).with_context(what)?;
        ensure!(free == Done, "{} without the sandbox: {free:?}", what());
    }
    Ok(())
}

/// The same for a server program, which is killed.
fn servers_refuse(calls: &[Call]) -> Result<()> {
    let (world, _listening) = world()?;
    let nothing = |mut command: Command| {
        command.arg("nothing");
        command
    };
    refuses(|| server(&world).map(nothing), Input::Pipe, Killed, calls)?;
    refuses(|| authority(&world).map(nothing), Input::Pipe, Killed, calls)
}

/// Sam's client, which logs in with this face and leaves, and what it reads.
fn visit(world: &World, face: Face) -> Result<(Command, Input)> {
    let mut command = sam(world, &world.address()?.to_string(), face)?;
    command.args(["--user", "sam"]).env("TERM", "xterm");
    let input = match face {
        Face::Terminal => Input::Keys(b"/quit\r"),
        Face::Plain | Face::Json => Input::Ended,
        Face::OneShot => {
            command.arg("users");
            Input::Ended
        }
    };
    Ok((command, input))
}

/// The same for the client with every face, which gets an error.
fn clients_refuse(calls: &[Call]) -> Result<()> {
    let world = World::peopled()?;
    for face in Face::ALL {
        let (_, input) = visit(&world, face)?;
        let program = || visit(&world, face).map(|(command, _)| command);
        refuses(program, input, Refused, calls).with_context(|| format!("{face:?}"))?;
    }
    Ok(())
}

#[test]
fn a_program_that_was_taken_over_signals_no_other_process() -> Result<()> {
    let victim = Victim::start()?;
    let calls = [
        control(SOCKET, libc::F_SETOWN, victim.number()),
        control(SOCKET, F_SETOWN_EX, ZEROS),
        control(SOCKET, F_SETSIG, number(libc::SIGKILL)),
        control(SOCKET, libc::F_SETFL, number(libc::O_ASYNC)),
        Call(libc::SYS_ioctl, [SOCKET, FIOSETOWN, ZEROS, 0, 0]),
        Call(libc::SYS_ioctl, [SOCKET, SIOCSPGRP, ZEROS, 0, 0]),
    ];
    servers_refuse(&calls)?;
    clients_refuse(&calls)
}

/// Why the calls above matter.
#[test]
fn without_the_sandbox_input_can_kill_another_process() -> Result<()> {
    let (world, _listening) = world()?;
    let mut victim = Victim::start()?;
    let mut free = Traced::start(server(&world)?.args(["nothing", "--no-sandbox"]), Input::Pipe)?;
    for call in [
        control(0, libc::F_SETOWN, victim.number()),
        control(0, F_SETSIG, number(libc::SIGKILL)),
        control(0, libc::F_SETFL, number(libc::O_ASYNC)),
    ] {
        ensure!(free.make(&call)? == Done);
    }
    free.input.as_mut().context("an input")?.write_all(b"x")?;
    let mut ended = None;
    wait_until("the other process to end", || {
        ended = victim.0.try_wait()?;
        Ok(ended.is_some())
    })?;
    ensure!(ended.and_then(|status| status.signal()) == Some(libc::SIGKILL), "{ended:?}");
    Ok(())
}

#[test]
fn a_program_that_was_taken_over_connects_by_no_option_of_a_socket() -> Result<()> {
    let options = [tcp_option(libc::TCP_FASTOPEN_CONNECT), tcp_option(libc::TCP_FASTOPEN)];
    servers_refuse(&options)?;
    // It sends no messages: what counts are the flags.
    let flags = number(libc::MSG_FASTOPEN);
    let several = Call(libc::SYS_sendmmsg, [SOCKET, ZEROS, 0, flags, 0]);
    let [first, second] = options;
    clients_refuse(&[first, second, several])
}

#[test]
fn a_client_that_was_taken_over_makes_no_socket_but_for_its_server() -> Result<()> {
    let socket = |family, kind, protocol| {
        Call(libc::SYS_socket, [number(family), number(kind), number(protocol), 0, 0])
    };
    // One of a pair of datagrams can be connected to any other socket.
    let pair = [number(libc::AF_UNIX), number(libc::SOCK_DGRAM), 0, ROOM, 0];
    let calls = [
        socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
        socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
        socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0),
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
        socket(libc::AF_INET6, libc::SOCK_DGRAM, 0),
        Call(libc::SYS_socketpair, pair),
        Call(libc::SYS_listen, [SOCKET, 1, 0, 0, 0]),
    ];
    clients_refuse(&calls)
}

#[test]
fn a_client_that_was_taken_over_types_nothing_into_its_terminal() -> Result<()> {
    let call = Call(libc::SYS_ioctl, [TERMINAL, TIOCSTI, ZEROS, 0, 0]);
    if geteuid().is_root() {
        return clients_refuse(&[call]);
    }
    println!("half skipped: newer kernels let only root do this without the sandbox");
    let world = World::peopled()?;
    for face in Face::ALL {
        let (program, input) = visit(&world, face)?;
        ensure!(Traced::start(&program, input)?.make(&call)? == Refused, "{face:?}");
    }
    Ok(())
}
