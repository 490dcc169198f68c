//! What has to be right about a request. One test per row of the table of request validation.

use tidelock_capabilities::facts::{Element, ElementKind, Reach};
use tidelock_capabilities::values::{EnabledState, MethodName, ReturnCode};
use tidelock_capabilities::{
    AccessPoint, Facts, Problem, Reference, Request, SynchronizationSupported, decide,
};

use crate::rig::*;

/// Decides with LOCAL and OTHER here, and expects that there is nothing to decide.
#[track_caller]
fn refused(request: Request, problem: Problem, return_code: ReturnCode) {
    let built = assumed();
    let elements = [volume(LOCAL), volume(OTHER)];
    let peers = [peer(Reach::Answers)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    refused_by(request, &facts, problem, return_code);
}

#[track_caller]
fn refused_by(request: Request, facts: &Facts<'_>, problem: Problem, return_code: ReturnCode) {
    let decision = decide(&request, facts);
    assert_eq!(decision.problem(), Some(problem));
    assert_eq!(decision.return_code(), return_code);
    assert_eq!(decision.generation, facts.generation);
    assert_eq!(decision.explain().count(), 0);
    let answer = SynchronizationSupported::from(&decision);
    assert!(answer.sync_types.is_empty());
    assert!(answer.modes.is_empty());
    assert!(answer.local_element_role.is_empty());
}

const INVALID: ReturnCode = ReturnCode::InvalidParameter;

#[test]
fn request_row_1_local_element_missing_malformed_or_unknown() {
    for (local_element, problem) in [
        (Reference::Null, Problem::LocalElementMissing),
        (Reference::Malformed, Problem::LocalElementMalformed),
        (Reference::Element(THIRD), Problem::LocalElementUnknown),
        (Reference::Group(GROUP), Problem::LocalElementUnknown),
    ] {
        let request = Request {
            local_element,
            ..alone()
        };
        refused(request, problem, INVALID);
    }
}

#[test]
fn request_row_1_local_element_of_a_peer() {
    let built = assumed();
    let elements = [remote(LOCAL)];
    let facts = facts(&built, &elements);
    refused_by(
        alone(),
        &facts,
        Problem::LocalElementElsewhere(PEER),
        INVALID,
    );
}

#[test]
fn request_rows_2_and_3_method_names_that_are_reserved_or_of_no_vendor() {
    for method_name in [0, 1, 5, 6, 7, 8, 9, 0x7FFF, 0x8000, 0xFFFF] {
        let request = Request {
            method_name,
            ..alone()
        };
        refused(request, Problem::MethodNameReserved(method_name), INVALID);
    }
}

#[test]
fn request_row_4_a_method_that_is_not_built() {
    let mut built = assumed();
    for it in &mut built.types {
        it.methods = MethodName::set(&[MethodName::CreateElementReplica]);
    }
    let elements = [volume(LOCAL)];
    let facts = facts(&built, &elements);
    for method in [
        MethodName::CreateGroupReplica,
        MethodName::CreateSynchronizationAspect,
    ] {
        let request = Request {
            method_name: method.value(),
            ..alone()
        };
        let problem = Problem::MethodNotBuilt(method);
        refused_by(request, &facts, problem, ReturnCode::NotSupported);
    }
}

#[test]
fn request_row_5_an_element_that_is_not_replicated() {
    let built = assumed();
    let elements = [Element {
        kind: ElementKind::Unreplicated,
        ..volume(LOCAL)
    }];
    let facts = facts(&built, &elements);
    refused_by(
        alone(),
        &facts,
        Problem::NotReplicated,
        ReturnCode::NotSupported,
    );
}

#[test]
fn request_row_5_a_group_for_the_method_of_elements() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let groups = [group(GROUP, &elements)];
    let facts = Facts {
        groups: &groups,
        ..facts(&built, &elements)
    };
    let request = Request {
        local_element: Reference::Group(GROUP),
        ..alone()
    };
    refused_by(
        request,
        &facts,
        Problem::GroupNotPossible,
        ReturnCode::NotSupported,
    );
}

#[test]
fn request_row_6_the_same_element_twice() {
    let request = Request {
        other_element: Reference::Element(LOCAL),
        ..alone()
    };
    refused(request, Problem::SameElement, INVALID);
}

#[test]
fn request_row_7_other_element_unknown_without_access_point() {
    let request = Request {
        other_element: Reference::Element(THIRD),
        ..alone()
    };
    refused(request, Problem::OtherElementUnknown, INVALID);
    let request = Request {
        other_element: Reference::Malformed,
        ..alone()
    };
    refused(request, Problem::OtherElementMalformed, INVALID);
}

