//! What the state of a mirror shows, and asks of its ends.

use tidelock_capabilities::TargetSupply;
use tidelock_capabilities::facts::ElementId;
use tidelock_capabilities::machine::transition;
use tidelock_capabilities::values::{CopyRecoveryMode, ReplicationType};
use tidelock_catalog::{MirrorEnd, MirrorFailover, MirrorId, MirrorMode, VolumeName};
use uuid::Uuid;

use super::*;
use MirrorSide::{First, Second};

fn found(rest: MirrorRest) -> State {
    let end = |name: &str, node| MirrorEnd {
        volume: VolumeName::new(name).unwrap(),
        node: Uuid::from_u128(node),
        elsewhere: None,
    };
    let record = Mirror {
        id: MirrorId(Uuid::from_u128(9)),
        first: end("a", 1),
        second: end("b", 2),
        source: First,
        on_failure: OnFailure::Continue,
        mode: MirrorMode::Synchronous,
        rest,
        failover: MirrorFailover::Manual,
        resync_limit: None,
        compression: tidelock_catalog::MirrorCompression::None,
    };
    let key = AssociationKey {
        system_element: ElementId(1),
        synced_element: ElementId(2),
    };
    let built = BuiltType {
        operations: Operation::set(&[Operation::Failover]),
        copy_recovery_mode: CopyRecoveryMode::Automatic,
        ..BuiltType::new(
            ReplicationType::SynchronousMirrorLocal,
            TargetSupply::Supplied,
        )
    };
    State::found(record, key, built)
}

#[test]
fn what_is_held_is_held_before_the_ends_meet_again() {
    for (rest, held) in [
        (MirrorRest::Linked, false),
        (MirrorRest::FailedOver, false),
        (MirrorRest::Suspended, true),
        (MirrorRest::Fractured, true),
        (MirrorRest::Split, true),
    ] {
        let mut state = found(rest);
        let asked = state.opened(First, Role::Source);
        let hold = Do::Wish(First, Wish::Hold(NodeId(2)));
        assert_eq!(asked, if held { vec![hold] } else { vec![] }, "{rest:?}");
        assert_eq!(state.opened(Second, Role::Target), []);
    }
}

#[test]
fn a_source_whose_disk_had_failed_has_to_meet_a_peer_before_hosts_use_it() {
    let mut record = found(MirrorRest::Linked).record().clone();
    record.second.elsewhere = Some(tidelock_catalog::Elsewhere {
        peer: tidelock_catalog::PeerName::new("b").unwrap(),
        dials: true,
    });
    let key = found(MirrorRest::Linked).association().key;
    let built = BuiltType::new(
        ReplicationType::SynchronousMirrorRemote,
        TargetSupply::Created,
    );
    let mut state = State::new(record, key, built);
    state.opened(First, Role::Source);
    assert_eq!(state.access(), Some(Access::Active));
    state.report(First, &Report::DiskFailed);
    // What had the disk is opened anew; the other end may have been promoted.
    state.opened(First, Role::Source);
    assert_eq!(state.access(), Some(Access::Transitioning));
    let has_all = Verdict::Send {
        base: None,
        drops_theirs: false,
    };
    state.report(First, &Report::Met(NodeId(2), has_all));
    assert_eq!(state.access(), Some(Access::Active));
}

#[test]
fn a_failover_that_can_not_be_is_taken_back() {
    let mut state = found(MirrorRest::Linked);
    state.opened(First, Role::Source);
    state.opened(Second, Role::Target);
    state.report(First, &Report::InStep(NodeId(2)));
    state.report(First, &Report::DiskFailed);
    assert_eq!(state.association().copy_state, CopyState::Broken);
    let before = *state.association();
    let operation = Operation::Failover;
    let over = transition(operation, &before, Scope::Element, &state.built, true).unwrap();
    let asked = state.begin(operation, &over);
    assert_eq!(asked, [Do::Wish(Second, Wish::Promote)]);
    assert!(state.is_pending());
    // It has turned out not to have an image after all.
    let refused = Report::Refused(Wish::Promote, Refusal::NoImage);
    let asked = state.report(Second, &refused);
    assert_eq!(asked, [Do::TakeBack(First, MirrorRest::Linked)]);
    assert!(!state.is_pending());
    assert_eq!(*state.association(), before);
    assert!(state.failure().unwrap().contains("image"));
}

