//! What the server asks of the daemon. The daemon implements it; tests have a fake. No CIM-XML here.

use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::service::{Answer, SupportedOperations};
use tidelock_capabilities::values::{
    ConnectionFeature, CopyState, LocalOrRemote, Mode, Operation, ProgressStatus, ReplicationType,
    ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{BuiltCapabilities, SynchronizationSupported};

/// The daemon as this server sees it.
pub trait Model: Send + Sync {
    /// All that there is at this moment.
    fn inventory(&self) -> Inventory;

    /// What is built.
    fn built(&self) -> &BuiltCapabilities;

    /// GetSynchronizationSupported, as the function decides that also admits what is made.
    fn synchronization_supported(&self, question: &Question) -> SynchronizationSupported;

    /// GetSupportedOperationsForSynchronization: what ModifyReplicaSynchronization would accept now.
    ///
    /// # Errors
    /// The code that is returned.
    fn operations_for(&self, association: AssociationKey) -> Answer<SupportedOperations>;

    /// Whether ModifyReplicaSynchronization would accept an operation now.
    ///
    /// # Errors
    /// Why not.
    fn admit_operation(
        &self,
        association: AssociationKey,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused>;

    /// Makes one copy of a volume or a snapshot. It is there, and durable, when this returns.
    ///
    /// # Errors
    /// Why there is none.
    fn create_element_replica(&self, replica: &NewReplica) -> Result<Made, Refused>;

    /// Makes an aspect of a volume: a point in time that copies can be made of. It is there, and durable, when this
    /// returns, and the association is the one with the snapshot that it is.
    ///
    /// # Errors
    /// Why there is none.
    fn create_aspect(&self, aspect: &NewReplica) -> Result<Made, Refused>;

    /// What restricts a connection with a peer: GetSupportedConnectionFeatures.
    ///
    /// # Errors
    /// The code that is returned.
    fn connection_features(&self, point: &Point) -> Answer<ValueSet<ConnectionFeature>>;

    /// Makes copies of all members of a group, at one moment.
    ///
    /// # Errors
    /// Why there are none.
    fn create_group_replica(&self, replica: &NewGroupReplica) -> Result<MadeGroup, Refused>;

    /// Does an operation on an association of two elements, and says by which job it comes to the state that is
    /// waited for, or else to the one that the operation leads to. `None`: it is in it.
    ///
    /// # Errors
    /// Why it isn't done.
    fn modify(&self, change: &Modification) -> Result<Option<u64>, Refused>;

    /// Does an operation on what a set of snapshots has to do with its group.
    ///
    /// # Errors
    /// Why it isn't done.
    fn modify_group(
        &self,
        group: &str,
        set: &str,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused>;

    /// Changes groups.
    ///
    /// # Errors
    /// Why it isn't done.
    fn change_group(&self, change: &GroupChange) -> Result<(), Refused>;

    /// A job that is done when these are.
    fn all_of(&self, description: &str, jobs: &[u64]) -> u64;

    /// Whether indications can be carried to a destination.
    ///
    /// # Errors
    /// Why not.
    fn check_listener(&self, destination: &str) -> Result<(), String>;

    /// Keeps what clients have subscribed to, over restarts, in place of what was kept.
    ///
    /// # Errors
    /// The disk stands against it.
    fn keep_subscriptions(&self, text: &str) -> Result<(), String>;

    /// Tells a job to end; false if it can't be ended.
    fn cancel_job(&self, job: u64) -> bool;

    /// Tells the operator why something was refused, and keeps it as a job that has failed, of that number: a return code
    /// can't say it.
    fn note(&self, method: &str, refused: &Refused) -> u64;
}

/// What something is refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is returned.
    pub return_code: ReturnCode,
    /// What is in the way, and what would clear it.
    pub reason: String,
}

impl Refused {
    /// With a reason.
    pub fn new(return_code: ReturnCode, reason: impl Into<String>) -> Self {
        Self {
            return_code,
            reason: reason.into(),
        }
    }
}

/// What a request refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nothing was given.
    Null,
    /// It is no reference to an element.
    Malformed,
    /// A volume or a snapshot, which may not be there.
    Element(ElementId),
    /// A group, which may not be there.
    Group(String),
}

/// What a request says of where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing was given.
    Null,
    /// It is no access point that is known.
    Unknown,
    /// One of the peer of that id.
    Of(String),
}

/// The parameters of GetSynchronizationSupported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// LocalElement.
    pub local: Subject,
    /// OtherElement.
    pub other: Subject,
    /// OtherElementAccessPoint.
    pub access_point: Point,
    /// MethodName.
    pub method_name: u16,
}

/// CreateElementReplica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReplica {
    /// SourceElement.
    pub source: ElementId,
    /// SyncType.
    pub sync_type: SyncType,
    /// TargetElement, if the client supplies one.
    pub target: Option<ElementId>,
    /// The id of the peer that makes the target, if TargetAccessPoint is one of its.
    pub peer: Option<String>,
    /// Mode; the implementation decides if it is absent.
    pub mode: Option<Mode>,
    /// ElementName, which is what the copy is called; one is made up if it is absent. A target that is supplied has a
    /// name already.
    pub name: Option<String>,
    /// WaitForCopyState.
    pub wait_for: Option<CopyState>,
    /// FailedCopyStopsHostIO.
    pub stops_hosts: bool,
}

/// ModifyReplicaSynchronization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modification {
    /// Synchronization.
    pub association: AssociationKey,
    /// Operation.
    pub operation: Operation,
    /// Force.
    pub force: bool,
    /// WaitForCopyState.
    pub wait_for: Option<CopyState>,
}

