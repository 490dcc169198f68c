//! The state folder of a daemon that isn't running: its lock, its catalog, and where its files are.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tidelock_catalog::{Catalog, FamilyId};

use crate::exit::CliError;

/// The longest catalog that is read, in bytes: as the daemon's.
const CATALOG_BYTES_MAX: u64 = 256 << 20;

/// What is in a state folder. No daemon begins to use it as long as this lives.
pub(super) struct State {
    path: PathBuf,
    catalog: Catalog,
    _lock: Option<File>,
}

impl State {
    /// Reads the catalog, unless a daemon is running.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let io = |action: &str, path: &Path| {
            let action = format!("{action} {}", path.display());
            move |source| CliError::Io { action, source }
        };
        let path = path
            .canonicalize()
            .map_err(io("find the state folder", path))?;
        let lock_path = path.join("lock");
        let lock = match File::open(&lock_path) {
            Ok(lock) => {
                // The daemon has it alone; several who look may share it.
                if flock(&lock, FlockOperation::NonBlockingLockShared).is_err() {
                    return Err(CliError::Running { state_dir: path });
                }
                Some(lock)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(io("open", &lock_path)(error)),
        };
        let file = path.join("catalog");
        let len = std::fs::metadata(&file).map_err(io("read", &file))?.len();
        let catalog = if len > CATALOG_BYTES_MAX {
            Err(format!("it has {len} bytes, more than any"))
        } else {
            let bytes = std::fs::read(&file).map_err(io("read", &file))?;
            Catalog::decode(&bytes).map_err(|error| error.to_string())
        };
        let catalog = catalog.map_err(|reason| CliError::Catalog { path: file, reason })?;
        Ok(Self {
            path,
            catalog,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The folder of a family.
    pub(super) fn family_folder(&self, id: FamilyId) -> PathBuf {
        self.path.join("families").join(id.to_string())
    }

    /// A volume's file. The folder may have been moved since: the daemon's own files are in it.
    pub(super) fn file(&self, path: &str, managed: bool) -> PathBuf {
        let name = Path::new(path).file_name().filter(|_| managed);
        name.map_or_else(|| path.into(), |name| self.path.join("volumes").join(name))
    }
}
