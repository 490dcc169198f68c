//! Version 1 of the API: what requests and answers look like. Fields are only ever added; what
//! changes its meaning becomes a new version.
//!
//! Requests refuse fields that they don't know, so a misspelt option can't be overlooked; answers
//! may get more fields, which clients must ignore.

mod access;
mod asymmetric_access;
mod capabilities;
mod check;
mod clone;
mod error;
mod event;
mod family;
mod group;
mod job;
mod mirror;
mod parameters;
mod peers;
mod reservation;
mod secret;
mod session;
mod snapshot;
mod status;
mod stream;
mod target;
mod volume;

pub use access::{AccessEntry, AccessKind, AccessList, ChapUsers, Credentials, SetAccess};
pub use asymmetric_access::{
    AccessState, AlteredBy, AsymmetricAccess, GroupAccess, SetGroupAccess, TargetPort,
};
pub use capabilities::{Capabilities, SynchronizationVerdict};
pub use check::{CheckReport, ScrubVolume};
pub use clone::{
    CloneGroup, CloneList, CloneOf, CopyState, CreateClone, ProgressStatus, SplitClone, SyncType,
};
pub use error::{ErrorBody, ErrorCode, ErrorDetail};
pub use event::{Event, EventKind};
pub use family::{Origin, VolumeFamily};
pub use group::{CreateGroup, Group, GroupList, Schedule, ScheduleList, SetSchedule, SnapshotSet};
pub use job::{Job, JobKind, JobList, JobState};
pub use mirror::{
    CreateGroupMirrors, CreateMirror, Mirror, MirrorCompressed, MirrorCompression, MirrorEnd,
    MirrorFailover, MirrorFailoverSet, MirrorLag, MirrorList, MirrorMode, MirrorNext,
    MirrorOperation, ModifyMirror, OnFailure, SetMirror, SetMirrorFailover,
};
pub use parameters::{DigestUse, SessionParameters, SetParameters};
pub use peers::{
    AcceptPeer, AddPeer, Peer, PeerIdentity, PeerList, PeerRequest, PeerState, SetPeer,
};
pub use reservation::{Registrant, ReservationType, Reservations};
pub use secret::SecretText;
pub use session::{LogoutSession, Session, SessionList};
pub use snapshot::{
    CreateSnapshot, Diff, DiffRange, RestoreSnapshot, Restored, RestoredVolume, Snapshot,
    SnapshotCause, SnapshotList,
};
pub use status::{Backend, Memory, PortalGroup, Space, Status, VolumeCounts};
pub use stream::{ReceiveStatus, Received};
pub use target::{CreateTarget, Lun, MapLun, Redirect, SetTarget, Target, TargetList};
pub use volume::{
    CreateVolume, Integrity, Mapping, ResizeVolume, SpaceLimits, Volume, VolumeList, VolumeState,
};
