//! The command line's program: all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidelock_cli::main()
}
