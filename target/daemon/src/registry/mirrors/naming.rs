//! What an operator calls an end of a mirror: a volume of this daemon, or one of a peer.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use tidelock_catalog::{MirrorEnd, PeerName, VolumeName};

/// `VOLUME`, or `PEER:VOLUME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndName {
    /// Whose volume it is; `None`: this daemon's.
    pub peer: Option<PeerName>,
    /// What it is called there.
    pub volume: VolumeName,
}

/// No end can be called so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}; an end of a mirror is called VOLUME, or PEER:VOLUME if it is a peer's")]
pub struct NoEndName {
    reason: String,
}

impl From<VolumeName> for EndName {
    fn from(volume: VolumeName) -> Self {
        Self { peer: None, volume }
    }
}

impl FromStr for EndName {
    type Err = NoEndName;

    fn from_str(text: &str) -> Result<Self, NoEndName> {
        let (peer, volume) = match text.split_once(':') {
            None => (None, text),
            Some((peer, volume)) => (Some(peer), volume),
        };
        let reason = |error: &dyn fmt::Display| NoEndName {
            reason: error.to_string(),
        };
        let peer = peer.map(PeerName::new).transpose();
        Ok(Self {
            peer: peer.map_err(|error| reason(&error))?,
            volume: VolumeName::new(volume).map_err(|error| reason(&error))?,
        })
    }
}

impl fmt::Display for EndName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.peer {
            write!(f, "{peer}:")?;
        }
        self.volume.fmt(f)
    }
}

impl EndName {
    /// Whether an end is called so.
    pub(super) fn is_of(&self, end: &MirrorEnd) -> bool {
        let peer = end.elsewhere.as_ref().map(|it| &it.peer);
        end.volume == self.volume && peer == self.peer.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_of_a_peer_is_told_from_one_of_this_daemon() {
        for text in ["db", "b:db", "left.side:db-copy"] {
            assert_eq!(text.parse::<EndName>().unwrap().to_string(), text);
        }
        for text in ["", ":", "b:", ":db", "b:c:db", "b:../db"] {
            let error = text.parse::<EndName>().unwrap_err().to_string();
            assert!(error.contains("PEER:VOLUME"), "{text}: {error}");
        }
    }
}
