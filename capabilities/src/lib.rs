//! What a storage element supports right now, in the terms of the DMTF replication model. Pure: no
//! I/O, no clock.
//!
//! # The question
//!
//! DMTF's `CIM_ReplicationServiceCapabilities.GetSynchronizationSupported` asks about one element (a volume,
//! a snapshot, a group), perhaps about a second one, and about one of the methods that create copies. The
//! answer is a list of [triples](Triple): SyncType (Mirror, Snapshot, Clone), Mode (Synchronous,
//! Asynchronous) and the role of the local element (SystemElement is the source, SyncedElement the target).
//!
//! Here a triple is in the answer exactly if the call would be accepted in the state of the daemon that the
//! answer was made of. [`decide()`] makes it, and [`admit()`] asks the same function before anything is created,
//! so the two can't differ.
//!
//! # An example
//!
//! A volume that is the source of a mirror, seen by hosts:
//!
//! ```
//! use tidelock_capabilities::facts::{
//!     Association, AssociationKey, Element, ElementId, Facts, Hosts, Totals,
//! };
//! use tidelock_capabilities::values::{
//!     Component, CopyState, EnabledState, MethodName, Mode, ProgressStatus, ReplicationType,
//!     ReturnCode, SyncType,
//! };
//! use tidelock_capabilities::{
//!     AccessPoint, BuiltCapabilities, BuiltType, Reference, Request, SynchronizationSupported,
//!     TargetSupply, decide,
//! };
//!
//! // What is built: synchronous snapshots, and one synchronous mirror of each volume.
//! let element_replicas = MethodName::set(&[MethodName::CreateElementReplica]);
//! let built = BuiltCapabilities {
//!     types: vec![
//!         BuiltType {
//!             methods: element_replicas,
//!             ..BuiltType::new(ReplicationType::SynchronousSnapshotLocal, TargetSupply::Created)
//!         },
//!         BuiltType {
//!             methods: element_replicas,
//!             maximums: vec![(Component::TargetElementsPerSourceElement, 1)],
//!             ..BuiltType::new(ReplicationType::SynchronousMirrorLocal, TargetSupply::Supplied)
//!         },
//!     ],
//!     ..BuiltCapabilities::default()
//! };
//!
//! // What is the case.
//! let (this, copy) = (ElementId(1), ElementId(2));
//! let mirror = Association {
//!     key: AssociationKey { system_element: this, synced_element: copy },
//!     sync_type: SyncType::Mirror,
//!     mode: Mode::Synchronous,
//!     copy_state: CopyState::Synchronized,
//!     progress_status: ProgressStatus::Completed,
//!     target_consistent: true,
//!     source_consistent: true,
//! };
//! let volume = Element {
//!     hosts: Hosts { sessions: 2, reserved: false },
//!     relations: &[mirror],
//!     ..Element::volume(this, 1 << 40, 512)
//! };
//! let facts = Facts {
//!     generation: 7,
//!     service: EnabledState::Enabled,
//!     built: &built,
//!     elements: &[volume],
//!     groups: &[],
//!     peers: &[],
//!     totals: Totals::default(),
//! };
//!
//! // CreateElementReplica, with no other element in mind.
//! let request = Request {
//!     local_element: Reference::Element(this),
//!     other_element: Reference::Null,
//!     other_element_access_point: AccessPoint::Null,
//!     method_name: 2,
//! };
//! let decision = decide(&request, &facts);
//!
//! let answer = SynchronizationSupported::from(&decision);
//! assert_eq!(answer.return_code, ReturnCode::Success);
//! assert_eq!(answer.sync_types, [SyncType::Snapshot]);
//!
//! // Everything else has a reason.
//! let (triple, verdict) = decision.explain().next().unwrap();
//! assert_eq!(triple.to_string(), "Synchronous Mirror as source");
//! assert_eq!(
//!     verdict.reason().unwrap().to_string(),
//!     "the limit is reached, 1 (Number of target elements per source element): \
//!      delete or detach one that isn't needed"
//! );
//! ```
//!
//! # Facts
//!
//! [`Facts`] is all that a decision knows, as plain data that borrows what the caller has. It holds the
//! elements that the request names, the peer that it names, and counts; nothing in it grows with the number
//! of snapshots or volumes. Deciding allocates nothing; [`SynchronizationSupported`] is three short arrays.
//!
//! A remote pair is decided twice: first with [`facts::Reach::NotAsked`]. If [`Decision::hinges_on`] then
//! names a peer, it is worth asking within a bound, and the decision is made again with what it said. If not,
//! what is known here decides, and the peer is left alone.
//!
//! # Beside that question
//!
//! * [`machine`] has the operations on associations: one table of which is accepted in which CopyState and
//!   what it leads to, and [`machine::modify()`], which admits ModifyReplicaSynchronization.
//! * [`ReplicationServiceCapabilities`] has the other methods of the class. They answer from
//!   [`BuiltCapabilities`] alone, so what isn't built is in none of them; states and operations come from the
//!   table. [`BuiltCapabilities::check`] finds what would be advertised and never work.
//! * [`available_targets`] is GetAvailableTargetElements: each candidate is asked about as if it were named.
//!
//! # Return codes
//!
//! The arrays are empty, never absent, unless the code is 0. If no triple is supported, the least lasting
//! obstacle over all triples gives the code; of several reasons against one triple the most lasting is told.
//!
//! | code | means here | obstacle | what a client should do |
//! |---|---|---|---|
//! | 0 Success | something is supported | | offer it |
//! | 3 Timeout | all that is known here allows it, and a peer didn't answer | NoPeer | check the link, ask again |
//! | 6 In Use | possible, but not now: busy, a limit, an existing relation | NotNow | wait, or clear what blocks |
//! | 2 Unknown | the state can't be known, or the records are still being read | Unknown | ask again later |
//! | 4 Failed | something is broken, or the service is off | Fault | call an operator |
//! | 1 Not Supported | not for this element or pair | Never | don't offer it, don't ask again |
//! | 5 Invalid Parameter | the request is wrong | | put it right |
//!
//! DMTF names these codes and defines none of them for this method. That 1 is lasting and 6 passing follows
//! its `GetSupportedTokenizedReplicationType`; the rest is ours.
//!
//! # What follows from the state of an element
//!
//! S, C and M are a snapshot, clone or mirror *of* it; tC and tM are it as the target that a client supplies
//! for a clone or mirror. (As the target of a snapshot it can't be supplied, if the engine makes those.)
//! The tests `row_01` to `row_30` are these rows.
//!
//! | # | now | S | C | M | tC | tM |
//! |---|---|---|---|---|---|---|
//! | 1 | unrelated, unused | Yes | Yes | Yes | Yes | Yes |
//! | 2 | hosts can write it, or a reservation is held | Yes | Yes | Yes | NotNow | NotNow |
//! | 3 | offline, readable | Yes | Yes | Yes | Yes | Yes |
//! | 4 | its store is missing, failing or fenced | Fault | Fault | Fault | Fault | Fault |
//! | 5 | being created, deleted, resized, moved, formatted, sanitized | NotNow | NotNow | NotNow | NotNow | NotNow |
//! | 6, 8 | mirror source, and nothing is being copied | Yes | Yes | to the limit | NotNow | NotNow |
//! | 7 | mirror source, being copied | Yes | Yes | NotNow | NotNow | NotNow |
//! | 9 | being restored from a replica | NotNow | NotNow | NotNow | NotNow | NotNow |
//! | 10 | an association is Restored, or "Requires ..." | NotNow | NotNow | NotNow | NotNow | NotNow |
//! | 11, 12, 14, 17 | mirror target: Synchronized, Split, Failedover | Yes | Yes | NotNow | NotNow | NotNow |
//! | 13, 14, 15 | mirror target: being copied, Suspended, Fractured, ... | if consistent | if consistent | NotNow | NotNow | NotNow |
//! | 16 | mirror target: Broken | if consistent, else Fault | same | Fault | Fault | Fault |
//! | 18 | mirror source after a failover | NotNow | NotNow | NotNow | NotNow | NotNow |
//! | 19 | mirror source: Partitioned, Invalid | Yes | Yes | Unknown | Unknown | Unknown |
//! | 20 | mirror target: Partitioned, Invalid | if consistent, else Unknown | same | Unknown | Unknown | Unknown |
//! | 21, 24 | a snapshot | Never, or by the limit of hops | Yes | Never | Never | Never |
//! | 22 | a snapshot that is restored from, inactive, aborted | Never | NotNow | Never | Never | Never |
//! | 23 | a broken snapshot | Never | Fault | Never | Never | Never |
//! | 25 | a clone being copied | if it reads through | same | NotNow | NotNow | NotNow |
//! | 26 | a clone, complete, not detached | Yes | Yes | NotNow | NotNow | NotNow |
//! | 27 | clone source, being copied | Yes | to the limit | Yes | NotNow | NotNow |
//! | 28 | the limit of snapshots is reached | NotNow | Yes | Yes | | |
//! | 29 | no space for a target that the service makes | NotNow | NotNow | NotNow | | |
//! | 30 | several at once | the most lasting: Never, Fault, Unknown, NotNow, NoPeer |||||
//!
//! The table began as one for an engine that was assumed. Where the rules of this one differ:
//!
//! * *Consistent images are a fact* ([`facts::Association::target_consistent`]), not guessed from the state.
//!   An asynchronous target, and one that is being resynchronized, keeps its last consistent cut, so it can be
//!   copied in rows 13, 16 and 20 as well. A target that was Suspended in the middle of its first copy can't
//!   (row 14), though Suspended alone would have allowed it.
//! * *A source that was left half restored* is NotNow as a source, by [`facts::Association::source_consistent`].
//! * *A snapshot isn't frozen again* (row 21), since that would be the same image; a clone of it can be. An
//!   engine that has chains publishes *Multi-hop element replication* with a limit of hops.
//! * *Format and sanitize* are locks of row 5, and a *fenced* store is a fault of row 4.
//! * *Space is asked per kind of copy* (row 29): redirect-on-write has space for a point in time where there is
//!   none for a full copy.
//! * *Read-only volumes* are refused as targets, for as long as they are configured so.
#![forbid(unsafe_code)]

pub mod admit;
pub mod answer;
pub mod built;
pub mod decide;
pub mod facts;
pub mod machine;
pub mod reason;
pub mod request;
mod rules;
pub mod sentence;
pub mod service;
pub mod triple;
pub mod values;
pub mod verdict;

pub use admit::{Admitted, Creation, Refusal, admit, available_targets};
pub use answer::SynchronizationSupported;
pub use built::{BuiltCapabilities, BuiltType, TargetSupply};
pub use decide::{Decision, decide};
pub use facts::Facts;
pub use reason::{Obstacle, Reason};
pub use request::{AccessPoint, Problem, Reference, Request};
pub use sentence::{Identities, Names};
pub use service::ReplicationServiceCapabilities;
pub use triple::Triple;
pub use verdict::Verdict;
