//! What there is, as instances of the classes. Knows the daemon only by its inventory.

mod aspects;
mod interop;
mod paths;
mod peers;
mod replication;
mod storage;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use tidelock_capabilities::BuiltCapabilities;
use tidelock_capabilities::facts::ElementId;
use tidelock_capabilities::values::LocalOrRemote;

pub(crate) use aspects::settings_state;
pub(crate) use paths::{
    GROUP_SYNCHRONIZED, GroupName, JOB, STORAGE_SYNCHRONIZED, SYSTEM, VOLUME, association_key,
    element_id, group_association, group_name, job_id,
};
pub(crate) use replication::numbers;

use crate::indications::{Indications, is_kept};
use crate::instance::Instance;
use crate::model::{Inventory, Model, StorageElement};
use crate::schema::Class;

/// The namespace of volumes and of the service.
pub const NAMESPACE: &str = "root/cimv2/storage/iscsitarget";
/// The namespace in which a client begins.
pub const INTEROP: &str = "interop";

/// The namespace of that name; `root/interop` is the other one's older name.
#[must_use]
pub(crate) fn namespace(name: &str) -> Option<&'static str> {
    match name {
        NAMESPACE => Some(NAMESPACE),
        INTEROP | "root/interop" => Some(INTEROP),
        _ => None,
    }
}

/// What there is at one moment: the moment in which it is first asked for.
pub(crate) struct View<'a> {
    model: &'a dyn Model,
    indications: &'a Indications,
    pub(crate) built: &'a BuiltCapabilities,
    known: OnceCell<Known>,
}

/// An inventory, and what is looked up in it.
struct Known {
    inventory: Inventory,
    by_id: BTreeMap<ElementId, usize>,
    /// Those that copies were made of.
    sources: BTreeSet<ElementId>,
    /// Those that are copies.
    targets: BTreeSet<ElementId>,
    /// Those that have something to do with a peer.
    far: BTreeSet<ElementId>,
}

impl Known {
    fn new(inventory: Inventory) -> Self {
        let by_id = inventory.elements.iter().enumerate();
        let keys = || inventory.associations.iter().map(|it| it.key);
        Self {
            by_id: by_id.map(|(at, element)| (element.id, at)).collect(),
            sources: keys().map(|key| key.system_element).collect(),
            targets: keys().map(|key| key.synced_element).collect(),
            far: inventory
                .associations
                .iter()
                .filter(|it| it.locality == LocalOrRemote::Remote)
                .flat_map(|it| [it.key.system_element, it.key.synced_element])
                .collect(),
            inventory,
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(model: &'a dyn Model, indications: &'a Indications) -> Self {
        Self {
            model,
            indications,
            built: model.built(),
            known: OnceCell::new(),
        }
    }

    /// Many questions need none of it.
    fn known(&self) -> &Known {
        self.known
            .get_or_init(|| Known::new(self.model.inventory()))
    }

    pub(crate) fn inventory(&self) -> &Inventory {
        &self.known().inventory
    }

    pub(crate) fn element(&self, id: ElementId) -> Option<&StorageElement> {
        let known = self.known();
        known.inventory.elements.get(*known.by_id.get(&id)?)
    }

    /// The instances that were made of this very class.
    pub(crate) fn instances(&self, class: &Class, namespace: &'static str) -> Vec<Instance> {
        match (namespace, class.name) {
            (_, "Tidelock_ElementConformsToProfile") => self.conformances(namespace),
            (INTEROP, name) if is_kept(name) => self.indications.instances(name),
            (INTEROP, name) => self.interop_instances(name),
            (_, name) if name.starts_with("Tidelock_Peer") => self.peer_instances(name),
            (_, name) => match self.storage_instances(name) {
                Some(found) => found,
                None => match self.aspect_instances(name) {
                    Some(found) => found,
                    None => self.replication_instances(name),
                },
            },
        }
    }

    /// All instances of a class and of those that are derived from it.
    pub(crate) fn all_instances(
        &self,
        class: &'static Class,
        namespace: &'static str,
    ) -> Vec<Instance> {
        let concrete = class.family().filter(|class| class.concrete);
        concrete
            .flat_map(|class| self.instances(class, namespace))
            .collect()
    }

    fn new_instance(class: &str, namespace: &'static str) -> Option<Instance> {
        crate::schema::class(class).map(|class| Instance::new(class, namespace))
    }
}
