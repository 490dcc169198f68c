//! Features, consistency, thin provisioning, limits and defaults of a type.

use super::{Answer, ReplicationServiceCapabilities, read};
use crate::values::{
    Component, Consistency, Feature, GroupFeature, GroupPersistency, ReturnCode,
    ThinProvisioningFeature, ValueSet,
};

impl ReplicationServiceCapabilities<'_> {
    /// GetSupportedFeatures.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built.
    pub fn get_supported_features(&self, replication_type: u16) -> Answer<ValueSet<Feature>> {
        let built = self.of(replication_type)?;
        Ok(built.published_features().up_to(self.edition))
    }

    /// GetSupportedGroupFeatures.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built or has no groups.
    pub fn get_supported_group_features(
        &self,
        replication_type: u16,
    ) -> Answer<ValueSet<GroupFeature>> {
        let built = self.of_groups(replication_type)?;
        Ok(built.group_features.up_to(self.edition))
    }

    /// GetSupportedConsistency. Empty if writes aren't kept in order across the members of a group.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built or has no groups.
    pub fn get_supported_consistency(
        &self,
        replication_type: u16,
    ) -> Answer<ValueSet<Consistency>> {
        let built = self.of_groups(replication_type)?;
        Ok(if built.sequentially_consistent {
            ValueSet::all()
        } else {
            ValueSet::EMPTY
        })
    }

    /// GetDefaultConsistency: 2 is Sequentially Consistent, `None` (0) that there is no default.
    ///
    /// # Errors
    ///
    /// As [`Self::get_supported_consistency`].
    pub fn get_default_consistency(&self, replication_type: u16) -> Answer<Option<Consistency>> {
        let built = self.of_groups(replication_type)?;
        let consistent = GroupFeature::ConsistencyEnabledForAllGroups;
        Ok(
            (built.sequentially_consistent && built.group_features.contains(consistent))
                .then_some(Consistency::SequentiallyConsistent),
        )
    }

    /// GetDefaultGroupPersistency.
    ///
    /// # Errors
    ///
    /// Not Supported if there are no groups.
    pub fn get_default_group_persistency(&self) -> Answer<GroupPersistency> {
        let has_groups = self.built.types.iter().any(|it| it.has_groups());
        match self.built.group_persistency {
            _ if !has_groups => Err(ReturnCode::NotSupported),
            persistency => Ok(persistency.unwrap_or(GroupPersistency::NoDefault)),
        }
    }

    /// GetSupportedThinProvisioningFeatures.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built or says nothing.
    pub fn get_supported_thin_provisioning_features(
        &self,
        replication_type: u16,
    ) -> Answer<ValueSet<ThinProvisioningFeature>> {
        let built = self.of(replication_type)?;
        if built.thin_provisioning.is_empty() {
            return Err(ReturnCode::NotSupported);
        }
        Ok(built.thin_provisioning)
    }

    /// GetSupportedMaximum: a limit as configured, 0 for none. The same number that decisions go by.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built, Not Available if nothing
    /// is known of that limit.
    pub fn get_supported_maximum(&self, replication_type: u16, component: u16) -> Answer<u64> {
        let built = self.of(replication_type)?;
        let component = read::<Component>(component)?;
        if component.edition() > self.edition {
            return Err(ReturnCode::InvalidParameter);
        }
        built.maximum(component).ok_or(ReturnCode::NotAvailable)
    }
}
