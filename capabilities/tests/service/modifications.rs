//! ModifyReplicaSynchronization with the ends as they are, and the live list of operations.

use tidelock_capabilities::facts::{
    Association, Element, Facts, Hosts, Lock, Peer, PeerFault, PeerId, Place, Reach, Store, Totals,
};
use tidelock_capabilities::machine::{After, Modification, OperationRefusal, Transition, modify};
use tidelock_capabilities::values::{
    CopyState, Edition, EnabledState, Feature, Mode, Operation, ReplicationType, ReturnCode,
    ServiceControlling, SyncType, ValueSet,
};
use tidelock_capabilities::{BuiltCapabilities, Reason, ReplicationServiceCapabilities};

use crate::rig::*;

const PEER: PeerId = PeerId(9);

fn facts<'a>(
    built: &'a BuiltCapabilities,
    elements: &'a [Element<'a>],
    peers: &'a [Peer],
) -> Facts<'a> {
    Facts {
        generation: 1,
        service: EnabledState::Enabled,
        built,
        elements,
        groups: &[],
        peers,
        totals: Totals::default(),
    }
}

fn peer(reach: Reach) -> Peer {
    Peer {
        id: PEER,
        reach,
        types: ValueSet::all(),
        room_for: ValueSet::all(),
        connection: ValueSet::EMPTY,
    }
}

/// A mirror to a peer, in a state, with the peer as it is.
fn remote(
    operation: Operation,
    copy_state: CopyState,
    reach: Reach,
) -> Result<Transition, OperationRefusal> {
    remote_with(operation, copy_state, reach, &[])
}

/// The same, with what was last heard of its element.
fn remote_with(
    operation: Operation,
    copy_state: CopyState,
    reach: Reach,
    locks: &[Lock],
) -> Result<Transition, OperationRefusal> {
    let built = full();
    let relations = [association(SyncType::Mirror, copy_state)];
    let elements = [
        Element {
            relations: &relations,
            ..Element::volume(SOURCE, 1 << 30, 512)
        },
        Element {
            place: Place::At(PEER),
            locks,
            ..Element::volume(TARGET, 1 << 30, 512)
        },
    ];
    let peers = [peer(reach)];
    let modification = Modification {
        operation,
        synchronization: KEY,
        force: false,
    };
    modify(&modification, &facts(&built, &elements, &peers))
}

/// A local copy in a state, with the ends as they are.
fn local(
    operation: Operation,
    relation: Association,
    source: Element<'_>,
    target: Element<'_>,
) -> Result<Transition, OperationRefusal> {
    local_with(operation, relation, source, target, false)
}

/// The same, by force or without.
fn local_with(
    operation: Operation,
    relation: Association,
    source: Element<'_>,
    target: Element<'_>,
    force: bool,
) -> Result<Transition, OperationRefusal> {
    let built = full();
    let relations = [relation];
    let elements = [
        Element {
            relations: &relations,
            ..source
        },
        target,
    ];
    let modification = Modification {
        operation,
        synchronization: KEY,
        force,
    };
    modify(&modification, &facts(&built, &elements, &[]))
}

fn source() -> Element<'static> {
    Element::volume(SOURCE, 1 << 30, 512)
}

fn target() -> Element<'static> {
    Element::volume(TARGET, 1 << 30, 512)
}

