//! The command line, the environment and the configuration file.

use std::fs;

use crate::world::{Run, World};

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let world = World::empty();
    fs::write(world.path("ttp.toml"), "keys = 'from-file'\n").unwrap();
    let init = |arguments: &[&str], environment: Option<&str>| {
        let mut command = world.command(&[&["init"], arguments].concat());
        command.envs(environment.map(|keys| ("PARLOUR_KEYS", keys)));
        assert_eq!(Run::of(&command.output().unwrap()).status, 0);
    };
    let file = ["--config", "ttp.toml"];
    init(&[&file[..], &["--keys", "from-line"]].concat(), Some("from-environment"));
    assert!(world.path("from-line/ttp").is_dir() && !world.path("from-environment").exists());
    init(&file, Some("from-environment"));
    assert!(world.path("from-environment/ttp").is_dir() && !world.path("from-file").exists());
    init(&file, None);
    assert!(world.path("from-file/ttp").is_dir() && !world.keys().exists());
    init(&[], None);
    assert!(world.path("keys/ttp").is_dir());
}

#[test]
fn hosts_come_from_the_environment_and_the_file_too() {
    let world = World::new();
    let mut command = world.command(&["server-cert"]);
    let run = Run::of(&command.env("PARLOUR_HOST", "localhost,127.0.0.1").output().unwrap());
    assert_eq!(run.status, 0, "{run:?}");
    assert!(world.succeed(&["show"]).out.contains("localhost,127.0.0.1"));
    fs::write(world.path("ttp.toml"), "host = ['a.example', 'b.example']\n").unwrap();
    world.succeed(&["server-cert", "--config", "ttp.toml"]);
    assert!(world.succeed(&["show"]).out.contains("a.example,b.example"));
}

#[test]
fn unknown_things_are_errors_on_one_line() {
    let world = World::empty();
    fs::write(world.path("ttp.toml"), "\ncolour = 'red'\n").unwrap();
    let run = world.fail(&["init", "--config", "ttp.toml"]);
    assert!(run.err.contains("ttp.toml: line 2: unknown field `colour`"), "{run:?}");
    assert!(!world.keys().exists());
    for arguments in [
        &["dance"][..],
        &["init", "--colour"],
        &["init", "--log", "loud"],
        &["init", "--log-level", "a=b=c"],
        &["init", "--log-level", "bogus"],
        &["init", "--config", "missing.toml"],
        &["revoke"],
        &["revoke", "Sam"],
        &["manual", "nonsense"],
        &[],
    ] {
        world.fail(arguments);
    }
    let run = world.fail(&["revoke", "sam", "nodev"]);
    assert!(run.err.contains("a device's id is 16 hex digits"), "{run:?}");
    assert!(!world.keys().exists());
}

#[test]
fn help_version_completions_and_manual_are_printed() {
    let world = World::empty();
    let help = world.succeed(&["--help"]).out;
    for word in ["init", "server-cert", "serve", "revoke", "show", "--keys", "PARLOUR_KEYS"] {
        assert!(help.contains(word), "{word}");
    }
    for hidden in ["completions", "clock-offset"] {
        assert!(!help.contains(hidden) && !world.succeed(&["serve", "--help"]).out.contains(hidden));
    }
    assert!(world.succeed(&["--version"]).out.starts_with("parlour-ttp "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.succeed(&["completions", shell]).out.contains("server-cert"));
    }
    assert!(world.succeed(&["manual"]).out.contains(".TH parlour-ttp 1"));
    assert!(world.succeed(&["manual", "serve"]).out.contains("socket\\-group"));
}

#[test]
fn the_log_can_be_json_and_a_moved_clock_is_logged() {
    let world = World::new();
    let run = world.succeed(&["server-cert", "--host", "localhost", "--log", "json", "--clock-offset", "-5"]);
    let lines: Vec<serde_json::Value> =
        run.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "WARN" && line["fields"]["seconds"] == -5), "{lines:?}");
    let run = world.succeed(&["server-cert", "--host", "localhost", "--log-level", "error"]);
    assert_eq!(run.err, "");
}