/// CreateGroupReplica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroupReplica {
    /// SourceGroup.
    pub group: String,
    /// SyncType.
    pub sync_type: SyncType,
    /// Mode; the implementation decides if it is absent.
    pub mode: Option<Mode>,
    /// RelationshipName, which is what the set of copies is called; one is made up if it is absent.
    pub name: Option<String>,
    /// TargetGroup.
    pub target: Option<String>,
    /// FailedCopyStopsHostIO.
    pub stops_hosts: bool,
}

/// A copy that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The association, with the copy as its SyncedElement.
    pub association: AssociationKey,
    /// The job that brings it to Synchronized, if it isn't yet.
    pub job: Option<u64>,
}

/// Copies that were made of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeGroup {
    /// The InstanceID's part of the group that they are in.
    pub group: String,
    /// Whether there is a GroupSynchronized between it and the source.
    pub associated: bool,
}

/// A change of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// CreateGroup.
    Create {
        /// Its name.
        name: String,
        /// Its members, in order.
        members: Vec<ElementId>,
    },
    /// DeleteGroup.
    Delete {
        /// Its name.
        name: String,
    },
    /// AddMembers.
    Add {
        /// Its name.
        name: String,
        /// New members.
        members: Vec<ElementId>,
    },
    /// RemoveMembers.
    Remove {
        /// Its name.
        name: String,
        /// Members.
        members: Vec<ElementId>,
    },
}

/// All that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// What tells this daemon from others.
    pub system: System,
    /// Volumes, clones among them, and snapshots.
    pub elements: Vec<StorageElement>,
    /// What copies have to do with their sources.
    pub associations: Vec<StorageAssociation>,
    /// Groups.
    pub groups: Vec<ReplicationGroup>,
    /// Jobs.
    pub jobs: Vec<ConcreteJob>,
    /// Other daemons that this one knows.
    pub peers: Vec<PeerSystem>,
}

/// The daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// Its name, which no other one has.
    pub name: String,
    /// Whether it has read its records.
    pub ready: bool,
    /// Its version.
    pub version: String,
}

/// Another daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSystem {
    /// What tells it from others.
    pub id: String,
    /// What it is called here.
    pub name: String,
    /// Where it is, as address and port.
    pub address: String,
    /// Whether it answers.
    pub reachable: bool,
}

/// A volume or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageElement {
    /// Its identity.
    pub id: ElementId,
    /// `VOLUME`, or `VOLUME@SNAPSHOT`.
    pub name: String,
    /// Whether it is a snapshot.
    pub snapshot: bool,
    /// NAA designator, if it can be shown as a LUN by one.
    pub naa: Option<[u8; 8]>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes of a logical block.
    pub block_size: u32,
    /// How it is.
    pub health: Health,
    /// The id of the peer that has it; `None`: it is here.
    pub peer: Option<String>,
}

/// How the store of an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Well.
    Ok,
    /// It isn't there at the moment.
    NoContact,
    /// Its storage has failed.
    Failed,
}

/// CIM_StorageSynchronized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageAssociation {
    /// Source and target.
    pub key: AssociationKey,
    /// SyncType.
    pub sync_type: SyncType,
    /// Mode.
    pub mode: Mode,
    /// CopyState.
    pub copy_state: CopyState,
    /// ProgressStatus.
    pub progress_status: ProgressStatus,
    /// PercentSynced.
    pub percent_synced: Option<u8>,
    /// WhenSynced (RFC 3339, UTC).
    pub when_synced: Option<String>,
    /// FailedCopyStopsHostIO, of what is kept equal.
    pub stops_hosts: Option<bool>,
    /// Whether both ends are here.
    pub locality: LocalOrRemote,
}

impl StorageAssociation {
    /// Its ReplicationType.
    #[must_use]
    pub const fn replication_type(&self) -> ReplicationType {
        ReplicationType::of(self.sync_type, self.mode, self.locality)
    }
}

impl SnapshotSet {
    /// The ReplicationType of what it has to do with its group.
    #[must_use]
    pub const fn replication_type() -> ReplicationType {
        ReplicationType::SynchronousSnapshotLocal
    }
}

/// CIM_ReplicationGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationGroup {
    /// Its name.
    pub name: String,
    /// Its volumes, in order.
    pub members: Vec<ElementId>,
    /// The snapshots that were taken of the whole group.
    pub sets: Vec<SnapshotSet>,
}

/// Snapshots that were taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSet {
    /// Their name.
    pub name: String,
    /// The snapshots, in the order of the group.
    pub members: Vec<ElementId>,
    /// When (RFC 3339, UTC).
    pub at: String,
}

/// CIM_ConcreteJob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcreteJob {
    /// Its number.
    pub id: u64,
    /// What is done to what.
    pub description: String,
    /// JobState.
    pub state: JobState,
    /// PercentComplete.
    pub percent: Option<u8>,
    /// StartTime (RFC 3339, UTC).
    pub started: String,
    /// Why it failed, or what it waits for.
    pub detail: String,
    /// What it is done to.
    pub element: Option<ElementId>,
}

/// JobState of CIM_ConcreteJob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum JobState {
    /// At work.
    Running = 4,
    /// Waits.
    Suspended = 5,
    /// Is about to end because it was told to.
    ShuttingDown = 6,
    /// Has ended well.
    Completed = 7,
    /// Has ended because it was told to.
    Terminated = 8,
    /// Has failed.
    Exception = 10,
}