#[test]
fn an_old_source_is_not_written_while_nobody_knows_whether_another_one_took_over() {
    let mut state = found(MirrorRest::FailedOver);
    state.opened(First, Role::Source);
    assert!(!state.is_writable(First), "the other one isn't open yet");
    state.closed(Second, "its file is missing".into());
    assert!(!state.is_writable(First));
    state.opened(Second, Role::Source);
    assert!(!state.is_writable(First) && state.is_writable(Second));
    // It never took over: hosts go on with the old one until it does.
    state.opened(Second, Role::Target);
    assert!(state.is_writable(First) && !state.is_writable(Second));
}

#[test]
fn a_change_of_roles_goes_on_whenever_the_ends_meet() {
    let mut state = found(MirrorRest::FailedOver);
    state.opened(First, Role::Target);
    state.opened(Second, Role::Target);
    let asked = state.report(Second, &Report::Met(NodeId(1), Verdict::NoSource));
    assert_eq!(asked, [Do::Wish(Second, Wish::TakeOver(NodeId(1)))]);
    assert!(!state.is_writable(First) && !state.is_writable(Second));
    state.report(Second, &Report::Serving);
    assert_eq!(state.association().copy_state, CopyState::Failedover);
    assert!(state.is_writable(Second));
    // If the old source is one still, it hands over as soon as nothing is lost by that.
    let mut state = found(MirrorRest::FailedOver);
    state.opened(First, Role::Source);
    state.opened(Second, Role::Target);
    let asked = state.report(First, &Report::InStep(NodeId(2)));
    assert_eq!(asked, [Do::Wish(First, Wish::HandOver(NodeId(2)))]);
}

#[test]
fn a_restore_asks_for_one_thing_after_the_other_and_the_ends_meet_when_the_source_is_none() {
    let mut state = found(MirrorRest::RestoringSplit);
    assert_eq!(
        state.association().progress_status,
        ProgressStatus::Restoring
    );
    let hold = vec![Do::Wish(First, Wish::Hold(NodeId(2)))];
    assert_eq!(state.opened(First, Role::Source), hold);
    assert_eq!(state.restore_step(), (Step::Wait, vec![]));
    assert_eq!(state.opened(Second, Role::Target), []);
    let asks = |state: &mut State, side, wish| {
        let asked = (Step::Wait, vec![Do::Wish(side, wish)]);
        assert_eq!(state.restore_step(), asked);
        // Once is enough, until it answers.
        assert_eq!(state.restore_step(), (Step::Wait, vec![]));
        assert!(!state.is_writable(First) && !state.is_writable(Second));
        assert!(state.is_closed_to_hosts(First) && !state.is_closed_to_hosts(Second));
    };
    asks(&mut state, Second, Wish::Promote);
    // It is about to be something else: that passes.
    let busy = Report::Refused(Wish::Promote, Refusal::SourceIsConnected);
    assert_eq!(state.report(Second, &busy), []);
    asks(&mut state, Second, Wish::Promote);
    state.report(Second, &Report::Serving);
    asks(&mut state, First, Wish::GiveUp);
    state.report(First, &Report::Resigned);
    asks(&mut state, First, Wish::Release(NodeId(2)));
    let over = state.report(Second, &Report::InStep(NodeId(1)));
    assert_eq!(over, [Do::Wish(Second, Wish::HandOver(NodeId(1)))]);
    state.report(Second, &Report::Resigned);
    // The connection is lost between the two: all is gone through again.
    assert_eq!(
        state.report(First, &Report::Met(NodeId(2), Verdict::NoSource)),
        hold
    );
    asks(&mut state, Second, Wish::Promote);
    state.report(Second, &Report::Serving);
    asks(&mut state, First, Wish::Release(NodeId(2)));
    state.report(Second, &Report::Resigned);
    state.report(First, &Report::Serving);
    assert_eq!(state.restore_step(), (Step::Keep, vec![]));
    assert_eq!(state.restored(), hold);
    assert_eq!(state.association().copy_state, CopyState::Split);
    assert!(state.is_writable(First) && !state.is_closed_to_hosts(First));
    assert_eq!(state.restore_step(), (Step::Over, vec![]));
}

