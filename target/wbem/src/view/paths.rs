//! The paths of instances, and what a path refers to. One place knows how identities are written.

use tidelock_capabilities::facts::{AssociationKey, ElementId};

use super::{INTEROP, NAMESPACE, View};
use crate::path::{InstancePath, KeyValue};

/// The class of volumes and snapshots.
pub(crate) const VOLUME: &str = "MSISCSITARGET_StorageVolume";
/// The class of groups.
pub(crate) const GROUP: &str = "Tidelock_ReplicationGroup";
/// The class of jobs.
pub(crate) const JOB: &str = "MSISCSITARGET_ConcreteJob";
/// The class of associations of elements.
pub(crate) const STORAGE_SYNCHRONIZED: &str = "MSISCSITARGET_StorageSynchronized";
/// The class of associations of groups.
pub(crate) const GROUP_SYNCHRONIZED: &str = "Tidelock_GroupSynchronized";
/// The class of this daemon.
pub(crate) const SYSTEM: &str = "Tidelock_ComputerSystem";
/// The class of the service.
pub(crate) const SERVICE: &str = "MSISCSITARGET_ReplicationService";
/// The class of its capabilities.
pub(crate) const CAPABILITIES: &str = "MSISCSITARGET_ReplicationServiceCapabilities";
/// The only instance of the capabilities.
pub(crate) const CAPABILITIES_ID: &str = "Tidelock:ReplicationServiceCapabilities";
/// The name of the service.
pub(crate) const SERVICE_NAME: &str = "ReplicationService";

const GROUP_PREFIX: &str = "Tidelock:Group:";
const JOB_PREFIX: &str = "Tidelock:Job:";

/// What the path of a group names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupName {
    /// A group of volumes.
    Group(String),
    /// Snapshots that were taken of one.
    Set {
        /// The group.
        group: String,
        /// Their name.
        set: String,
    },
}

pub(super) fn path<const N: usize>(class: &str, keys: [(&str, String); N]) -> InstancePath {
    let keys = keys.into_iter();
    InstancePath {
        namespace: Some(NAMESPACE.to_owned()),
        class: class.to_owned(),
        keys: keys
            .map(|(name, value)| (name.to_owned(), KeyValue::Text(value)))
            .collect(),
    }
}

impl View<'_> {
    pub(crate) fn system_path(&self) -> InstancePath {
        let name = self.inventory().system.name.clone();
        path(
            SYSTEM,
            [("CreationClassName", SYSTEM.to_owned()), ("Name", name)],
        )
    }

    pub(crate) fn service_path(&self) -> InstancePath {
        path(
            SERVICE,
            [
                ("SystemCreationClassName", SYSTEM.to_owned()),
                ("SystemName", self.inventory().system.name.clone()),
                ("CreationClassName", SERVICE.to_owned()),
                ("Name", SERVICE_NAME.to_owned()),
            ],
        )
    }

    pub(crate) fn capabilities_path() -> InstancePath {
        path(CAPABILITIES, [("InstanceID", CAPABILITIES_ID.to_owned())])
    }

    pub(crate) fn element_path(&self, id: ElementId) -> InstancePath {
        let (class, system) = self.system_of(id);
        path(
            VOLUME,
            [
                ("SystemCreationClassName", class.to_owned()),
                ("SystemName", system.to_owned()),
                ("CreationClassName", VOLUME.to_owned()),
                ("DeviceID", id.to_string()),
            ],
        )
    }

    /// The class and the name of the system that has an element.
    pub(super) fn system_of(&self, id: ElementId) -> (&'static str, &str) {
        let peer = self.element(id).and_then(|it| it.peer.as_deref());
        peer.map_or_else(
            || (SYSTEM, self.inventory().system.name.as_str()),
            |peer| (super::peers::PEER, peer),
        )
    }

    pub(crate) fn association_path(&self, key: AssociationKey) -> InstancePath {
        Self::synchronized_path(
            STORAGE_SYNCHRONIZED,
            self.element_path(key.system_element),
            self.element_path(key.synced_element),
        )
    }

    pub(crate) fn group_association_path(group: &str, target: &str) -> InstancePath {
        Self::synchronized_path(
            GROUP_SYNCHRONIZED,
            Self::group_path(group),
            Self::group_path(target),
        )
    }

    fn synchronized_path(class: &str, system: InstancePath, synced: InstancePath) -> InstancePath {
        let key = |name: &str, path| (name.to_owned(), KeyValue::Reference(Box::new(path)));
        InstancePath {
            namespace: Some(NAMESPACE.to_owned()),
            class: class.to_owned(),
            keys: vec![key("SystemElement", system), key("SyncedElement", synced)],
        }
    }

    pub(crate) fn group_path(name: &str) -> InstancePath {
        path(GROUP, [("InstanceID", format!("{GROUP_PREFIX}{name}"))])
    }

    pub(crate) fn job_path(id: u64) -> InstancePath {
        path(JOB, [("InstanceID", format!("{JOB_PREFIX}{id}"))])
    }

    pub(crate) fn profile_path(id: &str) -> InstancePath {
        InstancePath {
            namespace: Some(INTEROP.to_owned()),
            ..path(
                "Tidelock_RegisteredProfile",
                [("InstanceID", id.to_owned())],
            )
        }
    }
}

