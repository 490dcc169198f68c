//! Secrets come from files, so that they are in no process list and no shell history.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tidelock_admin::v1::SecretText;

use crate::exit::CliError;
use crate::terminal::Terminal;

/// Bytes that are looked at: far more than a secret may have, so that too long ones get the
/// daemon's error.
const READ_MAX: u64 = 4_096;

/// Reads a secret; a line break at its end isn't part of it.
pub(crate) fn read(path: &Path, terminal: &mut Terminal) -> Result<SecretText, CliError> {
    let fail = |reason: String| CliError::SecretFile {
        path: path.into(),
        reason,
    };
    let file = File::open(path).map_err(|error| fail(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| fail(error.to_string()))?;
    if metadata.is_dir() {
        return Err(fail("it is a folder".into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let path = path.display();
        terminal.warn(&format!(
            "others may read the secret {path} (mode {mode:04o}): chmod 600 {path}"
        ));
    }
    let mut bytes = Vec::new();
    file.take(READ_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > READ_MAX {
        return Err(fail(format!(
            "it has more than {READ_MAX} bytes; a secret has at most 255"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| fail("it isn't text".into()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(fail("it is empty".into()));
    }
    Ok(SecretText(line.to_owned()))
}