#[test]
fn a_target_that_has_nothing_leaves_the_source_what_it_was_unless_that_has_given_up() {
    for untouched in [true, false] {
        let mut state = found(MirrorRest::RestoringFractured);
        let role = if untouched {
            Role::Source
        } else {
            Role::Target
        };
        state.opened(First, role);
        state.opened(Second, Role::Target);
        state.restore_step();
        let refused = Report::Refused(Wish::Promote, Refusal::NoImage);
        let taken_back = [Do::TakeBack(First, MirrorRest::Fractured)];
        let expected: &[Do] = if untouched { &taken_back } else { &[] };
        assert_eq!(state.report(Second, &refused), expected);
        assert_eq!(state.is_restoring(), !untouched);
        assert_eq!(state.is_closed_to_hosts(First), !untouched);
        assert_eq!(state.failure().is_some(), untouched);
    }
}

/// The end at one side is here, and the other one at a peer.
fn with_peer(own: MirrorSide, rest: MirrorRest) -> State {
    let mut record = found(rest).record().clone();
    let elsewhere = Some(tidelock_catalog::Elsewhere {
        peer: tidelock_catalog::PeerName::new("other").unwrap(),
        dials: true,
    });
    match own {
        First => record.second.elsewhere = elsewhere,
        Second => record.first.elsewhere = elsewhere,
    }
    let key = found(rest).association().key;
    let built = BuiltType::new(
        ReplicationType::SynchronousMirrorRemote,
        TargetSupply::Created,
    );
    State::found(record, key, built)
}

#[test]
fn a_source_gives_up_nothing_for_a_restore_before_the_peer_has_said_that_it_gives() {
    for role in [Role::Source, Role::Target] {
        let mut state = with_peer(First, MirrorRest::RestoringFractured);
        state.opened(First, role);
        assert_eq!(state.restore_step(), (Step::Wait, vec![]));
        // An operator may have made it that.
        state.seen(true);
        assert_eq!(state.restore_step(), (Step::AskPeer, vec![]));
        state.peer_gives();
        let (source, peer) = (Role::Source, NodeId(2));
        let next = match role == source {
            true => Wish::GiveUp,
            false => Wish::Release(peer),
        };
        assert_eq!(
            state.restore_step(),
            (Step::Wait, vec![Do::Wish(First, next)])
        );
        // Opened anew, it has to ask anew.
        state.opened(First, role);
        assert_eq!(state.restore_step(), (Step::AskPeer, vec![]));
        assert_eq!(
            state.peer_never_gives("no".into()).is_empty(),
            role != source
        );
        assert_eq!(state.is_restoring(), role != source);
    }
}

#[test]
fn an_end_that_is_asked_to_give_follows_no_older_words_and_is_not_promoted() {
    let mut state = with_peer(Second, MirrorRest::Fractured);
    state.opened(Second, Role::Target);
    assert!(state.is_told(First, MirrorRest::Linked));
    let asked = state.give(MirrorRest::RestoringFractured);
    assert_eq!(asked, [Do::Wish(Second, Wish::Promote)]);
    assert!(!state.is_told(First, MirrorRest::Fractured));
    assert!(!state.may_be_promoted());
    // Whatever has become of it is over.
    state.opened(Second, Role::Target);
    assert!(state.is_told(First, MirrorRest::Fractured));
}
