//! The admin socket in the file system: made with mode 0600, a stale one replaced, a live one left
//! alone. What is said on it is the admin server's.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::admin_server::{self, Control};

/// The longest path that fits into a socket address on Linux.
const PATH_LEN_MAX: usize = 107;

/// Why the admin socket can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminSocketError {
    /// Somebody answers on it.
    #[error("the admin socket {0} is in use by another tidelockd: choose another --admin-socket")]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{0} exists and isn't a socket: remove it or choose another --admin-socket")]
    NotASocket(PathBuf),
    /// The kernel allows 107 bytes.
    #[error("the path of the admin socket is too long ({len} bytes, at most 107): {path}")]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Anything else.
    #[error("cannot open the admin socket {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The open socket; closing removes it.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    server: tokio::task::JoinHandle<()>,
}

impl AdminSocket {
    /// Stops answering and removes the socket.
    pub fn close(self) {
        self.server.abort();
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the admin socket stays behind");
        }
    }
}

/// Opens the socket and serves it until `stop` turns true or it is closed.
///
/// # Errors
/// See [`AdminSocketError`].
pub fn open(
    path: &Path,
    control: Arc<dyn Control>,
    stop: watch::Receiver<bool>,
) -> Result<AdminSocket, AdminSocketError> {
    let path = path.to_owned();
    let len = path.as_os_str().len();
    if len > PATH_LEN_MAX {
        return Err(AdminSocketError::TooLong { path, len });
    }
    let fail = |source| AdminSocketError::Io {
        path: path.clone(),
        source,
    };
    make_room(&path)?;
    let listener = bind_private(&path).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    let listener = UnixListener::from_std(listener).map_err(fail)?;
    let server = tokio::spawn(admin_server::serve(listener, control, stop));
    Ok(AdminSocket { path, server })
}

/// Removes a socket that nobody answers on; refuses anything else that is in the way.
fn make_room(path: &Path) -> Result<(), AdminSocketError> {
    let fail = |source| AdminSocketError::Io {
        path: path.into(),
        source,
    };
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(fail)?;
    }
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(fail(error)),
        Ok(found) if !found.file_type().is_socket() => {
            Err(AdminSocketError::NotASocket(path.into()))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => Err(AdminSocketError::InUse(path.into())),
        Ok(_) => std::fs::remove_file(path).map_err(fail),
    }
}

/// Binds under another name first, so that the socket never stands there with a wider mode.
fn bind_private(path: &Path) -> io::Result<StdListener> {
    let mut aside = path.as_os_str().to_owned();
    aside.push("~");
    if aside.len() > PATH_LEN_MAX {
        let listener = StdListener::bind(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
        return Ok(listener);
    }
    let aside = PathBuf::from(aside);
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(&aside)?;
    std::fs::set_permissions(&aside, PermissionsExt::from_mode(0o600))?;
    std::fs::rename(&aside, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_the_new_one_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        drop(StdListener::bind(&path).unwrap());
        make_room(&path).unwrap();
        let _listener = bind_private(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_that_somebody_answers_on_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let _other = StdListener::bind(&path).unwrap();
        assert!(matches!(make_room(&path), Err(AdminSocketError::InUse(_))));
    }

    #[test]
    fn a_file_in_the_way_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        std::fs::write(&path, b"data").unwrap();
        assert!(matches!(
            make_room(&path),
            Err(AdminSocketError::NotASocket(_))
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }
}
