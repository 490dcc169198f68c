//! The section `[failover]` of the configuration, and what has to be right about it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Seconds of a lease. Etcd grants no shorter ones than its elections take; and hosts wait that long.
const LEASE_SECONDS: std::ops::RangeInclusive<u64> = 2..=60;
const LEASE_SECONDS_DEFAULT: u64 = 5;
/// More members than a store has.
const ENDPOINTS_MAX: usize = 16;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    etcd: Vec<String>,
    lease_seconds: Option<u64>,
    prefix: Option<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// How the store of leases is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its members.
    pub endpoints: Vec<Endpoint>,
    /// Who vouches for them, and what proves us to them.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long a lease is, in milliseconds.
    pub lease_ms: u64,
    /// What all keys begin with.
    pub prefix: String,
}

/// A member of the store.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub authority: String,
    /// What its certificate has to say; `None`: plain HTTP.
    pub server: Option<ServerName<'static>>,
}

/// Checks the section, and reads the files that it names.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check(section: Section) -> Result<Settings, String> {
    if section.etcd.is_empty() || section.etcd.len() > ENDPOINTS_MAX {
        return Err(format!(
            "etcd takes 1 to {ENDPOINTS_MAX} addresses, such as [\"https://10.0.0.1:2379\"]"
        ));
    }
    let endpoints: Vec<Endpoint> = section
        .etcd
        .iter()
        .map(|it| endpoint(it))
        .collect::<Result<_, _>>()?;
    let lease = section.lease_seconds.unwrap_or(LEASE_SECONDS_DEFAULT);
    if !LEASE_SECONDS.contains(&lease) {
        return Err(format!("lease_seconds = {lease}: it is 2 to 60"));
    }
    let prefix = section.prefix.unwrap_or_else(|| "/tidelock".to_owned());
    if prefix.len() > 256 || prefix.chars().any(char::is_control) {
        return Err("prefix has at most 256 bytes, without control characters".to_owned());
    }
    let secure = endpoints.iter().any(|it| it.server.is_some());
    let tls = match (secure, section.ca) {
        (true, Some(ca)) => Some(client(&ca, section.certificate, section.key)?),
        (true, None) => {
            return Err(
                "https needs ca, a PEM file with who vouches for etcd's certificate".to_owned(),
            );
        }
        (false, None) if section.certificate.is_none() && section.key.is_none() => None,
        (false, _) => return Err("ca, certificate and key are for https addresses".to_owned()),
    };
    Ok(Settings {
        endpoints,
        tls,
        lease_ms: lease * 1_000,
        prefix: prefix.trim_end_matches('/').to_owned(),
    })
}

fn endpoint(url: &str) -> Result<Endpoint, String> {
    let says = |why: &str| format!("etcd {url:?}: {why}; give one such as https://10.0.0.1:2379");
    let (secure, rest) = match url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        _ => return Err(says("it begins with neither http:// nor https://")),
    };
    let authority = rest.trim_end_matches('/');
    let (host, port) = authority
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains('/'))
        .ok_or_else(|| says("it has no port"))?;
    port.parse::<u16>()
        .map_err(|_| says("its port isn't a number"))?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let server = if secure {
        let name = ServerName::try_from(name.to_owned());
        Some(name.map_err(|_| says("its host is neither a name nor an address"))?)
    } else {
        None
    };
    Ok(Endpoint {
        authority: authority.to_owned(),
        server,
    })
}

fn client(
    ca: &PathBuf,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca)? {
        roots
            .add(root)
            .map_err(|error| format!("ca {}: {error}", ca.display()))?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(&certificate)?;
            let key = PrivateKeyDer::from_pem_file(&key)
                .map_err(|error| format!("key {}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("certificate and key: {error}"))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err("give certificate and key, or neither".to_owned()),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let says = |why: String| format!("{}: {why}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(|error| says(error.to_string()))?;
    let all: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| says(error.to_string()))?;
    if all.is_empty() {
        return Err(says("there is no certificate in it".to_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let section: Section = toml::from_str(text).map_err(|error| error.to_string())?;
        check(section)
    }

    #[test]
    fn an_address_will_do() {
        let settings = read("etcd = [\"http://[::1]:2379/\"]").unwrap();
        assert_eq!(settings.lease_ms, 5_000);
        assert_eq!(settings.prefix, "/tidelock");
        assert_eq!(settings.endpoints[0].authority, "[::1]:2379");
        assert!(settings.tls.is_none());
    }

    #[test]
    fn what_cannot_be_is_told_with_what_to_do() {
        for (text, says) in [
            ("", "missing field `etcd`"),
            ("etcd = []", "1 to 16 addresses"),
            ("etcd = [\"10.0.0.1:2379\"]", "neither http:// nor https://"),
            ("etcd = [\"http://10.0.0.1\"]", "no port"),
            ("etcd = [\"http://a:b\"]", "isn't a number"),
            ("etcd = [\"https://a:1\"]", "https needs ca"),
            ("etcd = [\"https://a:1\"]\nca = \"/nowhere\"", "/nowhere"),
            (
                "etcd = [\"http://a:1\"]\nca = \"/a\"",
                "for https addresses",
            ),
            ("etcd = [\"http://a:1\"]\nlease_seconds = 1", "2 to 60"),
            ("etcd = [\"http://a:1\"]\nlease_seconds = 61", "2 to 60"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
