//! The value maps of the replication model, one type each. Only numbers and names; no rules.
//!
//! Values that mean different things are different types, even where they share words: CopyState 6 is
//! *Fractured* and SyncState 6 is *Synchronized*, and there are three numberings of MethodName. Nothing
//! converts one into the other but the functions that say so.
//!
//! Each type has `value()` and `name()` as DMTF writes them, `TryFrom<u16>` for what comes from outside,
//! and [`Edition`]: what is newer than CIM 2.29 doesn't belong on an interface of that age.

mod copy;
mod feature;
mod group_feature;
mod map;
mod method;
mod operation;
mod return_code;
mod service;
mod set;
mod setting;
mod state;

pub use copy::{LocalElementRole, LocalOrRemote, Mode, ReplicationType, SyncType};
pub use feature::Feature;
pub use group_feature::GroupFeature;
pub use map::{Edition, NotInMap, ValueMap};
pub use method::{Action, MethodName, WaitMethodName};
pub use operation::{Operation, ServiceControlling, SettingsDefineStateOperation};
pub use return_code::ReturnCode;
pub use service::{
    Component, ConnectionFeature, Consistency, EnabledState, GroupPersistency, StorageObject,
    SynchronizationType, ThinProvisioningFeature,
};
pub use set::ValueSet;
pub use setting::{CopyRecoveryMode, PropertyName};
pub use state::{CopyState, ProgressStatus, SyncState};
