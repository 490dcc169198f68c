//! Several copies by one call, and what a request says of how they are to be made.

use super::asking::*;
use super::fake::{Fake, ONE};

fn call(fake: &Fake, name: &str, parameters: &[(&str, String)]) -> (u32, crate::xml::Element) {
    returned(fake, &extrinsic(name, &service(), parameters))
}

fn references(paths: &[String]) -> String {
    let all: String = paths.iter().map(|it| reference(it)).collect();
    format!("<VALUE.REFARRAY>{all}</VALUE.REFARRAY>")
}

fn both() -> (&'static str, String) {
    ("SourceElements", references(&[volume(1), volume(2)]))
}

fn settings(properties: &str) -> (&'static str, String) {
    let text =
        format!("<INSTANCE CLASSNAME=\"CIM_ReplicationSettingData\">{properties}</INSTANCE>");
    let escaped = text.replace('<', "&lt;").replace('>', "&gt;");
    ("ReplicationSettingData", value(&escaped))
}

fn setting(name: &str, of: &str) -> (&'static str, String) {
    settings(&format!(
        "<PROPERTY NAME=\"{name}\" TYPE=\"uint16\"><VALUE>{of}</VALUE></PROPERTY>"
    ))
}

#[test]
fn a_list_is_made_one_by_one_with_one_job_for_all() {
    let fake = Fake::new();
    let names = "<VALUE.ARRAY><VALUE>x</VALUE></VALUE.ARRAY>".to_owned();
    let all = [("SyncType", value("8")), both(), ("ElementNames", names)];
    let (code, response) = call(&fake, "CreateListReplica", &all);
    assert_eq!(code, 4096);
    // 7 twice, put together.
    assert_eq!(ids(out(&response, "Job").unwrap()), ["Tidelock:Job:14"]);
    assert_eq!(ids(out(&response, "TargetElements").unwrap()).len(), 2);
    assert_eq!(ids(out(&response, "Synchronizations").unwrap()).len(), 4);
    assert_eq!(
        fake.done(),
        ["Clone of 1 to Some(\"x\")", "Clone of 2 to None"]
    );
}

#[test]
fn a_list_stops_at_the_first_that_is_refused_unless_it_is_told_to_go_on() {
    let mut fake = Fake::new();
    fake.refuse_source = Some(ONE);
    let stop = [("SyncType", value("8")), both()];
    let (code, response) = call(&fake, "CreateListReplica", &stop);
    assert_eq!(code, 6);
    assert_eq!(ids(out(&response, "Job").unwrap()), ["Tidelock:Job:77"]);
    assert!(fake.done().is_empty());
    let go_on = [
        ("SyncType", value("8")),
        both(),
        setting("OnGroupOrListError", "2"),
    ];
    let (code, response) = call(&fake, "CreateListReplica", &go_on);
    assert_eq!(code, 6);
    assert_eq!(ids(out(&response, "TargetElements").unwrap()).len(), 1);
    assert_eq!(fake.done(), ["Clone of 2 to None"]);
}

#[test]
fn a_list_that_cant_be_read_makes_nothing() {
    let fake = Fake::new();
    let one = references(&[volume(1)]);
    let names =
        "<VALUE.ARRAY><VALUE>x</VALUE><VALUE>y</VALUE><VALUE>z</VALUE></VALUE.ARRAY>".to_owned();
    let many = references(&vec![volume(1); 65]);
    for more in [
        vec![],
        vec![("SourceElements", references(&[volume(1), volume(77)]))],
        vec![("SourceElements", many)],
        vec![both(), ("TargetElements", one)],
        vec![both(), ("ElementNames", names)],
    ] {
        let mut all = vec![("SyncType", value("8"))];
        all.extend(more);
        assert_eq!(call(&fake, "CreateListReplica", &all).0, 5, "{all:?}");
    }
    assert!(fake.done().is_empty());
}

#[test]
fn a_list_of_associations_is_changed_together_or_not_at_all() {
    let fake = Fake::new();
    let modify = |operation: &str, all: &[String]| {
        let all = [
            ("Operation", value(operation)),
            ("Synchronization", references(all)),
        ];
        call(&fake, "ModifyListSynchronization", &all).0
    };
    let (clone, snapshot) = (storage_synchronized(2, 3), storage_synchronized(1, 10));
    assert_eq!(modify("8", &[]), 5);
    assert_eq!(modify("8", &[clone.clone(), snapshot.clone()]), 5);
    assert_eq!(modify("8", &[clone.clone(), clone.clone()]), 5);
    assert_eq!(modify("8", &[storage_synchronized(1, 3)]), 5);
    // Not of a list.
    assert_eq!(modify("19", &[snapshot]), 1);
    assert!(fake.done().is_empty());
    assert_eq!(modify("8", &[clone]), 0);
    assert_eq!(fake.done(), ["Detach 2 3 false"]);
}

#[test]
fn settings_are_those_that_are_told_of_and_the_defaults_are_taken_back() {
    let fake = Fake::new();
    let create = |given: (&'static str, String)| {
        let all = [
            ("SyncType", value("8")),
            ("SourceElement", reference(&volume(1))),
            given,
        ];
        call(&fake, "CreateElementReplica", &all).0
    };
    assert_eq!(create(setting("OnGroupOrListError", "3")), 4096);
    assert_eq!(create(setting("OnGroupOrListError", "9")), 1);
    assert_eq!(create(setting("OnGroupOrListError", "x")), 5);
    assert_eq!(create(setting("DeltaUpdateInterval", "3")), 1);
    assert_eq!(create(setting("Colour", "3")), 5);
    assert_eq!(create(("ReplicationSettingData", value("no XML"))), 5);
    let another = "&lt;INSTANCE CLASSNAME=\"CIM_Error\"/&gt;";
    assert_eq!(create(("ReplicationSettingData", value(another))), 5);
    let request = extrinsic(
        "GetDefaultReplicationSettingData",
        &capabilities(),
        &[("ReplicationType", value("11"))],
    );
    let (code, response) = returned(&fake, &request);
    assert_eq!(code, 0);
    let told = &out(&response, "DefaultInstance").unwrap().children[0].text;
    assert!(told.contains("OnGroupOrListError"), "{told}");
    let back = told
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    assert_eq!(create(("ReplicationSettingData", value(&back))), 4096);
}
