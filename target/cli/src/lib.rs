//! The command line over the admin client: nouns and verbs, tables for people, JSON for scripts.
//!
//! One definition ([`args`]) gives parsing, help, man pages and shell completion. [`run()`] is the
//! whole program with its surroundings as an argument, so that tests can be its terminal.
#![forbid(unsafe_code)]

pub mod args;
mod check;
mod confirm;
mod exit;
mod generate;
mod parameters;
mod render;
mod run;
mod secret_file;
mod show;
mod size;
mod socket;
mod terminal;
mod time_span;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub use exit::{CliError, Exit};
pub use run::run;
pub use size::{SizeError, format_size, parse_size};
pub use terminal::Terminal;
pub use time_span::{TimeSpanError, format_time_span, parse_time_span};

/// The program: parses the process's arguments, does what they say, reports errors on standard
/// error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match args::Cli::try_parse_from(std::env::args_os().collect::<Vec<OsString>>()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; clap knows which stream each belongs to.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    let json = cli.json;
    let mut terminal = Terminal::of_this_process();
    match run(cli, &mut terminal) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            error.report(json, &mut terminal);
            error.exit().into()
        }
    }
}
