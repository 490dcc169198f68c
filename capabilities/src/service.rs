//! The methods of CIM_ReplicationServiceCapabilities. All but three answer from what is built, whatever the
//! state of any element; nothing that isn't built is ever reported.
//!
//! Numbers come in as they were sent. A number that the schema reserves is an invalid parameter; a type that
//! exists and isn't built is not supported.

mod connection;
mod features;
mod operations;
mod settings;
mod states;
mod synchronization;

pub use operations::SupportedOperations;
pub use settings::SettingValue;
pub use states::SupportedCopyStates;

use crate::built::{BuiltCapabilities, BuiltType};
use crate::values::{
    Action, Edition, LocalOrRemote, Mode, ReplicationType, ReturnCode, StorageObject, SyncType,
    ValueMap, ValueSet,
};

/// The class, over what is built. It leaves out whatever is newer than its edition.
#[derive(Clone, Copy, Debug)]
pub struct ReplicationServiceCapabilities<'a> {
    built: &'a BuiltCapabilities,
    edition: Edition,
}

/// What a method answers: its out parameters, or why there are none.
pub type Answer<T> = Result<T, ReturnCode>;

impl<'a> ReplicationServiceCapabilities<'a> {
    /// The class as an interface of this edition shows it.
    #[must_use]
    pub const fn new(built: &'a BuiltCapabilities, edition: Edition) -> Self {
        Self { built, edition }
    }

    /// SupportedReplicationTypes.
    #[must_use]
    pub fn supported_replication_types(&self) -> ValueSet<ReplicationType> {
        self.built.replication_types()
    }

    /// SupportedStorageObjects.
    #[must_use]
    pub const fn supported_storage_objects(&self) -> ValueSet<StorageObject> {
        self.built.storage_objects
    }

    /// SupportedSynchronousActions.
    #[must_use]
    pub fn supported_synchronous_actions(&self) -> ValueSet<Action> {
        self.built.synchronous_actions.up_to(self.edition)
    }

    /// SupportedAsynchronousActions.
    #[must_use]
    pub fn supported_asynchronous_actions(&self) -> ValueSet<Action> {
        self.built.asynchronous_actions.up_to(self.edition)
    }

    /// ConvertSyncTypeToReplicationType. Its out parameter is called SupportedReplicationTypes, so a type that
    /// isn't built has no number.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built.
    pub fn convert_sync_type_to_replication_type(
        &self,
        sync_type: u16,
        mode: u16,
        local_or_remote: u16,
    ) -> Answer<ReplicationType> {
        let sync_type = read::<SyncType>(sync_type)?;
        let mode = read::<Mode>(mode)?;
        let locality = read::<LocalOrRemote>(local_or_remote)?;
        let replication_type = ReplicationType::of(sync_type, mode, locality);
        self.of(replication_type.value())
            .map(|built| built.replication_type)
    }

    /// ConvertReplicationTypeToSyncType.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built.
    pub fn convert_replication_type_to_sync_type(
        &self,
        replication_type: u16,
    ) -> Answer<(SyncType, Mode, LocalOrRemote)> {
        self.of(replication_type)
            .map(|built| built.replication_type.parts())
    }

    /// How a type is built.
    fn of(&self, replication_type: u16) -> Answer<&'a BuiltType> {
        /// The highest number that the newest edition gives: Active Mirror Remote.
        const HIGHEST: u16 = 27;
        match ReplicationType::try_from(replication_type) {
            Ok(it) => self.built.of(it).ok_or(ReturnCode::NotSupported),
            // A type that exists, of a SyncType or Mode that no engine here has.
            Err(_) if (2..=HIGHEST).contains(&replication_type) => Err(ReturnCode::NotSupported),
            Err(_) => Err(ReturnCode::InvalidParameter),
        }
    }

    /// How the groups of a type are built.
    fn of_groups(&self, replication_type: u16) -> Answer<&'a BuiltType> {
        let built = self.of(replication_type)?;
        if built.has_groups() {
            Ok(built)
        } else {
            Err(ReturnCode::NotSupported)
        }
    }

    /// Whether a method is in either list of actions.
    fn has_action(&self, action: Action) -> bool {
        self.built
            .synchronous_actions
            .union(self.built.asynchronous_actions)
            .contains(action)
    }
}

/// A number as a value of its map.
fn read<T: ValueMap>(value: u16) -> Answer<T> {
    T::try_from(value).map_err(|_| ReturnCode::InvalidParameter)
}

/// A number that may be left out.
fn read_if_given<T: ValueMap>(value: Option<u16>) -> Answer<Option<T>> {
    value.map(read).transpose()
}
