//! What holds in every state, for every request.
//!
//! Checked: the shape of answers, that what is offered is admitted and nothing else, agreement with the list of
//! available targets, that exchanging the ends exchanges the roles, that whatever stands in the way never makes
//! anything possible, that a silent peer changes remote answers only, and that order doesn't matter. Not
//! checked here: that what is admitted does no harm to data, which is `world`'s.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tidelock_capabilities::facts::{Facts, Lock, Reach, Store};
use tidelock_capabilities::values::{LocalElementRole, LocalOrRemote, MethodName, ReturnCode};
use tidelock_capabilities::{
    AccessPoint, Creation, Decision, Obstacle, Problem, Reason, Reference, Refusal, Request,
    SynchronizationSupported, Triple, Verdict, admit, available_targets, decide,
};

use crate::generator::*;

fn decided(state: &State, request: &Request) -> Decision {
    state.with(|facts| decide(request, facts))
}

/// The triples that one decision supports and another doesn't.
fn more(one: &Decision, other: &Decision) -> Vec<Triple> {
    let others: Vec<_> = other.supported().collect();
    one.supported().filter(|it| !others.contains(it)).collect()
}

/// A creation of a triple, as the request names the ends.
fn creation(request: &Request, triple: Triple) -> Creation {
    let (source, target) = match triple.local_element_role {
        LocalElementRole::SystemElement => (request.local_element, request.other_element),
        LocalElementRole::SyncedElement => (request.other_element, request.local_element),
    };
    Creation {
        method: MethodName::try_from(request.method_name).unwrap(),
        sync_type: triple.sync_type,
        mode: Some(triple.mode),
        source,
        target,
        access_point: request.other_element_access_point,
    }
}

/// Whether the other end is missing that the call would need.
fn needs_source(request: &Request, triple: Triple) -> bool {
    triple.local_element_role == LocalElementRole::SyncedElement
        && (request.other_element == Reference::Null || request.method_name == 4)
}

fn pair(one: usize, other: usize, method_name: u16) -> Request {
    Request {
        local_element: Reference::Element(IDS[one]),
        other_element: Reference::Element(IDS[other]),
        other_element_access_point: AccessPoint::Null,
        method_name,
    }
}

fn shape(state: &State, request: &Request) -> Result<(), TestCaseError> {
    let decision = decided(state, request);
    prop_assert_eq!(decision, decided(state, request), "asked twice");
    prop_assert_eq!(decision.generation, 5);
    let answer = SynchronizationSupported::from(&decision);
    let count = answer.sync_types.len();
    prop_assert_eq!(answer.modes.len(), count);
    prop_assert_eq!(answer.local_element_role.len(), count);
    prop_assert_eq!(answer.return_code == ReturnCode::Success, count > 0);
    let triples: Vec<_> = decision.supported().collect();
    prop_assert!(triples.is_sorted_by(|one, other| one < other));
    for triple in triples {
        let it = triple.replication_type(decision.locality().unwrap());
        let built = state.built.of(it).expect("only what is built");
        let method = MethodName::try_from(request.method_name).unwrap();
        prop_assert!(built.methods.contains(method));
    }
    // The code, worked out in another way.
    let least = decision
        .explain()
        .map(|(_, verdict)| verdict.obstacle())
        .min();
    let expected = match (decision.problem(), least) {
        (Some(problem), _) => problem.return_code(),
        (None, Some(None)) => ReturnCode::Success,
        (None, Some(Some(obstacle))) => obstacle.return_code(),
        (None, None) => unreachable!("no problem and nothing decided"),
    };
    prop_assert_eq!(decision.return_code(), expected);
    for (_, verdict) in decision.explain() {
        if let Some(reason) = verdict.reason() {
            prop_assert!(!reason.to_string().is_empty());
        }
    }
    Ok(())
}

