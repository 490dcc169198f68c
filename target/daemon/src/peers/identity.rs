//! Who this daemon is to its peers: a key that is made at the first start and never leaves `STATE/identity`. Knows no
//! peers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use thiserror::Error;
use tidelock_catalog::Fingerprint;
use tokio_rustls::rustls::crypto::ring::sign::any_eddsa_type;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

/// The folder in the state folder.
const FOLDER: &str = "identity";
/// The key in it: PKCS #8 (RFC 8410) in DER.
const FILE: &str = "key.pk8";
/// Nobody else may read it.
const OTHERS: u32 = 0o077;

/// Why there is no identity.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Its file.
    #[error(transparent)]
    File(#[from] StateDirError),
    /// Its file's mode.
    #[error(
        "others may read {path} (its mode is {mode:04o}): if nobody did, `chmod 600` it; else remove it, and let all \
         peers accept the new key"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Its content.
    #[error(
        "{path} is not a key: bring it back from a backup; or remove it, and let all peers accept the new key"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The kernel.
    #[error("no random bytes can be had for a key")]
    NoRandomness,
}

/// Who this daemon is. Its `Debug` doesn't show the key.
#[derive(Clone)]
pub(crate) struct Identity {
    certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}

impl Identity {
    /// The one that is kept, or a new one at the first start, which is durable before this returns. Blocks.
    pub(super) fn open(state: &StateDir) -> Result<Self, IdentityError> {
        let file = ReplacedFile::in_folder(&state.folder(FOLDER)?, FILE);
        let key = match file.read()? {
            Some(key) => {
                check_mode(&file)?;
                key
            }
            None => {
                let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| IdentityError::NoRandomness)?;
                file.replace(key.as_ref())?;
                key.as_ref().to_vec()
            }
        };
        Self::of(key).ok_or_else(|| IdentityError::Damaged {
            path: file.path().to_owned(),
        })
    }

    fn of(key: Vec<u8>) -> Option<Self> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let key = any_eddsa_type(match &key {
            PrivateKeyDer::Pkcs8(key) => key,
            _ => return None,
        })
        .ok()?;
        // With raw public keys (RFC 7250) that is what takes the place of a certificate.
        let public = CertificateDer::from(key.public_key()?.as_ref().to_vec());
        let fingerprint = fingerprint(&public);
        Some(Self {
            certified: Arc::new(CertifiedKey::new(vec![public], key)),
            fingerprint,
        })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

fn check_mode(file: &ReplacedFile) -> Result<(), IdentityError> {
    // A file that has gone meanwhile has been read all the same.
    let mode = std::fs::metadata(file.path()).map_or(0, |it| it.permissions().mode());
    if mode & OTHERS != 0 {
        return Err(IdentityError::Open {
            path: file.path().to_owned(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

/// Of a public key, as a SubjectPublicKeyInfo in DER.
pub(super) fn fingerprint(public: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, public).as_ref());
    Fingerprint(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn it_is_made_once_for_its_owner_alone_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let first = Identity::open(&state).unwrap();
        let path = folder.path().join("identity/key.pk8");
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(path.clone()), 0o600);
        assert_eq!(mode(folder.path().join("identity")), 0o700);
        let again = Identity::open(&state).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        let other = tempfile::tempdir().unwrap();
        let other = Identity::open(&StateDir::open(other.path()).unwrap()).unwrap();
        assert_ne!(first.fingerprint(), other.fingerprint());
        // Nothing that is printed has the key in it.
        let key = std::fs::read(&path).unwrap();
        let seed = format!("{:?}", &key[16..20]);
        assert!(!format!("{first:?}").contains(&seed[1..seed.len() - 1]));
        assert!(format!("{first:?}").starts_with("Identity(SHA256:"));
    }

    #[test]
    fn what_a_crash_left_aside_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("identity")).unwrap();
        let aside = folder.path().join("identity/key.pk8.new");
        std::fs::write(&aside, b"half").unwrap();
        std::fs::set_permissions(&aside, Permissions::from_mode(0o600)).unwrap();
        let first = Identity::open(&state).unwrap().fingerprint();
        assert_eq!(Identity::open(&state).unwrap().fingerprint(), first);
    }

    #[test]
    fn a_key_that_is_damaged_or_open_to_others_is_not_used_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        Identity::open(&state).unwrap();
        let path = folder.path().join("identity/key.pk8");
        let key = std::fs::read(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = Identity::open(&state).unwrap_err().to_string();
        assert!(
            error.contains("0640") && error.contains("chmod 600"),
            "{error}"
        );
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Identity::open(&state).unwrap();
        std::fs::write(&path, &key[..key.len() - 1]).unwrap();
        let error = Identity::open(&state).unwrap_err().to_string();
        assert!(error.contains("is not a key"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), key[..key.len() - 1]);
    }

    #[test]
    fn the_fingerprint_is_the_sha_256_of_the_public_key_info() {
        // The example key of RFC 8410 §10.1 and its SubjectPublicKeyInfo.
        let public = "302a300506032b6570032100\
                      19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        let bytes: Vec<u8> = (0..public.len() / 2)
            .map(|at| u8::from_str_radix(&public[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        assert_eq!(bytes.len(), 44);
        let digest = fingerprint(&bytes).to_string();
        assert_eq!(digest.len(), "SHA256:".len() + 64);
        assert_eq!(
            bytes.get(..12),
            Some(&super::super::tls::ED25519_PREFIX[..])
        );
    }
}
