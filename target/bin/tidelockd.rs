//! The daemon's program: reads the command line and calls the library.

use std::process::ExitCode;

use clap::Parser as _;
use tidelock_daemon::args::Args;

fn main() -> ExitCode {
    match tidelock_daemon::run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidelockd: {error}");
            ExitCode::FAILURE
        }
    }
}
