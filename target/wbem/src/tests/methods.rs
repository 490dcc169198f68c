//! Methods of the capabilities and of jobs.

use super::asking::*;
use super::fake::Fake;

fn supported(fake: &Fake, parameters: &[(&str, String)]) -> (u32, [Vec<u64>; 3]) {
    let request = extrinsic("GetSynchronizationSupported", &capabilities(), parameters);
    let (code, response) = returned(fake, &request);
    let all = ["SyncTypes", "Modes", "LocalElementRole"];
    (code, all.map(|name| numbers(&response, name).unwrap()))
}

fn local(path: String) -> (&'static str, String) {
    ("LocalElement", reference(&path))
}

#[test]
fn the_question_of_the_class_is_answered_by_the_function_that_decides() {
    let fake = Fake::new();
    let method = ("MethodName", value("2"));
    let answer = supported(&fake, &[local(volume(1)), method.clone()]);
    assert_eq!(answer, (0, [vec![7, 8], vec![2, 3], vec![2, 2]]));
    let answer = supported(&fake, &[local(volume(10)), method.clone()]);
    assert_eq!(answer, (0, [vec![8], vec![3], vec![2]]));
    let empty = || [vec![], vec![], vec![]];
    // A group, given to the method for elements; then to its own.
    assert_eq!(
        supported(&fake, &[local(group("both")), method.clone()]),
        (1, empty())
    );
    let groups = ("MethodName", value("3"));
    assert_eq!(supported(&fake, &[local(group("both")), groups]).0, 0);
    // An aspect is one of a volume; 7 is reserved, and so is none at all.
    assert_eq!(
        supported(&fake, &[local(volume(1)), ("MethodName", value("4"))]),
        (0, [vec![7], vec![2], vec![2]])
    );
    assert_eq!(
        supported(&fake, &[local(volume(1)), ("MethodName", value("7"))]),
        (5, empty())
    );
    assert_eq!(supported(&fake, &[local(volume(1))]), (5, empty()));
    assert_eq!(
        supported(&fake, std::slice::from_ref(&method)),
        (5, empty())
    );
    assert_eq!(
        supported(&fake, &[local(volume(77)), method.clone()]),
        (5, empty())
    );
    let pair = [
        local(volume(1)),
        method.clone(),
        ("OtherElement", reference(&volume(1))),
    ];
    assert_eq!(supported(&fake, &pair), (5, empty()));
    let point = ("OtherElementAccessPoint", reference(&service()));
    assert_eq!(
        supported(&fake, &[local(volume(1)), method, point]),
        (5, empty())
    );
}

#[test]
fn methods_about_types_answer_from_what_is_built() {
    let fake = Fake::new();
    let ask = |name: &str, parameters: &[(&str, &str)]| {
        let all: Vec<_> = parameters
            .iter()
            .map(|(name, text)| (*name, value(text)))
            .collect();
        returned(&fake, &extrinsic(name, &capabilities(), &all))
    };
    let array = |name, of, out| {
        let (code, response) = ask(name, &[("ReplicationType", of)]);
        (code, numbers(&response, out).unwrap())
    };
    assert_eq!(
        array("GetSupportedOperations", "6", "SupportedOperations"),
        (0, vec![15, 19])
    );
    assert_eq!(
        array("GetSupportedOperations", "11", "SupportedOperations"),
        (0, vec![8])
    );
    assert_eq!(
        array("GetSupportedOperations", "2", "SupportedOperations"),
        (1, vec![])
    );
    assert_eq!(
        array("GetSupportedOperations", "99", "SupportedOperations"),
        (5, vec![])
    );
    assert_eq!(array("GetSupportedFeatures", "6", "Features").0, 0);
    assert_eq!(
        array("GetSupportedGroupFeatures", "6", "GroupFeatures").0,
        0
    );
    assert_eq!(
        array("GetSupportedConsistency", "6", "SupportedConsistency"),
        (0, vec![])
    );
    assert_eq!(
        array("GetSupportedGroupCopyStates", "6", "SupportedCopyStates").0,
        0
    );
    let offered = array(
        "GetSupportedGroupOperations",
        "6",
        "SupportedGroupOperations",
    );
    assert_eq!(offered, (0, vec![15]));
    assert_eq!(
        array("GetSupportedListOperations", "6", "SupportedListOperations").0,
        1
    );
    let of_aspects = |of| {
        array(
            "GetSupportedSettingsDefineStateOperations",
            of,
            "SupportedOperations",
        )
    };
    assert_eq!(of_aspects("6"), (0, vec![4, 5]));
    assert_eq!(of_aspects("11"), (1, vec![]));
    let out = "SupportedThinProvisioningFeatures";
    assert_eq!(
        array("GetSupportedThinProvisioningFeatures", "6", out),
        (1, vec![])
    );
}

