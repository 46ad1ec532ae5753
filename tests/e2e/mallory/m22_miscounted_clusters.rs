//! 22, with characters alone: clusters that terminals count differently draw over other people's text.
//!
//! Bites: without the bound, 400 joined emoji went to the terminal as one cluster; without whole rows, tmux
//! showed `he lo il` where `hello` had come after Devanagari.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use parlour_tests::{Client, Terminal, World, wait_until};
use serde_json::json;

/// Clusters that tmux, screen, libvterm and xterm do not all count as we do.
fn clusters() -> [String; 6] {
    [
        format!("emoji {} end", vec!["👩"; 400].join("\u{200d}")),
        "flags 🇩🇪🇫🇷🇩🇪 end".to_owned(),
        "indic नमस्ते क्षि हिन्दी end".to_owned(),
        "decomposed e\u{301}e\u{301}e\u{301} o\u{308} end".to_owned(),
        "heart \u{2764}\u{fe0f} keycap 1\u{fe0f}\u{20e3} thumb 👍🏽 end".to_owned(),
        format!("syllables {} end", "क्".repeat(60)),
    ]
}

fn say(sam: &mut Client, texts: &[String]) -> Result<()> {
    for text in texts {
        let answer = sam.call(&json!({"id": 1, "do": "say", "to": "#lobby", "text": text}))?;
        ensure!(answer["message"]["text"] == **text, "{answer}");
    }
    Ok(())
}

fn speaking(world: &World) -> Result<Client> {
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

#[test]
fn a_cluster_is_bounded_and_its_row_is_erased_behind_it() -> Result<()> {
    let world = World::peopled()?;
    let mut terminal = Terminal::like(&world, "anna", &world.address()?.to_string(), (9, 60), &[])?;
    terminal.wait_for("lobby", b"")?;
    let mut sam = speaking(&world)?;
    for text in clusters() {
        say(&mut sam, &[text])?;
    }
    say(&mut sam, &["QQQQ".to_owned()])?;
    terminal.wait_for("QQQQ", b"")?;
    let bytes = terminal.bytes();
    ensure!(bytes.contains("\u{1b}[?7l"), "lines wrap");
    let parts: Vec<&str> = bytes.split('\u{1b}').collect();
    let mut seen = 0;
    for (at, part) in parts.iter().enumerate() {
        let joiners = part.matches('\u{200d}').count();
        ensure!(joiners <= 9, "{joiners} joiners in one cluster");
        ensure!(part.matches('\u{94d}').count() <= 20, "a long syllable: {part:?}");
        if joiners > 0 {
            seen += 1;
            // Until the rest of the row is erased, only colours and positions are sent.
            let after = parts.iter().skip(at + 1).take_while(|part| !part.starts_with("[K"));
            let text: Vec<_> = after.filter(|part| !part.ends_with(['m', 'H'])).collect();
            ensure!(text.is_empty(), "{text:?} after {part:?}");
        }
    }
    ensure!(seen > 0, "no emoji were drawn");
    Ok(())
}

/// A client in tmux, which is ended when this is dropped.
struct Tmux<'a> {
    world: &'a World,
}

impl Tmux<'_> {
    fn command(&self) -> Command {
        let mut tmux = Command::new("tmux");
        // Its socket is in the world's folder.
        tmux.current_dir(self.world.folder()).env_remove("TMUX").env("TMUX_TMPDIR", self.world.folder());
        tmux.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").args(["-f", "/dev/null"]);
        tmux
    }

    fn screen(&self) -> Result<Vec<String>> {
        let shown = self.command().args(["capture-pane", "-p"]).output()?;
        Ok(String::from_utf8(shown.stdout)?.lines().map(str::to_owned).collect())
    }

    /// Waits until a row ends with this text.
    fn wait_for(&self, end: &str) -> Result<Vec<String>> {
        let mut rows = Vec::new();
        let shown = wait_until(&format!("{end} on the screen"), || {
            rows = self.screen()?;
            Ok(rows.iter().any(|row| row.ends_with(end)))
        });
        shown.with_context(|| format!("{rows:#?}"))?;
        Ok(rows)
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        // It may not have started.
        let _ = self.command().arg("kill-server").output();
    }
}

#[test]
fn nothing_of_such_clusters_stays_on_tmux() -> Result<()> {
    if Command::new("tmux").arg("-V").output().is_err() {
        ensure!(std::env::var_os("CI").is_none(), "there is no tmux");
        return Ok(());
    }
    let world = World::peopled()?;
    let client = world.client_command_to("anna", &world.address()?.to_string())?;
    let tmux = Tmux { world: &world };
    let started = tmux
        .command()
        .args(["new-session", "-d", "-x", "60", "-y", "9"])
        .arg(client.get_program())
        .args(client.get_args())
        .args(["--user", "anna"])
        .output()?;
    ensure!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    tmux.wait_for("#lobby>")?;
    let mut sam = speaking(&world)?;
    for (number, text) in clusters().into_iter().enumerate() {
        // Each row of the screen is overwritten again and again.
        let after: Vec<_> = (0..8).map(|row| format!("hello {number}{row}")).collect();
        say(&mut sam, &[text])?;
        tmux.wait_for(" end")?;
        for text in after {
            say(&mut sam, std::slice::from_ref(&text))?;
            let rows = tmux.wait_for(&format!("sam: {text}"))?;
            for row in rows.iter().filter_map(|row| row.split_once("sam: hello")) {
                // Two digits and no leftovers.
                ensure!(row.1.len() == 3, "{rows:#?}");
            }
        }
        let rows = tmux.screen()?;
        ensure!(
            rows.iter().filter(|row| row.contains("sam:")).all(|row| row.len() < 60 && row.contains("hello")),
            "{rows:#?}"
        );
    }
    Ok(())
}

#[test]
fn a_terminal_that_has_only_ascii_gets_only_that() -> Result<()> {
    let world = World::peopled()?;
    let address = world.address()?.to_string();
    let mut terminal = Terminal::like(&world, "anna", &address, (9, 60), &[("LC_ALL", "C")])?;
    terminal.wait_for("lobby", b"")?;
    let mut command = world.client_command_to("erik", &address)?;
    let mut plain = Client::start("erik", command.args(["--plain", "--user", "erik"]).env("LC_ALL", "C"))?;
    plain.expect("Authentication Succeeded")?;
    let mut sam = speaking(&world)?;
    say(&mut sam, &["caf\u{e9} 日本\n👋 QQQQ".to_owned()])?;
    plain.expect("{} sam: caf\\u{e9} \\u{65e5}\\u{672c} / \\u{1f44b} QQQQ")?;
    terminal.wait_for("QQQQ", b"")?;
    ensure!(terminal.bytes().is_ascii(), "{:?}", terminal.bytes());
    ensure!(terminal.bytes().contains("caf? ?"), "{:?}", terminal.bytes());
    Ok(())
}

#[test]
fn a_terminal_that_cannot_show_a_screen_gets_plain_lines() -> Result<()> {
    let world = World::peopled()?;
    let address = world.address()?.to_string();
    let mut terminal = Terminal::like(&world, "anna", &address, (9, 60), &[("TERM", "dumb")])?;
    terminal.wait_for("TERM=dumb", b"")?;
    terminal.wait_for("Authentication Succeeded", b"")?;
    let mut sam = speaking(&world)?;
    say(&mut sam, &["QQQQ".to_owned()])?;
    terminal.wait_for("sam: QQQQ", b"")?;
    ensure!(!terminal.bytes().contains('\u{1b}'), "{:?}", terminal.bytes());
    Ok(())
}
