//! Who may administer this daemon. Decides on user numbers alone.

use rustix::process::geteuid;

/// The user that may do everything anyway.
const ROOT: u32 = 0;

/// The users that may administer this daemon.
#[derive(Clone, Debug)]
pub struct Administrators {
    uids: Vec<u32>,
}

impl Administrators {
    /// Root and the user that this process runs as.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::new([ROOT, geteuid().as_raw()])
    }

    /// These users and nobody else.
    #[must_use]
    pub fn new(uids: impl IntoIterator<Item = u32>) -> Self {
        Self {
            uids: uids.into_iter().collect(),
        }
    }

    /// Whether the process at the other end of a socket may.
    #[must_use]
    pub fn admit(&self, peer: &tokio::net::unix::UCred) -> bool {
        self.admit_uid(peer.uid())
    }

    /// Whether a user may.
    #[must_use]
    pub fn admit_uid(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_daemons_user_may_and_nobody_else() {
        let daemon = Administrators::new([ROOT, 991]);
        assert!(daemon.admit_uid(0) && daemon.admit_uid(991));
        assert!(!daemon.admit_uid(1_000) && !daemon.admit_uid(u32::MAX));
        assert!(Administrators::of_this_process().admit_uid(geteuid().as_raw()));
        assert!(Administrators::of_this_process().admit_uid(0));
    }
}
