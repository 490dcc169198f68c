//! Points in time of volumes: each snapshot is the aspect of its moment, beside being an element of its own.

use super::paths::{element_id, path, reference};
use super::{NAMESPACE, View};
use crate::datetime::timestamp;
use crate::instance::Instance;
use crate::model::StorageAssociation;
use crate::path::{InstancePath, KeyValue};
use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::values::SyncType;

/// The class of aspects.
pub(crate) const ASPECT: &str = "Tidelock_SynchronizationAspect";
/// The class of what they have to do with their volumes.
pub(crate) const SETTINGS_DEFINE_STATE: &str = "Tidelock_SettingsDefineState";
const PREFIX: &str = "Tidelock:Aspect:";

impl View<'_> {
    /// `None` if the class isn't among them.
    pub(super) fn aspect_instances(&self, class: &str) -> Option<Vec<Instance>> {
        let made: fn(&Self, &StorageAssociation) -> Option<Instance> = match class {
            ASPECT => Self::aspect,
            SETTINGS_DEFINE_STATE => Self::settings_define_state,
            _ => return None,
        };
        let all = self.inventory().associations.iter();
        let snapshots = all.filter(|it| it.sync_type == SyncType::Snapshot);
        Some(snapshots.filter_map(|it| made(self, it)).collect())
    }

    fn aspect(&self, association: &StorageAssociation) -> Option<Instance> {
        let instance = Self::new_instance(ASPECT, NAMESPACE)?;
        let key = association.key;
        let name = self.element(key.synced_element)?.name.as_str();
        let when = association.when_synced.as_deref().and_then(timestamp);
        Some(
            instance
                .with("InstanceID", aspect_id(key.synced_element))
                .with("ElementName", name)
                .with("SyncType", SyncType::Snapshot.value())
                .with("ConsistencyEnabled", false)
                .with_some("WhenPointInTime", when)
                .with(
                    "SourceElement",
                    self.element_path(key.system_element).text(),
                ),
        )
    }

    fn settings_define_state(&self, association: &StorageAssociation) -> Option<Instance> {
        let instance = Self::new_instance(SETTINGS_DEFINE_STATE, NAMESPACE)?;
        let key = association.key;
        Some(
            instance
                .with("ManagedElement", self.element_path(key.system_element))
                .with("SettingData", aspect_path(key.synced_element)),
        )
    }

    /// The path of what an aspect has to do with its volume.
    pub(crate) fn settings_state_path(&self, key: AssociationKey) -> InstancePath {
        let ends = [
            ("ManagedElement", self.element_path(key.system_element)),
            ("SettingData", aspect_path(key.synced_element)),
        ];
        let ends = ends.map(|(name, path)| (name.to_owned(), KeyValue::Reference(Box::new(path))));
        InstancePath {
            namespace: Some(NAMESPACE.to_owned()),
            class: SETTINGS_DEFINE_STATE.to_owned(),
            keys: ends.to_vec(),
        }
    }
}

fn aspect_path(snapshot: ElementId) -> InstancePath {
    path(ASPECT, [("InstanceID", aspect_id(snapshot))])
}

fn aspect_id(snapshot: ElementId) -> String {
    format!("{PREFIX}{snapshot}")
}

/// The volume and the snapshot that a SettingsDefineState is between, whether or not they are there.
pub(crate) fn settings_state(path: &InstancePath) -> Option<AssociationKey> {
    if !path.class.eq_ignore_ascii_case(SETTINGS_DEFINE_STATE) {
        return None;
    }
    let aspect = reference(path, "SettingData")?;
    if !aspect.class.eq_ignore_ascii_case(ASPECT) {
        return None;
    }
    let text = aspect.text_key("InstanceID")?.strip_prefix(PREFIX)?;
    Some(AssociationKey {
        system_element: element_id(reference(path, "ManagedElement")?)?,
        synced_element: super::paths::identity(text)?,
    })
}