#[test]
fn states_are_told_with_whether_hosts_may_use_the_copy() {
    let fake = Fake::new();
    let ask = |name: &str, parameters: &[(&str, &str)]| {
        let all: Vec<_> = parameters
            .iter()
            .map(|(name, text)| (*name, value(text)))
            .collect();
        returned(&fake, &extrinsic(name, &capabilities(), &all))
    };
    let (code, response) = ask("GetSupportedCopyStates", &[("ReplicationType", "6")]);
    assert_eq!(code, 0);
    let states = numbers(&response, "SupportedCopyStates").unwrap();
    let accessible = out_texts(&response, "HostAccessible");
    assert_eq!(states.len(), accessible.len());
    let (code, response) = ask(
        "GetSupportedWaitForCopyStates",
        &[("ReplicationType", "11"), ("MethodName", "2")],
    );
    assert_eq!(
        (code, numbers(&response, "SupportedCopyStates").unwrap()),
        (0, vec![2, 3, 4])
    );
}

fn out_texts(response: &crate::xml::Element, name: &str) -> Vec<String> {
    let value = &out(response, name).unwrap().children[0];
    match value.children.is_empty() {
        true => vec![value.text.clone()],
        false => value.children.iter().map(|it| it.text.clone()).collect(),
    }
}

#[test]
fn types_are_converted_both_ways_and_defaults_are_told() {
    let fake = Fake::new();
    let ask = |name: &str, parameters: &[(&str, &str)]| {
        let all: Vec<_> = parameters
            .iter()
            .map(|(name, text)| (*name, value(text)))
            .collect();
        returned(&fake, &extrinsic(name, &capabilities(), &all))
    };
    let there = [("SyncType", "7"), ("Mode", "2"), ("LocalOrRemote", "2")];
    let (code, response) = ask("ConvertSyncTypeToReplicationType", &there);
    assert_eq!(
        (code, out_texts(&response, "SupportedReplicationTypes")),
        (0, vec!["6".to_owned()])
    );
    let (code, response) = ask(
        "ConvertReplicationTypeToSyncType",
        &[("ReplicationType", "11")],
    );
    assert_eq!(
        (code, out_texts(&response, "SyncType")),
        (0, vec!["8".to_owned()])
    );
    assert_eq!(out_texts(&response, "Mode"), ["3"]);
    let (code, response) = ask("GetDefaultGroupPersistency", &[]);
    assert_eq!(
        (code, out_texts(&response, "DefaultGroupPersistency")),
        (0, vec!["2".to_owned()])
    );
    let of = ("ReplicationType", "6");
    let (code, response) = ask("GetDefaultConsistency", &[of]);
    assert_eq!(
        (code, out_texts(&response, "DefaultConsistency")),
        (0, vec!["0".to_owned()])
    );
    assert_eq!(ask("GetSupportedMaximum", &[of, ("Component", "5")]).0, 7);
    assert_eq!(ask("GetSupportedMaximum", &[of]).0, 5);
    let (code, response) = ask(
        "GetSupportedReplicationSettingData",
        &[of, ("PropertyName", "7")],
    );
    assert_eq!(
        (code, numbers(&response, "SupportedValues")),
        (0, Some(vec![2, 4]))
    );
    let (code, response) = ask("GetDefaultReplicationSettingData", &[of]);
    assert_eq!(code, 0);
    let text = &out_texts(&response, "DefaultInstance")[0];
    let instance = crate::xml::read(text.as_bytes(), &crate::Limits::default()).unwrap();
    assert_eq!(
        property(&instance, "TargetElementSupplier"),
        Some(vec!["4".to_owned()])
    );
    // Of which connection?
    assert_eq!(ask("GetSupportedConnectionFeatures", &[]).0, 5);
}

