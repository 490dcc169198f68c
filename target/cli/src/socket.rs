//! Which daemon is meant. Looks at paths, opens nothing.

use std::path::{Path, PathBuf};

use crate::exit::CliError;

/// The socket of the daemon that the system runs.
pub(crate) const SYSTEM: &str = "/run/tidelock/admin.sock";
/// The socket of `tidelockd --demo`, from the folder in which that was started.
pub(crate) const DEMO: &str = "tidelock-demo/admin.sock";

/// The socket that was named, or the system's, or the demo's.
pub(crate) fn choose(
    named: Option<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, CliError> {
    if let Some(socket) = named {
        return Ok(socket);
    }
    [SYSTEM, DEMO]
        .into_iter()
        .map(PathBuf::from)
        .find(|socket| exists(socket))
        .ok_or(CliError::NoSocket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_socket_wins_then_the_systems_then_the_demos() {
        let choose = |named: Option<&str>, there: &[&str]| {
            choose(named.map(PathBuf::from), |path| {
                there.iter().any(|t| Path::new(t) == path)
            })
        };
        assert_eq!(
            choose(Some("/x"), &[SYSTEM, DEMO]).unwrap(),
            Path::new("/x")
        );
        assert_eq!(choose(None, &[SYSTEM, DEMO]).unwrap(), Path::new(SYSTEM));
        assert_eq!(choose(None, &[DEMO]).unwrap(), Path::new(DEMO));
        let error = choose(None, &[]).unwrap_err().to_string();
        assert!(error.contains(SYSTEM) && error.contains(DEMO) && error.contains("--socket"));
    }
}
