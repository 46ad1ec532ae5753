//! A terminal that keeps every byte that the terminal face sends to it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::Pid;

use crate::lines::DEADLINE;
use crate::process::client_of;
use crate::world::World;

/// The terminal face on a terminal of its own. It is killed when this is dropped.
pub struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    screen: String,
}

impl Terminal {
    /// Starts a person's client on it, on a server at this address.
    pub fn start(world: &World, person: &str, server: &str) -> Result<Self> {
        Self::like(world, person, server, (40, 120), &[])
    }

    /// The same with this many rows and columns, and with these environment variables.
    pub fn like(
        world: &World,
        person: &str,
        server: &str,
        size: (u16, u16),
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = world.client_command_to(person, server)?;
        command.args(["--user", person]).env("TERM", "xterm-256color").envs(environment.iter().copied());
        Self::of(command, size)
    }

    /// Starts this command on it, with so many rows and columns.
    pub fn of(mut command: Command, (ws_row, ws_col): (u16, u16)) -> Result<Self> {
        let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None)?;
        let end = || ends.slave.try_clone().map(Stdio::from);
        // A job of its own, as a shell makes it: it stops all of its job.
        command.process_group(0);
        let child = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
        let keys = File::from(ends.master);
        let mut reading = keys.try_clone()?;
        let (tell, shown) = channel();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 65_536];
            while let Ok(count @ 1..) = reading.read(&mut chunk) {
                if tell.send(chunk.get(..count).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, keys, shown, screen: String::new() })
    }

    /// Waits until this word was shown, pressing `keys` every hundredth of a second.
    pub fn wait_for(&mut self, word: &str, keys: &[u8]) -> Result<()> {
        let pause = Duration::from_millis(10);
        let begun = Instant::now();
        let mut press = begun;
        while !self.screen.contains(word) {
            ensure!(begun.elapsed() < DEADLINE, "{word} was not shown");
            if Instant::now() >= press {
                self.keys.write_all(keys)?;
                press += pause;
            }
            if let Ok(bytes) = self.shown.recv_timeout(pause) {
                self.screen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        Ok(())
    }

    /// All bytes sent to it so far.
    pub fn bytes(&mut self) -> &str {
        for bytes in self.shown.try_iter() {
            self.screen.push_str(&String::from_utf8_lossy(&bytes));
        }
        &self.screen
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &[u8]) -> Result<()> {
        Ok(self.keys.write_all(keys)?)
    }

    /// Returns true if its job is stopped.
    pub fn is_stopped(&self) -> Result<bool> {
        Ok(self.stat()?.starts_with(" T"))
    }

    /// Continues its job, as `fg` does.
    pub fn go_on(&self) -> Result<()> {
        Ok(killpg(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGCONT)?)
    }

    /// The client's process number, and that of its broker, which was started.
    pub fn processes(&self) -> Result<(u32, u32)> {
        Ok((client_of(self.child.id())?, self.child.id()))
    }

    /// Sends a signal to one of them.
    pub fn signal(process: u32, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(process)?), signal)?)
    }

    /// Its exit status, if it has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Returns true if the terminal hands over whole lines and echoes keys, as a shell wants it.
    pub fn takes_lines(&self) -> Result<bool> {
        Ok(tcgetattr(&self.keys)?.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO))
    }

    /// Has the terminal hand over whole lines and show what is typed, as a shell does when its job stops.
    pub fn take_lines(&self) -> Result<()> {
        let mut settings = tcgetattr(&self.keys)?;
        settings.local_flags |= LocalFlags::ICANON | LocalFlags::ECHO;
        Ok(tcsetattr(&self.keys, SetArg::TCSANOW, &settings)?)
    }

    /// The fields after the name in its broker's `/proc/PID/stat`.
    fn stat(&self) -> Result<String> {
        stat(self.child.id())
    }

    /// Seconds of CPU that the client has taken, by proc(5): user and system, in hundredths.
    pub fn cpu(&self) -> Result<f64> {
        let stat = stat(client_of(self.child.id())?)?;
        let ticks = stat.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }
}

fn stat(process: u32) -> Result<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("stat")?;
    Ok(rest.to_owned())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The client would still take its leave.
        if let Ok((client, _)) = self.processes() {
            let _ = Self::signal(client, Signal::SIGKILL);
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
