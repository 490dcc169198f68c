//! The JSON of peers: plain shapes for serde, and the way between them and the checked types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::peer::Peer;
use crate::snapshot::PeerName;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerBody {
    name: String,
    address: String,
    fingerprint: String,
    node: Uuid,
}

impl From<&Peer> for PeerBody {
    fn from(peer: &Peer) -> Self {
        Self {
            name: peer.name.to_string(),
            address: peer.address.to_string(),
            fingerprint: peer.fingerprint.to_string(),
            node: peer.node,
        }
    }
}

pub(super) fn into_peers(bodies: Vec<PeerBody>) -> Result<BTreeMap<PeerName, Peer>, DecodeError> {
    let mut peers = BTreeMap::new();
    for body in bodies {
        let name = PeerName::new(&body.name).map_err(inconsistent)?;
        let peer = Peer {
            name: name.clone(),
            address: body.address.parse().map_err(inconsistent)?,
            fingerprint: body.fingerprint.parse().map_err(inconsistent)?,
            node: body.node,
        };
        if peers.insert(name, peer).is_some() {
            return Err(inconsistent("a peer is there twice"));
        }
    }
    Ok(peers)
}
