//! The section `[wbem]` of the configuration, and what has to be right about it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::users::Users;

/// Longer than any name of a user.
const NAME_BYTES_MAX: usize = 64;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    listen: SocketAddr,
    #[serde(default = "yes")]
    tls: bool,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    listener_certificates: Option<PathBuf>,
    #[serde(default)]
    users: BTreeMap<String, String>,
}

const fn yes() -> bool {
    true
}

/// How the WBEM server is reached, and by whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it proves itself with; `None` for plain HTTP, on loopback only.
    pub(crate) tls: Option<CertificateSource>,
    /// Who may ask.
    pub(crate) users: Users,
    /// The certificates that listeners of indications are trusted by (PEM).
    pub(crate) listener_certificates: Option<PathBuf>,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateSource {
    /// From PEM files.
    Files {
        /// The certificate, with those that vouch for it behind it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made by the daemon itself, once.
    Own,
}

/// Checks the section.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(crate) fn check(section: Section) -> Result<Settings, String> {
    let tls = match (section.tls, section.certificate, section.key) {
        (true, Some(certificate), Some(key)) => Some(CertificateSource::Files { certificate, key }),
        (true, None, None) => Some(CertificateSource::Own),
        (true, ..) => return Err("give certificate and key, or neither".to_owned()),
        (false, None, None) if section.listen.ip().is_loopback() => None,
        (false, None, None) => {
            let address = section.listen;
            return Err(format!(
                "passwords would be readable on the way to {address}: tls = false is for loopback addresses"
            ));
        }
        (false, ..) => return Err("tls = false has no use for certificate and key".to_owned()),
    };
    if section.users.is_empty() {
        return Err(
            "nobody could ask anything: add [wbem.users] with NAME = \"HASH\"; \
             `tidelockd --hash-password` makes one"
                .to_owned(),
        );
    }
    for name in section.users.keys() {
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
        if !fits || name.contains(':') || name.chars().any(char::is_control) {
            return Err(format!(
                "the user {name:?}: names have 1 to {NAME_BYTES_MAX} bytes, and no colon"
            ));
        }
    }
    Ok(Settings {
        listen: section.listen,
        tls,
        users: Users::new(section.users)?,
        listener_certificates: section.listener_certificates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wbem::tests::HASH;

    fn read(text: &str) -> Result<Settings, String> {
        let section: Section = toml::from_str(text).map_err(|error| error.to_string())?;
        check(section)
    }

    #[test]
    fn an_address_and_a_user_will_do() {
        let text = format!("listen = \"[::]:5989\"\nusers = {{ admin = \"{HASH}\" }}");
        let settings = read(&text).unwrap();
        assert_eq!(settings.tls, Some(CertificateSource::Own));
        let text = format!("listen = \"127.0.0.1:5988\"\ntls = false\nusers.admin = \"{HASH}\"");
        assert_eq!(read(&text).unwrap().tls, None);
    }

    #[test]
    fn nothing_of_a_hash_is_shown() {
        let text = format!("listen = \"[::]:5989\"\nusers = {{ admin = \"{HASH}\" }}");
        let shown = format!("{:?}", read(&text).unwrap());
        assert!(
            shown.contains("admin") && !shown.contains("argon2"),
            "{shown}"
        );
    }

    #[test]
    fn what_cannot_be_is_told_with_what_to_do() {
        let user = format!("users.admin = \"{HASH}\"");
        for (text, says) in [
            ("listen = \"[::]:1\"".to_owned(), "--hash-password"),
            (
                format!("listen = \"[::]:1\"\ntls = false\n{user}"),
                "loopback",
            ),
            (
                format!("listen = \"[::]:1\"\nkey = \"/a\"\n{user}"),
                "or neither",
            ),
            (
                format!("listen = \"[::1]:1\"\ntls = false\nkey = \"/a\"\n{user}"),
                "no use",
            ),
            (
                "listen = \"[::]:1\"\nusers.admin = \"secret\"".to_owned(),
                "user admin",
            ),
            (
                format!("listen = \"[::]:1\"\nusers = {{ \"a:b\" = \"{HASH}\" }}"),
                "no colon",
            ),
            (format!("{user}\nport = 1"), "unknown field `port`"),
            (user, "missing field `listen`"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
