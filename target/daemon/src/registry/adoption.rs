//! Which files may become volumes: none in which the daemon keeps its own books.

use std::path::Path;

use tidelock_catalog::CatalogError;

/// Checks a file that is to become a volume. `volumes` is where the daemon keeps the files that it made: what is left
/// there and nobody's may be adopted, and nothing else of the state folder. **Blocks.**
///
/// # Errors
/// It is the daemon's own.
pub(super) fn check(path: &Path, volumes: &Path) -> Result<(), CatalogError> {
    let Ok(file) = path.canonicalize() else {
        // Whoever opens it finds out why.
        return Ok(());
    };
    let (Ok(volumes), Some(Ok(state))) = (
        volumes.canonicalize(),
        volumes.parent().map(Path::canonicalize),
    ) else {
        return Ok(());
    };
    if !file.starts_with(&state) || file.parent() == Some(&volumes) {
        return Ok(());
    }
    Err(CatalogError::Path {
        path: path.to_string_lossy().chars().take(200).collect(),
        reason: "the daemon keeps its own books there; of its state folder only files in `volumes` can be volumes",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_volumes_are_adopted_from_the_state_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for folder in ["state/volumes/deep", "state/families/x", "elsewhere"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        let files = [
            ("state/volumes/left.img", true),
            ("state/catalog", false),
            ("state/families/x/data-0000", false),
            ("state/volumes/deep/x", false),
            ("elsewhere/image", true),
        ];
        let volumes = at("state/volumes");
        for (name, may) in files {
            std::fs::write(at(name), b"x").unwrap();
            assert_eq!(check(&at(name), &volumes).is_ok(), may, "{name}");
        }
        // By another way.
        std::os::unix::fs::symlink(at("state/catalog"), at("elsewhere/link")).unwrap();
        assert!(check(&at("elsewhere/link"), &volumes).is_err());
        assert!(check(&at("elsewhere/../state/catalog"), &volumes).is_err());
        assert!(check(&at("state/volumes/../catalog"), &volumes).is_err());
        assert!(check(&at("nowhere"), &volumes).is_ok());
    }
}
