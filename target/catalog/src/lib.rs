//! What the daemon was told to keep: volumes, targets, LUN maps, access lists. Pure document and rules; knows no files.
//!
//! [`Catalog`] is the document. [`Catalog::apply`] is the one way to change it: a [`Command`] either
//! becomes a list of [`Change`]s or is refused with a [`CatalogError`] and leaves everything as it
//! was. [`Catalog::encode`] and [`Catalog::decode`] turn it into bytes and back; whoever owns the
//! file replaces it whole after each change.
//!
//! Identifiers that hosts remember (serial numbers, NAA designators, LUN numbers, relative port
//! identifiers) are given once, stored, and never derived anew.
#![forbid(unsafe_code)]

pub mod acl;
pub mod asymmetric_access;
pub mod command;
pub mod document;
pub mod encoding;
pub mod error;
pub mod family;
pub mod group;
pub mod hydration;
pub mod iscsi_name;
pub mod mirror;
pub mod network;
pub mod parameters;
pub mod peer;
pub mod portal_group;
pub mod redirect;
mod rules;
pub mod schedule;
pub mod secret;
pub mod shared_identity;
pub mod snapshot;
pub mod snapshots;
pub mod target;
pub mod volume;

pub use acl::{Access, Acl, AclEntry, InitiatorPattern, Subject, Verdict};
pub use asymmetric_access::{AccessChange, AccessState, AlteredBy, GroupAccess};
pub use command::{AclScope, Change, Command};
pub use document::{Catalog, DaemonIdentity, VOLUMES_MAX};
pub use encoding::DecodeError;
pub use error::{CatalogError, ErrorKind};
pub use family::{Backing, DatasetId, Family, FamilyId, HomeFile, Origin, Place};
pub use group::Group;
pub use hydration::{Hydration, HydrationProgress, Intent, IntentKind, RestoreMember};
pub use iscsi_name::{IscsiName, IscsiNameError, NamePrefix};
pub use mirror::{
    Elsewhere, Mirror, MirrorCompression, MirrorEnd, MirrorFailover, MirrorId, MirrorMode,
    MirrorRest, MirrorSide, OnFailure, RESYNC_LIMIT_MIN,
};
pub use network::{Network, NetworkError};
pub use parameters::{DigestUse, ParameterError, SessionParameters};
pub use peer::{Fingerprint, FingerprintError, PEERS_MAX, Peer, PeerAddress, PeerAddressError};
pub use portal_group::{PortalGroupTag, PortalGroupTagError, PortalGroups};
pub use redirect::{PortalAddress, PortalAddressError, Redirect};
pub use schedule::Schedule;
pub use secret::{ChapAccess, ChapUser, ChapUserError, Credentials, Secret, SecretError};
pub use shared_identity::SharedIdentity;
pub use snapshot::{
    DatasetRef, GroupName, PeerName, ReferenceError, SnapshotName, SnapshotRef, WordError,
};
pub use snapshots::{ListChange, Snapshot, SnapshotList};
pub use target::{Lun, LunNumber, Target, relative_port_identifier};
pub use volume::{
    BlockSize, Integrity, NewClone, NewVolume, SpaceLimits, Volume, VolumeId, VolumeName,
    VolumeNameError,
};