#[test]
fn the_operations_of_an_association_are_those_of_the_table() {
    let fake = Fake::new();
    let ask = |path: String| {
        let parameters = [("Synchronization", reference(&path))];
        let name = "GetSupportedOperationsForSynchronization";
        let (code, response) = returned(&fake, &extrinsic(name, &capabilities(), &parameters));
        (code, numbers(&response, "SupportedOperations").unwrap())
    };
    assert_eq!(ask(storage_synchronized(1, 10)), (0, vec![15, 19]));
    assert_eq!(ask(storage_synchronized(2, 3)), (0, vec![8]));
    assert_eq!(ask(storage_synchronized(1, 3)), (5, vec![]));
    assert_eq!(ask(volume(1)), (5, vec![]));
}

#[test]
fn methods_and_parameters_that_are_not_there_are_errors() {
    let fake = Fake::new();
    let object = capabilities();
    assert_eq!(error(&fake, &extrinsic("GetWeather", &object, &[])), 17);
    assert_eq!(
        error(
            &fake,
            &extrinsic("GetElementNameCapabilities", &object, &[])
        ),
        17
    );
    assert_eq!(
        error(&fake, &extrinsic("CreateElementReplica", &object, &[])),
        17
    );
    let colour = [("Colour", value("red"))];
    assert_eq!(
        error(&fake, &extrinsic("GetSupportedFeatures", &object, &colour)),
        4
    );
    for wrong in ["x", "-1", "65536", "", "1.5", "0x", "0x+1"] {
        let given = [("ReplicationType", value(wrong))];
        assert_eq!(
            error(&fake, &extrinsic("GetSupportedFeatures", &object, &given)),
            4,
            "{wrong}"
        );
    }
    let hexadecimal = [("ReplicationType", value("0x6"))];
    assert_eq!(
        returned(
            &fake,
            &extrinsic("GetSupportedFeatures", &object, &hexadecimal)
        )
        .0,
        0
    );
    let array = [(
        "ReplicationType",
        "<VALUE.ARRAY><VALUE>6</VALUE></VALUE.ARRAY>".to_owned(),
    )];
    assert_eq!(
        error(&fake, &extrinsic("GetSupportedFeatures", &object, &array)),
        4
    );
    let text = [("LocalElement", value("one"))];
    assert_eq!(
        error(
            &fake,
            &extrinsic("GetSynchronizationSupported", &object, &text)
        ),
        4
    );
}

#[test]
fn objects_that_are_not_there_and_parameters_that_come_twice_are_errors() {
    let fake = Fake::new();
    let object = capabilities();
    let twice = [
        ("ReplicationType", value("6")),
        ("replicationtype", value("6")),
    ];
    assert_eq!(
        error(&fake, &extrinsic("GetSupportedFeatures", &object, &twice)),
        4
    );
    let gone = path(
        "MSISCSITARGET_ReplicationServiceCapabilities",
        &[("InstanceID", "x")],
    );
    assert_eq!(
        error(&fake, &extrinsic("GetSupportedFeatures", &gone, &[])),
        6
    );
    let of_class = message(&format!(
        "<METHODCALL NAME=\"GetSupportedFeatures\"><LOCALCLASSPATH>{}{}</LOCALCLASSPATH></METHODCALL>",
        namespace_path(crate::NAMESPACE),
        class("CIM_ReplicationServiceCapabilities")
    ));
    assert_eq!(error(&fake, &of_class), 4);
}

#[test]
fn what_is_asked_of_the_capabilities_gathers_nothing_else() {
    let fake = Fake::new();
    let answer = supported(&fake, &[local(volume(1)), ("MethodName", value("2"))]);
    assert_eq!(answer.0, 0);
    let class = [("ClassName", class("CIM_Service"))];
    ask(&fake, &intrinsic("GetClass", crate::NAMESPACE, &class));
    let gathered = || fake.gathered.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(gathered(), 0);
    ask(
        &fake,
        &intrinsic("EnumerateInstances", crate::NAMESPACE, &class),
    );
    assert_eq!(gathered(), 1);
}

#[test]
fn a_job_is_told_to_end() {
    let fake = Fake::new();
    let job = |id: &str| {
        path(
            "MSISCSITARGET_ConcreteJob",
            &[("InstanceID", &format!("Tidelock:Job:{id}"))],
        )
    };
    let ask = |state: &str| {
        let given = [("RequestedState", value(state))];
        returned(&fake, &extrinsic("RequestStateChange", &job("7"), &given)).0
    };
    assert_eq!(ask("4"), 0);
    assert_eq!(ask("3"), 1);
    assert_eq!(
        error(&fake, &extrinsic("RequestStateChange", &job("8"), &[])),
        6
    );
}
