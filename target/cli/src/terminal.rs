//! The program's surroundings: where it prints, whom it asks, what time it is.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the program prints, and whom it asks.
pub struct Terminal {
    /// Results.
    pub out: Box<dyn Write>,
    /// Warnings, questions and errors.
    pub err: Box<dyn Write>,
    /// Answers.
    pub input: Box<dyn BufRead>,
    /// Somebody is there to answer.
    pub interactive: bool,
    /// Results are read by a person.
    pub out_is_terminal: bool,
    /// Somebody is there to see how far something is.
    pub progress: bool,
    /// Milliseconds since 1970-01-01 UTC.
    pub now_unix_ms: u64,
}

impl Terminal {
    /// The standard streams. Questions are asked if both input and error are terminals.
    #[must_use]
    pub fn of_this_process() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            input: Box::new(io::BufReader::new(io::stdin())),
            out_is_terminal: io::stdout().is_terminal(),
            progress: io::stderr().is_terminal(),
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            now_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Prints a warning. Not being able to isn't worth an error.
    pub(crate) fn warn(&mut self, text: &str) {
        let _ = writeln!(self.err, "warning: {text}");
    }
}
