//! Structured logs to standard error; journald and containers take them from there.

use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// The log filter can't be used.
#[derive(Debug, Error)]
#[error("--log {filter}: {reason} (try error, warn, info, debug, trace, or CRATE=LEVEL)")]
pub struct LogError {
    filter: String,
    reason: String,
}

/// Starts logging by `filter`. A second call in one process changes nothing.
///
/// # Errors
/// The filter isn't valid.
pub fn start(filter: &str) -> Result<(), LogError> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| LogError {
        filter: filter.into(),
        reason: error.to_string(),
    })?;
    // Fails only when a subscriber is there already, as in tests that start several daemons.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        // What can't be logged is lost, on a full disk for example. To complain about that is to write to standard
        // error as well, and panics, on a reactor or in the middle of a change.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
    Ok(())
}
