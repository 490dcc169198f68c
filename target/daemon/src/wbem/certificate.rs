//! What the server proves itself with: PEM files of the operator's, or a certificate that the daemon makes once and
//! signs itself. TLS 1.3 alone.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::settings::CertificateSource;
use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

/// The file of the daemon's own one in the state folder: key and certificate.
const OWN: &str = "wbem.pem";

/// Why there is no certificate to be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The operator's file.
    #[error("{path}: {reason}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state folder.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// Making one.
    #[error("none can be made: {0}")]
    Make(String),
    /// The two don't go together, or aren't of a kind that is understood.
    #[error("certificate and key can't be used: {0}")]
    Unusable(String),
}

/// What connections are secured with.
pub(super) fn load(
    source: &CertificateSource,
    state: &StateDir,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let (chain, key) = match source {
        CertificateSource::Files { certificate, key } => {
            let read = |path: &PathBuf| {
                std::fs::read(path).map_err(|error| CertificateError::File {
                    path: path.clone(),
                    reason: error.to_string(),
                })
            };
            let chain = chain(&read(certificate)?).map_err(|reason| CertificateError::File {
                path: certificate.clone(),
                reason,
            })?;
            let key = private_key(&read(key)?).map_err(|reason| CertificateError::File {
                path: key.clone(),
                reason,
            })?;
            (chain, key)
        }
        CertificateSource::Own => own(state)?,
    };
    let unusable =
        |error: tokio_rustls::rustls::Error| CertificateError::Unusable(error.to_string());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(Arc::new(config))
}

/// What listeners of indications have to prove themselves with: one of these, or one that these vouch for.
pub(super) fn trusting(path: &PathBuf) -> Result<TlsConnector, CertificateError> {
    let wrong = |reason: String| CertificateError::File {
        path: path.clone(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut trusted = RootCertStore::empty();
    for certificate in chain(&text).map_err(wrong)? {
        trusted
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(state: &StateDir) -> Result<Pair, CertificateError> {
    let file = ReplacedFile::new(state, OWN);
    let bad = |reason| CertificateError::File {
        path: file.path().to_owned(),
        reason: format!("{reason}; remove it, and another one is made"),
    };
    let text = match file.read()? {
        Some(text) => text,
        None => {
            let text = make()?;
            file.replace(text.as_bytes())?;
            tracing::info!(path = %file.path().display(), "made a certificate for the WBEM server");
            text.into_bytes()
        }
    };
    Ok((chain(&text).map_err(bad)?, private_key(&text).map_err(bad)?))
}

/// For this host's name and loopback.
fn make() -> Result<String, CertificateError> {
    let failed = |error: rcgen::Error| CertificateError::Make(error.to_string());
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let fits = !host.is_empty()
        && host
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || b".-".contains(&it));
    if fits && host != "localhost" {
        names.insert(0, host);
    }
    let mut params = rcgen::CertificateParams::new(names.clone()).map_err(failed)?;
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(rcgen::DnType::OrganizationName, "Tidelock");
    let host = names.into_iter().next().unwrap_or_default();
    // A common name has at most 64 characters (RFC 5280, ub-common-name).
    let host: String = host.chars().take(64).collect();
    subject.push(rcgen::DnType::CommonName, host);
    params.distinguished_name = subject;
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let made = params.self_signed(&key).map_err(failed)?;
    Ok(format!("{}{}", key.serialize_pem(), made.pem()))
}

fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(all) if all.is_empty() => Err("there is no certificate in it (PEM)".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text)
        .map_err(|error| format!("there is no private key in it (PEM): {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_own_certificate_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        load(&CertificateSource::Own, &state).unwrap();
        let path = folder.path().join(OWN);
        let first = std::fs::read(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        load(&CertificateSource::Own, &state).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        std::fs::write(&path, "nothing").unwrap();
        let error = load(&CertificateSource::Own, &state)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("wbem.pem: there is no certificate"),
            "{error}"
        );
    }

    #[test]
    fn files_that_do_not_do_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (one, other) = (make().unwrap(), make().unwrap());
        let (one, other) = (write("one", &one), write("other", &other));
        let (gone, empty) = (folder.path().join("gone"), write("empty", ""));
        let ask = |certificate: &PathBuf, key: &PathBuf| {
            let source = CertificateSource::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            load(&source, &state)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(ask(&one, &one), Ok(()));
        for (certificate, key, says) in [
            (&gone, &one, "gone: No such file"),
            (&empty, &one, "empty: there is no certificate"),
            (&one, &empty, "empty: there is no private key"),
            (&one, &other, "can't be used"),
        ] {
            let error = ask(certificate, key).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
