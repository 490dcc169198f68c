//! Asking before something is destroyed.

use std::io::Write;

use crate::exit::CliError;
use crate::terminal::Terminal;

/// The longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 100;

/// Says what will happen and asks, unless `yes` was said or nobody is there: scripts don't get
/// stuck on a question.
pub(crate) fn confirm(
    what_happens: &str,
    yes: bool,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    if yes || !terminal.interactive {
        return Ok(());
    }
    let io = |source| CliError::Io {
        action: "ask".into(),
        source,
    };
    write!(terminal.err, "{what_happens}\nGo on? [y/N] ").map_err(io)?;
    terminal.err.flush().map_err(io)?;
    let mut answer = String::new();
    let mut line = std::io::Read::take(&mut terminal.input, ANSWER_MAX);
    std::io::BufRead::read_line(&mut line, &mut answer).map_err(io)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::NotConfirmed),
    }
}