fn used(element: Element<'_>) -> Element<'_> {
    Element {
        hosts: Hosts {
            sessions: 1,
            reserved: false,
        },
        ..element
    }
}

#[test]
fn what_needs_both_ends_needs_the_peer() {
    let silent = Reach::Silent;
    for (operation, copy_state, needs) in [
        (Operation::ResyncReplica, CopyState::Broken, true),
        (Operation::Split, CopyState::Synchronized, true),
        (Operation::Resume, CopyState::Suspended, true),
        (Operation::Failback, CopyState::Failedover, true),
        (Operation::Failover, CopyState::Broken, false),
        (Operation::Fracture, CopyState::Broken, false),
        (Operation::Detach, CopyState::Broken, false),
        (Operation::Suspend, CopyState::Synchronized, false),
    ] {
        assert!(remote(operation, copy_state, Reach::Answers).is_ok());
        let result = remote(operation, copy_state, silent);
        if needs {
            let refused = result.unwrap_err();
            assert_eq!(refused, OperationRefusal::End(Reason::PeerSilent(PEER)));
            assert_eq!(refused.return_code(), ReturnCode::Timeout);
        } else {
            assert!(result.is_ok(), "{operation}: {result:?}");
        }
    }
}

#[test]
fn what_was_heard_of_a_peer_counts_only_while_it_answers() {
    let fracture = |reach| {
        remote_with(
            Operation::Fracture,
            CopyState::Broken,
            reach,
            &[Lock::Moving],
        )
    };
    assert!(matches!(
        fracture(Reach::Answers).unwrap_err(),
        OperationRefusal::End(Reason::Locked {
            element: TARGET,
            lock: Lock::Moving
        })
    ));
    assert!(fracture(Reach::Silent).is_ok());
}

#[test]
fn what_is_wrong_with_the_peer_is_told() {
    let resync = |reach| remote(Operation::ResyncReplica, CopyState::Broken, reach);
    let fault = PeerFault::Authentication;
    for (reach, reason, code) in [
        (
            Reach::NotAsked,
            Reason::PeerNotAsked(PEER),
            ReturnCode::Timeout,
        ),
        (
            Reach::Faulty(fault),
            Reason::PeerFaulty(PEER, fault),
            ReturnCode::Failed,
        ),
        (
            Reach::Incompatible,
            Reason::PeerIncompatible(PEER),
            ReturnCode::NotSupported,
        ),
    ] {
        let refused = resync(reach).unwrap_err();
        assert_eq!(refused, OperationRefusal::End(reason));
        assert_eq!(refused.return_code(), code);
    }
}

#[test]
fn a_restore_is_refused_while_hosts_use_the_source() {
    let snapshot = association(SyncType::Snapshot, CopyState::Synchronized);
    let restore = |source| local(Operation::RestoreFromReplica, snapshot, source, target());
    assert!(restore(source()).is_ok());
    let refused = restore(used(source())).unwrap_err();
    assert!(matches!(
        refused,
        OperationRefusal::End(Reason::InUseByHosts {
            element: SOURCE,
            ..
        })
    ));
    assert_eq!(refused.return_code(), ReturnCode::InUse);
}

#[test]
fn a_restore_under_hosts_is_a_matter_of_force_and_nothing_else_that_overwrites_a_source_is() {
    let mirror = |copy_state| Association {
        mode: Mode::Synchronous,
        ..association(SyncType::Mirror, copy_state)
    };
    let by_force = |operation, copy_state| {
        local_with(
            operation,
            mirror(copy_state),
            used(source()),
            target(),
            true,
        )
    };
    assert!(by_force(Operation::RestoreFromReplica, CopyState::Split).is_ok());
    let refused = by_force(Operation::Failback, CopyState::Failedover).unwrap_err();
    assert!(matches!(
        refused,
        OperationRefusal::End(Reason::InUseByHosts { .. })
    ));
}

#[test]
fn a_resync_is_refused_while_hosts_use_a_target_that_they_can_use() {
    let mirror = |copy_state| Association {
        mode: Mode::Synchronous,
        ..association(SyncType::Mirror, copy_state)
    };
    let resync = |copy_state, target| {
        local(
            Operation::ResyncReplica,
            mirror(copy_state),
            source(),
            target,
        )
    };
    assert!(resync(CopyState::Split, target()).is_ok());
    assert!(matches!(
        resync(CopyState::Split, used(target())).unwrap_err(),
        OperationRefusal::End(Reason::InUseByHosts {
            element: TARGET,
            ..
        })
    ));
    // The target of a broken mirror is no use to a host, whoever is logged in.
    assert!(resync(CopyState::Broken, used(target())).is_ok());
    // The source is read, and may be used.
    let relation = mirror(CopyState::Split);
    assert!(local(Operation::ResyncReplica, relation, used(source()), target()).is_ok());
}

#[test]
fn locks_and_faults_of_an_end_are_in_the_way() {
    let mirror = association(SyncType::Mirror, CopyState::Synchronized);
    let locked = Element {
        locks: &[Lock::Resizing],
        ..target()
    };
    let refused = local(Operation::Fracture, mirror, source(), locked).unwrap_err();
    assert_eq!(
        refused,
        OperationRefusal::End(Reason::Locked {
            element: TARGET,
            lock: Lock::Resizing
        })
    );
    let faulty = Element {
        store: Store::Failing,
        ..target()
    };
    let refused = local(Operation::Split, mirror, source(), faulty).unwrap_err();
    assert_eq!(refused.return_code(), ReturnCode::Failed);
    // What is broken can still be taken apart.
    assert!(local(Operation::Fracture, mirror, source(), faulty).is_ok());
    assert!(local(Operation::Detach, mirror, source(), faulty).is_ok());
}

#[test]
fn another_mode_has_to_be_built() {
    let to_async = |reach| remote(Operation::ResetToAsync, CopyState::Synchronized, reach);
    let transition = to_async(Reach::Answers).unwrap();
    assert_eq!(transition.after, After::InMode(Mode::Asynchronous));
    let mut built = full();
    built
        .types
        .retain(|it| it.replication_type != ReplicationType::AsynchronousMirrorRemote);
    let relations = [association(SyncType::Mirror, CopyState::Synchronized)];
    let elements = [Element {
        relations: &relations,
        ..source()
    }];
    let modification = Modification {
        operation: Operation::ResetToAsync,
        synchronization: KEY,
        force: false,
    };
    assert_eq!(
        modify(&modification, &facts(&built, &elements, &[])).unwrap_err(),
        OperationRefusal::TypeNotBuilt(ReplicationType::AsynchronousMirrorRemote)
    );
}

#[test]
fn roles_are_reversed_only_with_a_read_only_source_where_that_is_published() {
    let mut built = full();
    let feature = Feature::ReverseRolesOperationRequiresReadOnlySource;
    let mirror = &mut built.types[2];
    assert_eq!(
        mirror.replication_type,
        ReplicationType::SynchronousMirrorLocal
    );
    mirror.features = mirror.features.with(feature);
    let relations = [association(SyncType::Mirror, CopyState::Synchronized)];
    let ask = |read_only| {
        let elements = [
            Element {
                relations: &relations,
                read_only,
                ..source()
            },
            target(),
        ];
        let modification = Modification {
            operation: Operation::ReverseRoles,
            synchronization: KEY,
            force: false,
        };
        modify(&modification, &facts(&built, &elements, &[]))
    };
    assert_eq!(ask(false).unwrap_err(), OperationRefusal::SourceNotReadOnly);
    assert!(matches!(ask(true).unwrap().after, After::Reversed(_)));
}

#[test]
fn an_association_that_is_not_there_is_an_invalid_parameter() {
    let built = full();
    let modification = Modification {
        operation: Operation::Detach,
        synchronization: KEY,
        force: true,
    };
    let elements = [source(), target()];
    let refused = modify(&modification, &facts(&built, &elements, &[])).unwrap_err();
    assert_eq!(refused, OperationRefusal::NoAssociation(KEY));
    assert_eq!(refused.return_code(), ReturnCode::InvalidParameter);
}

#[test]
fn the_live_list_has_what_would_be_accepted_and_nothing_else() {
    let built = full();
    for edition in [Edition::V2_29, Edition::V2_49] {
        let class = ReplicationServiceCapabilities::new(&built, edition);
        for sync_type in SyncType::ALL.iter().copied() {
            for copy_state in CopyState::ALL.iter().copied() {
                for (source, target) in [
                    (source(), target()),
                    (used(source()), target()),
                    (source(), used(target())),
                ] {
                    let relations = [association(sync_type, copy_state)];
                    let elements = [
                        Element {
                            relations: &relations,
                            ..source
                        },
                        target,
                    ];
                    let facts = facts(&built, &elements, &[]);
                    let told = class
                        .get_supported_operations_for_synchronization(KEY, &facts)
                        .unwrap();
                    let count = told.supported_operations.len();
                    assert_eq!(told.service_controlling.len(), count);
                    assert_eq!(told.requires_force.len(), count);
                    assert_eq!(told.updates_synchronized_path.len(), count);
                    for operation in Operation::ALL.iter().copied() {
                        let ask = |force| {
                            let modification = Modification {
                                operation,
                                synchronization: KEY,
                                force,
                            };
                            modify(&modification, &facts).is_ok()
                        };
                        let at = told
                            .supported_operations
                            .iter()
                            .position(|it| *it == operation);
                        let shown = operation.edition() <= edition;
                        assert_eq!(at.is_some(), shown && ask(true), "{operation}");
                        if let Some(at) = at {
                            assert_eq!(told.requires_force[at], !ask(false));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_live_list_says_which_operations_change_the_key() {
    let built = full();
    let class = ReplicationServiceCapabilities::new(&built, Edition::V2_49);
    let relations = [association(SyncType::Mirror, CopyState::Synchronized)];
    let elements = [
        Element {
            relations: &relations,
            ..source()
        },
        target(),
    ];
    let told = class
        .get_supported_operations_for_synchronization(KEY, &facts(&built, &elements, &[]))
        .unwrap();
    let changing: Vec<_> = told
        .supported_operations
        .iter()
        .zip(&told.updates_synchronized_path)
        .filter(|(_, changes)| **changes)
        .map(|(operation, _)| *operation)
        .collect();
    assert_eq!(changing, [Operation::ReverseRoles]);
    assert_eq!(
        told.service_controlling[0],
        ServiceControlling::SourceOrTarget
    );
}
