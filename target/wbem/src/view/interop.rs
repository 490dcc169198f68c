//! What is in the namespace interop: profiles, namespaces, and the object manager.

use super::paths::SYSTEM;
use super::{INTEROP, NAMESPACE, View};
use crate::instance::Instance;
use crate::value::Value;

/// SNIA among RegisteredOrganization.
const SNIA: u16 = 11;

/// A profile that is registered.
struct Profile {
    id: &'static str,
    name: &'static str,
    version: &'static str,
}

const REPLICATION: Profile = Profile {
    id: "Tidelock:SNIA:Replication Services:1.5.0",
    name: "Replication Services",
    version: "1.5.0",
};

const MANAGER: &str = "Tidelock_ObjectManager";
const MANAGER_NAME: &str = "Tidelock";

impl View<'_> {
    pub(super) fn interop_instances(&self, class: &str) -> Vec<Instance> {
        let found = match class {
            "Tidelock_RegisteredProfile" => registered(&REPLICATION).map(|it| vec![it]),
            MANAGER => self.manager().map(|it| vec![it]),
            "Tidelock_Namespace" => [INTEROP, NAMESPACE]
                .into_iter()
                .map(|name| self.namespace_instance(name))
                .collect(),
            "Tidelock_NamespaceInManager" => [INTEROP, NAMESPACE]
                .into_iter()
                .map(|name| self.namespace_in_manager(name))
                .collect(),
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// The service is what the profile is about.
    pub(super) fn conformances(&self, namespace: &'static str) -> Vec<Instance> {
        let instance = Self::new_instance("Tidelock_ElementConformsToProfile", namespace);
        let tied = instance.map(|it| {
            it.with("ConformantStandard", Self::profile_path(REPLICATION.id))
                .with("ManagedElement", self.service_path())
        });
        tied.into_iter().collect()
    }

    fn manager(&self) -> Option<Instance> {
        let instance = Self::new_instance(MANAGER, INTEROP)?;
        Some(
            instance
                .with("SystemCreationClassName", SYSTEM)
                .with("SystemName", self.inventory().system.name.as_str())
                .with("CreationClassName", MANAGER)
                .with("Name", MANAGER_NAME)
                .with("ElementName", "Tidelock")
                .with(
                    "Description",
                    format!("Tidelock {}, WBEM server", self.inventory().system.version),
                )
                .with("EnabledState", 2_u16)
                .with("Started", true),
        )
    }

    fn namespace_instance(&self, name: &str) -> Option<Instance> {
        let instance = Self::new_instance("Tidelock_Namespace", INTEROP)?;
        Some(
            instance
                .with("SystemCreationClassName", SYSTEM)
                .with("SystemName", self.inventory().system.name.as_str())
                .with("ObjectManagerCreationClassName", MANAGER)
                .with("ObjectManagerName", MANAGER_NAME)
                .with("CreationClassName", "Tidelock_Namespace")
                .with("Name", name)
                .with("ClassInfo", 0_u16),
        )
    }

    fn namespace_in_manager(&self, name: &str) -> Option<Instance> {
        let (manager, namespace) = (self.manager()?, self.namespace_instance(name)?);
        let instance = Self::new_instance("Tidelock_NamespaceInManager", INTEROP)?;
        Some(
            instance
                .with("Antecedent", manager.path())
                .with("Dependent", namespace.path()),
        )
    }
}

fn registered(profile: &Profile) -> Option<Instance> {
    let instance = View::new_instance("Tidelock_RegisteredProfile", INTEROP)?;
    Some(
        instance
            .with("InstanceID", profile.id)
            .with("RegisteredOrganization", SNIA)
            .with("RegisteredName", profile.name)
            .with("RegisteredVersion", profile.version)
            .with("AdvertiseTypes", Value::numbers([2_u16]))
            .with("ElementName", format!("SNIA {}", profile.name)),
    )
}
