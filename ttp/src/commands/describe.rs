//! `completions` and `manual`, for packagers.

use std::io::Write;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::CommandError;
use crate::cli::Cli;

pub(super) fn completions(shell: Shell, out: &mut impl Write) -> Result<(), CommandError> {
    // Into memory first: the generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "parlour-ttp", &mut script);
    Ok(out.write_all(&script)?)
}

pub(super) fn manual(name: Option<&str>, out: &mut impl Write) -> Result<(), CommandError> {
    let mut program = Cli::command();
    program.build();
    let page = match name {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| CommandError::UnknownCommand(name.to_owned()))?,
    };
    Ok(clap_mangen::Man::new(page).render(out)?)
}
