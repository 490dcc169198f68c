//! Enumerations come in parts.

use super::asking::*;
use super::fake::Fake;
use crate::{Incoming, NAMESPACE, Server};

/// EndOfSequence, EnumerationContext, and how many objects came.
fn step(server: &Server, fake: &Fake, request: &str, now: u64) -> (bool, String, usize) {
    let response = inside(&ask_at(server, fake, request, now));
    let count = response
        .child("IRETURNVALUE")
        .unwrap_or_else(|| panic!("{response:?}"));
    let text = |name| out(&response, name).unwrap().children[0].text.clone();
    (
        text("EndOfSequence") == "TRUE",
        text("EnumerationContext"),
        count.children.len(),
    )
}

fn code(server: &Server, fake: &Fake, request: &str, now: u64) -> String {
    let response = inside(&ask_at(server, fake, request, now));
    let error = response
        .child("ERROR")
        .unwrap_or_else(|| panic!("{response:?}"));
    error.attribute("CODE").unwrap().to_owned()
}

fn open(count: u32) -> String {
    let count = ("MaxObjectCount", value(&count.to_string()));
    intrinsic(
        "OpenEnumerateInstances",
        NAMESPACE,
        &[("ClassName", class("CIM_StorageVolume")), count],
    )
}

fn pull(context: &str, count: u32) -> String {
    let parameters = [
        ("EnumerationContext", value(context)),
        ("MaxObjectCount", value(&count.to_string())),
    ];
    intrinsic("PullInstancesWithPath", NAMESPACE, &parameters)
}

fn close(context: &str) -> String {
    intrinsic(
        "CloseEnumeration",
        NAMESPACE,
        &[("EnumerationContext", value(context))],
    )
}

#[test]
fn objects_come_in_parts_until_the_end() {
    let (server, fake) = (Server::default(), Fake::new());
    let (end, context, count) = step(&server, &fake, &open(1), 0);
    assert_eq!((end, count), (false, 1));
    assert_eq!(
        step(&server, &fake, &pull(&context, 2), 1),
        (false, context.clone(), 2)
    );
    assert_eq!(
        step(&server, &fake, &pull(&context, 2), 2),
        (true, String::new(), 1)
    );
    assert_eq!(code(&server, &fake, &pull(&context, 2), 3), "21");
    assert_eq!(
        step(&server, &fake, &open(100), 0),
        (true, String::new(), 4)
    );
}

#[test]
fn paths_and_associations_are_pulled_too() {
    let (server, fake) = (Server::default(), Fake::new());
    for (name, object, count) in [
        (
            "OpenEnumerateInstancePaths",
            ("ClassName", class("CIM_StorageVolume")),
            4,
        ),
        ("OpenAssociatorInstances", ("InstanceName", service()), 4),
        (
            "OpenAssociatorInstancePaths",
            ("InstanceName", volume(1)),
            4,
        ),
        ("OpenReferenceInstances", ("InstanceName", volume(1)), 4),
        ("OpenReferenceInstancePaths", ("InstanceName", volume(1)), 4),
    ] {
        let request = intrinsic(name, NAMESPACE, &[object, ("MaxObjectCount", value("50"))]);
        assert_eq!(
            step(&server, &fake, &request, 0),
            (true, String::new(), count),
            "{name}"
        );
    }
}

#[test]
fn an_enumeration_ends_when_it_is_closed_or_left_alone() {
    let (server, fake) = (Server::default(), Fake::new());
    let (_, context, _) = step(&server, &fake, &open(0), 0);
    assert!(
        inside(&ask_at(&server, &fake, &close(&context), 1))
            .children
            .is_empty()
    );
    assert_eq!(code(&server, &fake, &close(&context), 2), "21");
    let (_, context, _) = step(&server, &fake, &open(0), 10);
    assert_eq!(code(&server, &fake, &pull(&context, 1), 70), "21");
    // Each pull gives it its time again.
    let (_, context, _) = step(&server, &fake, &open(0), 100);
    assert!(!step(&server, &fake, &pull(&context, 1), 159).0);
    assert!(!step(&server, &fake, &pull(&context, 1), 218).0);
}

#[test]
fn nobody_pulls_what_another_user_has_opened_or_in_another_way() {
    let (server, fake) = (Server::default(), Fake::new());
    let (_, context, _) = step(&server, &fake, &open(0), 0);
    let request = pull(&context, 1);
    let incoming = Incoming {
        cim_operation: Some("MethodCall"),
        user: "other",
        body: request.as_bytes(),
        ..Incoming::default()
    };
    let answer = server.answer(&incoming, &fake, std::time::Duration::ZERO);
    assert!(answer.body.contains("CODE=\"21\""), "{}", answer.body);
    let paths = pull(&context, 1).replace("PullInstancesWithPath", "PullInstancePaths");
    assert_eq!(code(&server, &fake, &paths, 0), "21");
    assert!(!step(&server, &fake, &request, 0).0);
}

#[test]
fn so_many_may_be_open_and_no_more() {
    let (server, fake) = (Server::default(), Fake::new());
    for _ in 0..32 {
        assert!(!step(&server, &fake, &open(0), 0).0);
    }
    assert_eq!(code(&server, &fake, &open(0), 0), "27");
    // What is complete at once needs no room, and what nobody pulls makes room.
    assert!(step(&server, &fake, &open(10), 0).0);
    assert!(!step(&server, &fake, &open(0), 61).0);
}

#[test]
fn filters_and_odd_times_are_refused() {
    let (server, fake) = (Server::default(), Fake::new());
    let with = |name: &str, text: &str| {
        let parameters = [
            ("ClassName", class("CIM_StorageVolume")),
            (name, value(text)),
        ];
        code(
            &server,
            &fake,
            &intrinsic("OpenEnumerateInstances", NAMESPACE, &parameters),
            0,
        )
    };
    assert_eq!(with("FilterQueryLanguage", "DMTF:FQL"), "14");
    assert_eq!(with("ContinueOnError", "true"), "26");
    assert_eq!(with("OperationTimeout", "0"), "22");
    assert_eq!(with("OperationTimeout", "601"), "22");
    assert_eq!(with("MaxObjectCount", "-1"), "4");
    assert_eq!(code(&server, &fake, &pull("x", 1), 0), "21");
}
