//! Completion scripts and man pages, from the one definition of the command line.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::CliError;

pub(crate) fn completion(shell: Shell, out: &mut dyn Write) -> Result<(), CliError> {
    // The generator panics when it can't write, so it doesn't get the real output.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidelock", &mut script);
    out.write_all(&script).map_err(|source| CliError::Io {
        action: "print the completion script".into(),
        source,
    })
}

pub(crate) fn man_page(out: &mut dyn Write) -> Result<(), CliError> {
    clap_mangen::Man::new(Cli::command())
        .render(out)
        .map_err(|source| CliError::Io {
            action: "print the man page".into(),
            source,
        })
}

pub(crate) fn man_pages(dir: &Path) -> Result<(), CliError> {
    clap_mangen::generate_to(Cli::command(), dir).map_err(|source| CliError::Io {
        action: format!("write man pages to {}", dir.display()),
        source,
    })
}
