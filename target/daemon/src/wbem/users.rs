//! Who may ask: names and hashes of passwords. A password is never kept; what was right once is known again by a
//! keyed digest, so that not every request pays for a hash that is slow on purpose.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead as _, Read as _};
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use parking_lot::Mutex;
use ring::hmac;
use thiserror::Error;

/// Longer than any password: it is hashed before anybody is known.
const PASSWORD_BYTES_MAX: usize = 1024;
/// KiB that looking at a password may take.
const MEMORY_KIB_MAX: u32 = 256 << 10;
/// Rounds that looking at a password may take.
const ROUNDS_MAX: u32 = 64;

/// Why there is no hash.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HashError {
    /// Nothing, or too much.
    #[error("a password has 1 to {PASSWORD_BYTES_MAX} bytes")]
    Length,
    /// Anything else.
    #[error("the password can't be hashed: {0}")]
    Failed(String),
}

/// The hash of a password, as the configuration has it (Argon2id in a PHC string).
///
/// # Errors
/// It is too long or empty, or there are no random bytes.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    if !(1..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        return Err(HashError::Length);
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|error| HashError::Failed(error.to_string()))
}

/// Reads a password, up to the end of its line, and prints its hash.
///
/// # Errors
/// There is none, or it can't be hashed.
pub fn hash_from_stdin() -> Result<(), HashError> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(PASSWORD_BYTES_MAX as u64 + 2)
        .read_line(&mut line)
        .map_err(|error| HashError::Failed(error.to_string()))?;
    let password = line.trim_end_matches(['\r', '\n']);
    println!("{}", hash_password(password)?);
    Ok(())
}

/// The users.
#[derive(Clone)]
pub(crate) struct Users(Arc<Inner>);

struct Inner {
    hashes: BTreeMap<String, String>,
    /// Of nobody's password: a name that isn't there takes as long as one that is.
    decoy: String,
    key: hmac::Key,
    /// What was right, by name.
    known: Mutex<BTreeMap<String, hmac::Tag>>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.hashes.keys()).finish()
    }
}

impl Users {
    /// # Errors
    /// A hash isn't one. It isn't quoted: it may be a password.
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        for (name, hash) in &hashes {
            check(hash).map_err(|reason| {
                format!("user {name}: {reason}; `tidelockd --hash-password` makes a hash")
            })?;
        }
        let random = |bytes: &mut [u8]| {
            getrandom::fill(bytes).map_err(|error| format!("there are no random bytes: {error}"))
        };
        let (mut key, mut nobody) = ([0; 32], [0; 16]);
        random(&mut key)?;
        random(&mut nobody)?;
        let decoy = Argon2::default()
            .hash_password(&nobody)
            .map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(Inner {
            hashes,
            decoy: decoy.to_string(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            known: Mutex::default(),
        })))
    }

    /// Whether this was right before. Quick.
    pub(super) fn knows(&self, name: &str, password: &str) -> bool {
        let known = self.0.known.lock();
        known.get(name).is_some_and(|tag| {
            hmac::verify(&self.0.key, &together(name, password), tag.as_ref()).is_ok()
        })
    }

    /// Whether it is right. Slow on purpose: not for a thread that others wait for.
    pub(super) fn check(&self, name: &str, password: &str) -> bool {
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let found = self.0.hashes.get(name);
        let hash = found.unwrap_or(&self.0.decoy);
        let matches = PasswordHash::new(hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        let right = matches && found.is_some();
        if right {
            let tag = hmac::sign(&self.0.key, &together(name, password));
            self.0.known.lock().insert(name.to_owned(), tag);
        }
        right
    }
}

fn together(name: &str, password: &str) -> Vec<u8> {
    // No name has a zero byte in it.
    [name.as_bytes(), b"\0", password.as_bytes()].concat()
}

fn check(hash: &str) -> Result<(), String> {
    let wrong = || "what is given isn't the hash of a password".to_owned();
    let hash = PasswordHash::new(hash).map_err(|_| wrong())?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
        return Err("only Argon2id is understood".to_owned());
    }
    let params = Params::try_from(&hash).map_err(|_| wrong())?;
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > ROUNDS_MAX {
        return Err(format!(
            "the hash takes more than m={MEMORY_KIB_MAX} or t={ROUNDS_MAX} to look at"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wbem::tests::{HASH, PASSWORD};

    fn users() -> Users {
        Users::new(BTreeMap::from([("admin".to_owned(), HASH.to_owned())])).unwrap()
    }

    #[test]
    fn the_right_password_is_known_again_and_no_other() {
        let users = users();
        assert!(!users.knows("admin", PASSWORD));
        assert!(!users.check("admin", "wrong"));
        assert!(!users.check("nobody", PASSWORD));
        assert!(!users.check("admin", ""));
        assert!(!users.knows("admin", PASSWORD));
        assert!(users.check("admin", PASSWORD));
        assert!(users.knows("admin", PASSWORD));
        assert!(!users.knows("admin", "wrong"));
        assert!(!users.knows("nobody", PASSWORD));
        assert!(!users.check("admin", &"x".repeat(PASSWORD_BYTES_MAX + 1)));
    }

    #[test]
    fn a_hash_that_is_made_is_one_that_is_taken() {
        let hash = hash_password("a word").unwrap();
        assert_ne!(hash, hash_password("a word").unwrap(), "it has no salt");
        let users = Users::new(BTreeMap::from([("u".to_owned(), hash)])).unwrap();
        assert!(users.check("u", "a word"));
        assert!(hash_password("").is_err());
        assert!(hash_password(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn a_hash_that_is_none_or_costs_too_much_is_refused() {
        for hash in [
            "",
            "secret",
            "$2y$05$abcdefghijklmnopqrstuv",
            "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=19456,t=999,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=19456,t=2,p=1",
        ] {
            let made = Users::new(BTreeMap::from([("u".to_owned(), hash.to_owned())]));
            let error = made.unwrap_err();
            assert!(error.starts_with("user u: "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