/// The InstanceID of a group.
pub(crate) fn group_instance_id(name: &str) -> String {
    format!("{GROUP_PREFIX}{name}")
}

/// The InstanceID of a job.
pub(crate) fn job_instance_id(id: u64) -> String {
    format!("{JOB_PREFIX}{id}")
}

/// The volume or snapshot that a path names, whether or not it is there.
pub(crate) fn element_id(path: &InstancePath) -> Option<ElementId> {
    if !path.class.eq_ignore_ascii_case(VOLUME) {
        return None;
    }
    identity(path.text_key("DeviceID")?)
}

/// An identity as it is written.
pub(super) fn identity(text: &str) -> Option<ElementId> {
    let hex: String = text.chars().filter(|it| *it != '-').collect();
    let id = u128::from_str_radix(&hex, 16).ok().map(ElementId)?;
    // One spelling only.
    (id.to_string() == text).then_some(id)
}

/// The group that a path names, whether or not it is there.
pub(crate) fn group_name(path: &InstancePath) -> Option<GroupName> {
    if !path.class.eq_ignore_ascii_case(GROUP) {
        return None;
    }
    let name = path.text_key("InstanceID")?.strip_prefix(GROUP_PREFIX)?;
    Some(match name.split_once('@') {
        Some((group, set)) => GroupName::Set {
            group: group.to_owned(),
            set: set.to_owned(),
        },
        None => GroupName::Group(name.to_owned()),
    })
}

/// The ends of an association that a path names, whether or not it is there.
pub(crate) fn association_key(path: &InstancePath) -> Option<AssociationKey> {
    if !path.class.eq_ignore_ascii_case(STORAGE_SYNCHRONIZED) {
        return None;
    }
    Some(AssociationKey {
        system_element: element_id(reference(path, "SystemElement")?)?,
        synced_element: element_id(reference(path, "SyncedElement")?)?,
    })
}

/// The ends of an association of groups that a path names, whether or not it is there.
pub(crate) fn group_association(path: &InstancePath) -> Option<(String, GroupName)> {
    if !path.class.eq_ignore_ascii_case(GROUP_SYNCHRONIZED) {
        return None;
    }
    match group_name(reference(path, "SystemElement")?)? {
        GroupName::Group(group) => Some((group, group_name(reference(path, "SyncedElement")?)?)),
        GroupName::Set { .. } => None,
    }
}

pub(super) fn reference<'p>(path: &'p InstancePath, name: &str) -> Option<&'p InstancePath> {
    match path.key(name)? {
        KeyValue::Reference(path) => Some(path),
        _ => None,
    }
}

/// The job that a path names, whether or not it is there.
pub(crate) fn job_id(path: &InstancePath) -> Option<u64> {
    if !path.class.eq_ignore_ascii_case(JOB) {
        return None;
    }
    path.text_key("InstanceID")?
        .strip_prefix(JOB_PREFIX)?
        .parse()
        .ok()
}