/// Whatever is offered is admitted, and whatever isn't is refused for the same reason.
fn oracle(state: &State, request: &Request) -> Result<(), TestCaseError> {
    let decision = decided(state, request);
    for (triple, verdict) in decision.explain() {
        if needs_source(request, triple) {
            continue;
        }
        let result = state.with(|facts| admit(&creation(request, triple), facts));
        match (verdict, result) {
            (Verdict::Supported, Ok(admitted)) => {
                prop_assert_eq!(admitted.replication_type.mode(), triple.mode);
                prop_assert_eq!(admitted.replication_type.sync_type(), triple.sync_type);
            }
            // The question named no target, and this type needs one that exists.
            (_, Err(Refusal::Problem(Problem::TargetMissing))) => {
                prop_assert_eq!(request.other_element, Reference::Null);
            }
            (Verdict::Refused(_), Err(refusal)) => {
                prop_assert!(refusal.return_code() != ReturnCode::Success);
            }
            (verdict, result) => prop_assert!(false, "{triple}: {verdict:?} and {result:?}"),
        }
    }
    Ok(())
}

/// Something that stands in the way.
fn hinder(state: &mut State, how: usize, at: usize) {
    let element = &mut state.elements[at];
    match how {
        0 => element.locks.push(Lock::Moving),
        1 => element.element.hosts.sessions += 1,
        2 => element.element.hosts.reserved = true,
        3 => element.element.store = Store::Failing,
        4 => element.element.read_only = true,
        5 => element.element.snapshots += 1,
        6 => element.element.clones += 1,
        7 => state.peer.reach = Reach::Silent,
        8 => element.element.aspects += 1,
        9 => {
            for total in [
                &mut state.totals.mirrors,
                &mut state.totals.snapshots,
                &mut state.totals.clones,
            ] {
                total.targets += 1;
                total.sources += 1;
            }
        }
        _ => {
            state.built.types.pop();
        }
    }
}

