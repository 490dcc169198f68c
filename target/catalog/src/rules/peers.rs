//! Rules about peers.

use crate::command::Change;
use crate::document::Catalog;
use crate::error::CatalogError;
use crate::peer::{PEERS_MAX, Peer, PeerAddress};
use crate::snapshot::PeerName;

pub(super) fn add(catalog: &mut Catalog, new: Peer) -> Result<Vec<Change>, CatalogError> {
    if new.node == catalog.identity.0 {
        return Err(CatalogError::PeerIsItself);
    }
    if catalog.peers.contains_key(&new.name) {
        return Err(CatalogError::PeerExists { peer: new.name });
    }
    let is_it = |peer: &&Peer| peer.fingerprint == new.fingerprint || peer.node == new.node;
    if let Some(known) = catalog.peers.values().find(is_it) {
        let peer = known.name.clone();
        return Err(CatalogError::IsPeer { peer });
    }
    if catalog.peers.len() >= PEERS_MAX {
        return Err(CatalogError::TooMany {
            what: "peers",
            limit: PEERS_MAX,
        });
    }
    catalog.peers.insert(new.name.clone(), new.clone());
    Ok(vec![Change::PeerAdded(new)])
}

pub(super) fn set_address(
    catalog: &mut Catalog,
    name: &PeerName,
    address: PeerAddress,
) -> Result<Vec<Change>, CatalogError> {
    let mut peer = catalog.peer(name)?.clone();
    if peer.address == address {
        return Ok(Vec::new());
    }
    peer.address = address;
    catalog.peers.insert(name.clone(), peer.clone());
    Ok(vec![Change::PeerChanged(peer)])
}

pub(super) fn remove(catalog: &mut Catalog, name: &PeerName) -> Result<Vec<Change>, CatalogError> {
    super::mirrors::check_peer_unused(catalog, name)?;
    let peer = catalog.peers.remove(name);
    let peer = peer.ok_or_else(|| CatalogError::NoSuchPeer { peer: name.clone() })?;
    Ok(vec![Change::PeerRemoved(peer)])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::command::Command;
    use crate::document::DaemonIdentity;
    use crate::peer::Fingerprint;

    fn catalog() -> Catalog {
        Catalog::new(DaemonIdentity(Uuid::from_u128(1)))
    }

    fn peer(name: &str, number: u8) -> Peer {
        Peer {
            name: PeerName::new(name).unwrap(),
            address: "192.0.2.7".parse().unwrap(),
            fingerprint: Fingerprint([number; 32]),
            node: Uuid::from_u128(number.into()),
        }
    }

    #[test]
    fn a_peer_is_added_moved_and_removed_and_survives_the_file() {
        let mut catalog = catalog();
        let b = peer("b", 2);
        let added = catalog.apply(Command::AddPeer(b.clone())).unwrap();
        assert_eq!(added, [Change::PeerAdded(b.clone())]);
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
        let address: PeerAddress = "[2001:db8::1]:5".parse().unwrap();
        let set = Command::SetPeerAddress {
            peer: b.name.clone(),
            address: address.clone(),
        };
        let moved = Peer {
            address,
            ..b.clone()
        };
        let changes = catalog.apply(set.clone()).unwrap();
        assert_eq!(changes, [Change::PeerChanged(moved.clone())]);
        assert_eq!(catalog.apply(set).unwrap(), []);
        assert_eq!(catalog.peer(&b.name).unwrap(), &moved);
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
        let remove = Command::RemovePeer {
            peer: b.name.clone(),
        };
        let changes = catalog.apply(remove.clone()).unwrap();
        assert_eq!(changes, [Change::PeerRemoved(moved)]);
        let gone = CatalogError::NoSuchPeer { peer: b.name };
        assert_eq!(catalog.apply(remove), Err(gone));
    }

    #[test]
    fn one_daemon_is_one_peer_and_never_this_one() {
        let mut catalog = catalog();
        let b = peer("b", 2);
        catalog.apply(Command::AddPeer(b.clone())).unwrap();
        let refused = |peer: Peer, error: CatalogError| {
            let mut copy = catalog.clone();
            assert_eq!(copy.apply(Command::AddPeer(peer)), Err(error));
            assert_eq!(copy, catalog);
        };
        refused(peer("a", 1), CatalogError::PeerIsItself);
        let exists = CatalogError::PeerExists {
            peer: b.name.clone(),
        };
        refused(peer("b", 3), exists);
        let is_peer = CatalogError::IsPeer {
            peer: b.name.clone(),
        };
        let same_key = Peer {
            node: Uuid::from_u128(9),
            ..peer("c", 2)
        };
        refused(same_key, is_peer.clone());
        let same_node = Peer {
            fingerprint: Fingerprint([9; 32]),
            ..peer("c", 2)
        };
        refused(same_node, is_peer);
    }

    #[test]
    fn there_are_at_most_so_many() {
        let mut catalog = catalog();
        for number in 0..PEERS_MAX {
            let number = u8::try_from(number).unwrap() + 2;
            let peer = peer(&format!("p{number}"), number);
            catalog.apply(Command::AddPeer(peer)).unwrap();
        }
        let error = catalog.apply(Command::AddPeer(peer("x", 255))).unwrap_err();
        assert!(matches!(error, CatalogError::TooMany { .. }), "{error}");
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }
}
