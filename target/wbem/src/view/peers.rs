//! Other daemons that this one knows, and where they are, as instances.

use super::paths::path;
use super::{NAMESPACE, View};
use crate::instance::Instance;
use crate::model::{PeerSystem, Point};
use crate::path::InstancePath;
use crate::value::Value;

/// The class of peers.
pub(crate) const PEER: &str = "Tidelock_PeerSystem";
/// The class of where they are.
pub(crate) const ACCESS_POINT: &str = "Tidelock_PeerAccessPoint";
const HOSTED: &str = "Tidelock_PeerHostedAccessPoint";
/// Other, of InfoFormat.
const OTHER: u16 = 1;

impl View<'_> {
    pub(super) fn peer_instances(&self, class: &str) -> Vec<Instance> {
        let peers = self.inventory().peers.iter();
        let made = |peer: &PeerSystem| match class {
            PEER => system(peer),
            ACCESS_POINT => access_point(peer),
            HOSTED => hosted(peer),
            _ => None,
        };
        peers.filter_map(made).collect()
    }

    /// Its path.
    pub(crate) fn peer_path(peer: &PeerSystem) -> InstancePath {
        Self::peer_path_of(&peer.id)
    }

    /// The path of the one of that id.
    pub(super) fn peer_path_of(id: &str) -> InstancePath {
        path(
            PEER,
            [
                ("CreationClassName", PEER.to_owned()),
                ("Name", id.to_owned()),
            ],
        )
    }

    /// What a path says of where something is.
    pub(crate) fn point(&self, point: Option<&InstancePath>) -> Point {
        let Some(point) = point else {
            return Point::Null;
        };
        let is_it = |peer: &&PeerSystem| {
            let known = Self::access_point_path(peer);
            known.canonical(NAMESPACE) == point.canonical(NAMESPACE)
        };
        let mut peers = self.inventory().peers.iter();
        peers
            .find(is_it)
            .map_or(Point::Unknown, |peer| Point::Of(peer.id.clone()))
    }

    /// The path of where it is.
    pub(crate) fn access_point_path(peer: &PeerSystem) -> InstancePath {
        path(
            ACCESS_POINT,
            [
                ("SystemCreationClassName", PEER.to_owned()),
                ("SystemName", peer.id.clone()),
                ("CreationClassName", ACCESS_POINT.to_owned()),
                ("Name", peer.name.clone()),
            ],
        )
    }
}

fn system(peer: &PeerSystem) -> Option<Instance> {
    let instance = View::new_instance(PEER, NAMESPACE)?;
    // No Contact, if it doesn't answer.
    let (status, health) = match peer.reachable {
        true => (2_u16, 5_u16),
        false => (12, 0),
    };
    Some(
        instance
            .with("CreationClassName", PEER)
            .with("Name", peer.id.as_str())
            .with("NameFormat", "Other")
            .with("ElementName", peer.name.as_str())
            .with("OperationalStatus", Value::numbers([status]))
            .with("HealthState", health)
            .with("EnabledState", if peer.reachable { 2_u16 } else { 0 })
            .with("RequestedState", 12_u16),
    )
}

fn access_point(peer: &PeerSystem) -> Option<Instance> {
    let instance = View::new_instance(ACCESS_POINT, NAMESPACE)?;
    Some(
        instance
            .with("SystemCreationClassName", PEER)
            .with("SystemName", peer.id.as_str())
            .with("CreationClassName", ACCESS_POINT)
            .with("Name", peer.name.as_str())
            .with("ElementName", peer.name.as_str())
            .with("AccessInfo", peer.address.as_str())
            .with("InfoFormat", OTHER)
            .with("OtherInfoFormatDescription", "address and port of a peer")
            .with("EnabledState", 2_u16)
            .with("RequestedState", 12_u16),
    )
}

fn hosted(peer: &PeerSystem) -> Option<Instance> {
    let instance = View::new_instance(HOSTED, NAMESPACE)?;
    Some(
        instance
            .with("Antecedent", View::peer_path(peer))
            .with("Dependent", View::access_point_path(peer)),
    )
}