#[test]
fn the_generator_reaches_every_code_and_obstacle() {
    let mut runner = TestRunner::deterministic();
    let mut codes = BTreeMap::new();
    let mut obstacles = BTreeMap::new();
    for _ in 0..1500 {
        let (state, request) = (state(), request())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let decision = decided(&state, &request);
        *codes.entry(decision.return_code()).or_insert(0) += 1;
        for (_, verdict) in decision.explain() {
            *obstacles.entry(verdict.obstacle()).or_insert(0) += 1;
        }
    }
    assert_eq!(codes.len(), 7, "{codes:?}");
    assert_eq!(obstacles.len(), 6, "{obstacles:?}");
    assert!(codes[&ReturnCode::Success] > 75, "{codes:?}");
    assert!(obstacles[&None] > 150, "{obstacles:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn answers_have_their_shape(state in state(), request in request()) {
        shape(&state, &request)?;
    }

    #[test]
    fn what_is_offered_is_admitted_and_nothing_else(state in state(), request in request()) {
        oracle(&state, &request)?;
    }

    #[test]
    fn what_stands_in_the_way_never_makes_anything_possible(
        state in state(),
        request in request(),
        how in 0..11_usize,
        at in 0..3_usize,
    ) {
        // One more snapshot makes a source of what was none, so it no longer counts as a new one.
        prop_assume!(!matches!(how, 5 | 6) || state.built.types.iter().all(|it| {
            it.maximum(tidelock_capabilities::values::Component::TotalSourceElements).is_none()
        }));
        let mut hindered = state.clone();
        hinder(&mut hindered, how, at);
        let (before, after) = (decided(&state, &request), decided(&hindered, &request));
        let added = more(&after, &before);
        prop_assert!(added.is_empty(), "{added:?} by hindrance {how} of element {at}");
    }

    #[test]
    fn exchanging_the_ends_exchanges_the_roles(state in state(), method_name in 2..4_u16) {
        let there = decided(&state, &pair(0, 1, method_name));
        let back = decided(&state, &pair(1, 0, method_name));
        for (triple, verdict) in there.explain() {
            let opposite = Triple {
                local_element_role: triple.local_element_role.opposite(),
                ..triple
            };
            prop_assert_eq!(back.verdict(opposite), Some(verdict), "{}", triple);
        }
        prop_assert_eq!(there.return_code(), back.return_code());
    }

    #[test]
    fn available_targets_agree_with_the_answer(state in state()) {
        let decision = decided(&state, &pair(0, 1, 2));
        for triple in Triple::ALL {
            if triple.local_element_role != LocalElementRole::SystemElement {
                continue;
            }
            let is_available = state.with(|facts| {
                let alone = Facts { elements: &facts.elements[..1], ..*facts };
                let candidates = &facts.elements[1..2];
                let creation = Creation {
                    target: Reference::Null,
                    ..creation(&pair(0, 1, 2), triple)
                };
                available_targets(creation, alone, candidates.iter()).next().is_some()
            });
            let offered = decision.verdict(triple).is_some_and(Verdict::is_supported);
            prop_assert_eq!(is_available, offered, "{}", triple);
        }
    }

    #[test]
    fn a_silent_peer_changes_remote_answers_only(state in state(), request in request()) {
        let before = decided(&state, &request);
        let mut cut = state.clone();
        cut.peer.reach = Reach::Silent;
        let after = decided(&cut, &request);
        match before.locality() {
            Some(LocalOrRemote::Local) => prop_assert_eq!(before, after),
            Some(LocalOrRemote::Remote) => {
                prop_assert_eq!(after.supported().count(), 0);
                // What was possible now hinges on the peer, and nothing else is said of it.
                for triple in before.supported() {
                    let obstacle = after.verdict(triple).unwrap().obstacle();
                    prop_assert_eq!(obstacle, Some(Obstacle::NoPeer));
                }
                if before.return_code() == ReturnCode::Success {
                    prop_assert_eq!(after.return_code(), ReturnCode::Timeout);
                }
            }
            None => (),
        }
    }

    #[test]
    fn a_peer_is_asked_only_if_its_answer_could_matter(state in state(), request in request()) {
        let mut state = state;
        state.peer.reach = Reach::NotAsked;
        let first = decided(&state, &request);
        state.peer.reach = Reach::Answers;
        let then = decided(&state, &request);
        let is_remote = first.locality() == Some(LocalOrRemote::Remote);
        if is_remote && first.hinges_on().is_none() {
            prop_assert_eq!(then.supported().count(), 0);
        }
    }

    #[test]
    fn order_does_not_matter(state in state(), request in request()) {
        let mut turned = state.clone();
        turned.built.types.reverse();
        for it in &mut turned.elements {
            it.relations.reverse();
            it.locks.reverse();
        }
        prop_assert_eq!(decided(&state, &request), decided(&turned, &request));
    }

    #[test]
    fn naming_the_other_element_makes_nothing_possible_but_by_its_space(
        state in state(),
        other in 1..2_usize,
    ) {
        let request = pair(0, other, 2);
        let alone = decided(&state, &Request { other_element: Reference::Null, ..request });
        let both = decided(&state, &request);
        for triple in both.supported() {
            match alone.verdict(triple).unwrap() {
                Verdict::Supported | Verdict::Refused(Reason::NoSpace { .. }) => (),
                // A source that isn't named counts as one that is none yet.
                Verdict::Refused(Reason::LimitReached { .. }) => {
                    prop_assert_eq!(triple.local_element_role, LocalElementRole::SyncedElement);
                }
                refused => prop_assert!(false, "{triple}: {refused:?}"),
            }
        }
    }

    #[test]
    fn a_group_can_do_no_more_than_each_of_its_members(state in state()) {
        let mut state = state;
        state.groups = [vec![0, 1], vec![0]];
        state.reserved_as = tidelock_capabilities::facts::ReservedAs::SourceOrTarget;
        let ask = |state: &State| {
            let request = Request {
                local_element: Reference::Group(GROUPS[0]),
                other_element: Reference::Null,
                other_element_access_point: AccessPoint::Null,
                method_name: 3,
            };
            decided(state, &request)
        };
        let both = ask(&state);
        for member in [0, 1] {
            state.groups[0] = vec![member];
            let one = ask(&state);
            // One member alone may be too few for a source.
            let added: Vec<_> = more(&both, &one)
                .into_iter()
                .filter(|triple| !matches!(
                    one.verdict(*triple).unwrap().reason(),
                    Some(Reason::GroupTooSmall(_))
                ))
                .collect();
            prop_assert!(added.is_empty(), "{added:?}");
        }
    }
}
