//! The choice between a sandbox that is on, off or required: command-line options and configuration.

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// The choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The program confines itself as far as the kernel can, and says at the start what is missing.
    #[default]
    On,
    /// The program does not start if the kernel cannot confine it completely.
    Required,
    /// The program does not confine itself.
    Off,
}

/// The options that every program has for this.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct SandboxArguments {
    /// Confine this program: on, off, or required, which refuses to run unconfined [default: on]
    #[arg(
        long,
        global = true,
        env = "PARLOUR_SANDBOX",
        value_name = "MODE",
        value_enum,
        hide_possible_values = true
    )]
    pub sandbox: Option<Mode>,
    /// The same as --sandbox off, with precedence over it; warns at every start
    // Not from the environment, where PARLOUR_SANDBOX says it: the command line takes precedence over that.
    #[arg(long, global = true)]
    pub no_sandbox: bool,
}

impl SandboxArguments {
    /// The choice from the command line or the environment, else from the `file`, else the default.
    pub fn mode(self, file: Option<Mode>) -> Mode {
        if self.no_sandbox { Mode::Off } else { self.sandbox.or(file).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sandbox: SandboxArguments,
    }

    #[test]
    fn no_sandbox_takes_precedence_over_a_mode() {
        let mode = |line: &[&str]| Line::try_parse_from(line).unwrap().sandbox.mode(Some(Mode::On));
        assert_eq!(mode(&["x", "--sandbox", "required"]), Mode::Required);
        assert_eq!(mode(&["x", "--sandbox", "required", "--no-sandbox"]), Mode::Off);
        assert!(Line::try_parse_from(["x", "--sandbox", "perhaps"]).is_err());
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_the_default_is_on() {
        let typed = |sandbox, no_sandbox| SandboxArguments { sandbox, no_sandbox };
        assert_eq!(typed(None, false).mode(None), Mode::On);
        assert_eq!(typed(None, false).mode(Some(Mode::Required)), Mode::Required);
        assert_eq!(typed(Some(Mode::On), false).mode(Some(Mode::Off)), Mode::On);
        assert_eq!(typed(None, true).mode(Some(Mode::Required)), Mode::Off);
    }
}