#[test]
fn request_row_7_access_points_that_lead_nowhere() {
    for (other_element_access_point, peers_known) in [
        (AccessPoint::Malformed, true),
        (AccessPoint::Of(PEER), false),
    ] {
        let built = assumed();
        let elements = [volume(LOCAL), volume(OTHER)];
        let peers = [peer(Reach::Answers)];
        let facts = Facts {
            peers: if peers_known { &peers } else { &[] },
            ..facts(&built, &elements)
        };
        let request = Request {
            other_element_access_point,
            ..alone()
        };
        refused_by(request, &facts, Problem::AccessPointUnknown, INVALID);
    }
}

#[test]
fn request_row_7_an_access_point_of_another_peer() {
    let built = assumed();
    let elements = [volume(LOCAL), remote(OTHER)];
    let other_peer = tidelock_capabilities::facts::PeerId(78);
    let peers = [tidelock_capabilities::facts::Peer {
        id: other_peer,
        ..peer(Reach::Answers)
    }];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    let request = Request {
        other_element_access_point: AccessPoint::Of(other_peer),
        ..with_other()
    };
    refused_by(
        request,
        &facts,
        Problem::AccessPointElsewhere(PEER),
        INVALID,
    );
}

#[test]
fn request_row_7_an_access_point_that_is_not_needed_does_no_harm() {
    let built = assumed();
    let elements = [volume(LOCAL), volume(OTHER)];
    let peers = [peer(Reach::Silent)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    let request = Request {
        other_element_access_point: AccessPoint::Of(PEER),
        ..with_other()
    };
    row(
        &decide(&request, &facts),
        "Never Yes Yes Yes Yes",
        ReturnCode::Success,
    );
}

#[test]
fn request_row_9_what_is_given_for_the_other_end_of_an_aspect_is_not_looked_at() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let facts = facts(&built, &elements);
    for (other_element, other_element_access_point) in [
        (Reference::Null, AccessPoint::Null),
        (Reference::Malformed, AccessPoint::Malformed),
        (Reference::Element(LOCAL), AccessPoint::Of(PEER)),
    ] {
        let request = Request {
            other_element,
            other_element_access_point,
            method_name: 4,
            ..alone()
        };
        let decision = decide(&request, &facts);
        assert_eq!(decision.return_code(), ReturnCode::Success);
    }
}

#[test]
fn request_row_11_a_service_that_is_not_enabled() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    for service in EnabledState::ALL.iter().copied() {
        let facts = Facts {
            service,
            ..facts(&built, &elements)
        };
        match service {
            EnabledState::Enabled => assert_eq!(decide(&alone(), &facts).problem(), None),
            EnabledState::Starting => (),
            _ => refused_by(
                alone(),
                &facts,
                Problem::ServiceNotEnabled(service),
                ReturnCode::Failed,
            ),
        }
    }
}

#[test]
fn request_row_12_a_service_that_starts_does_not_know_its_elements_yet() {
    let built = assumed();
    let facts = Facts {
        service: EnabledState::Starting,
        ..facts(&built, &[])
    };
    refused_by(
        alone(),
        &facts,
        Problem::ServiceStarting,
        ReturnCode::Unknown,
    );
    // What can't become right is told at once.
    let request = Request {
        method_name: 7,
        ..alone()
    };
    refused_by(request, &facts, Problem::MethodNameReserved(7), INVALID);
}

#[test]
fn a_service_with_nothing_built_supports_nothing() {
    let built = tidelock_capabilities::BuiltCapabilities::default();
    let elements = [volume(LOCAL)];
    for method in MethodName::ALL.iter().copied() {
        let request = Request {
            method_name: method.value(),
            ..alone()
        };
        let problem = Problem::MethodNotBuilt(method);
        let facts = facts(&built, &elements);
        refused_by(request, &facts, problem, ReturnCode::NotSupported);
    }
}

#[test]
fn every_problem_says_what_is_wrong_and_what_to_do() {
    for problem in [
        Problem::MethodNameReserved(7),
        Problem::LocalElementMissing,
        Problem::LocalElementMalformed,
        Problem::LocalElementUnknown,
        Problem::LocalElementElsewhere(PEER),
        Problem::OtherElementMalformed,
        Problem::OtherElementUnknown,
        Problem::SameElement,
        Problem::AccessPointUnknown,
        Problem::AccessPointElsewhere(PEER),
        Problem::NoSuchElementAtPeer(PEER),
        Problem::TargetMissing,
        Problem::ServiceStarting,
        Problem::ServiceNotEnabled(EnabledState::Disabled),
        Problem::NotReplicated,
        Problem::GroupNotPossible,
    ] {
        let text = problem.to_string();
        let (wrong, advice) = text.split_once(": ").unwrap_or_else(|| {
            // Those that name two things have the advice after a comma.
            text.split_once(", ")
                .unwrap_or_else(|| panic!("no advice in {text:?}"))
        });
        assert!(wrong.len() > 10 && advice.len() > 5, "{text}");
    }
}
