//! Instances are told.

use super::asking::*;
use super::fake::Fake;
use crate::{INTEROP, NAMESPACE};

fn instances(fake: &Fake, namespace: &str, name: &str) -> Vec<crate::xml::Element> {
    let request = intrinsic(
        "EnumerateInstances",
        namespace,
        &[("ClassName", class(name))],
    );
    let found = found(fake, &request);
    found
        .iter()
        .map(|it| {
            assert_eq!(it.name, "VALUE.NAMEDINSTANCE");
            it.child("INSTANCE").unwrap().clone()
        })
        .collect()
}

fn one(list: Option<Vec<String>>) -> String {
    let list = list.unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].clone()
}

#[test]
fn volumes_clones_and_snapshots_are_storage_volumes() {
    let found = instances(&Fake::new(), NAMESPACE, "CIM_StorageVolume");
    let names: Vec<_> = found
        .iter()
        .map(|it| one(property(it, "ElementName")))
        .collect();
    assert_eq!(names, ["one", "two <&>", "copy", "one@s"]);
    let usage: Vec<_> = found.iter().map(|it| one(property(it, "Usage"))).collect();
    assert_eq!(usage, ["6", "6", "8", "12"]);
    assert_eq!(one(property(&found[0], "NumberOfBlocks")), "2097152");
    assert_eq!(one(property(&found[0], "Name")), "3A00000000000001");
    assert_eq!(one(property(&found[0], "OperationalStatus")), "2");
    assert_eq!(one(property(&found[3], "Access")), "1");
    assert_eq!(property(&found[0], "Caption"), Some(vec![]));
}

#[test]
fn the_service_is_found_by_its_profile() {
    let fake = Fake::new();
    let profiles = instances(&fake, INTEROP, "CIM_RegisteredProfile");
    assert_eq!(
        one(property(&profiles[0], "RegisteredName")),
        "Replication Services"
    );
    assert_eq!(one(property(&profiles[0], "RegisteredOrganization")), "11");
    assert!(instances(&fake, NAMESPACE, "CIM_RegisteredProfile").is_empty());
    assert_eq!(
        instances(&fake, "root/interop", "CIM_RegisteredProfile").len(),
        1
    );
    assert_eq!(instances(&fake, "/INTEROP/", "CIM_Namespace").len(), 2);
    assert_eq!(instances(&fake, INTEROP, "CIM_ObjectManager").len(), 1);
    assert_eq!(instances(&fake, INTEROP, "CIM_NamespaceInManager").len(), 2);
    let capabilities = instances(&fake, NAMESPACE, "CIM_ReplicationServiceCapabilities");
    let types = property(&capabilities[0], "SupportedReplicationTypes").unwrap();
    assert_eq!(types, ["4", "6", "11"]);
    let actions = property(&capabilities[0], "SupportedSynchronousActions").unwrap();
    assert_eq!(actions, ["2", "3", "4", "5", "6", "7", "19"]);
}

#[test]
fn groups_jobs_and_associations_are_there() {
    let fake = Fake::new();
    for (name, count) in [
        ("CIM_ReplicationGroup", 2),
        ("CIM_OrderedMemberOfCollection", 3),
        ("CIM_HostedCollection", 2),
        ("CIM_HostedService", 1),
        ("CIM_ElementCapabilities", 1),
        ("CIM_SystemDevice", 4),
        ("CIM_StorageSynchronized", 2),
        ("CIM_GroupSynchronized", 1),
        ("CIM_Synchronized", 3),
        ("CIM_ConcreteJob", 1),
        ("CIM_OwningJobElement", 1),
        ("CIM_AffectedJobElement", 1),
        ("CIM_ComputerSystem", 1),
        ("CIM_ReplicationService", 1),
        ("CIM_ElementConformsToProfile", 1),
    ] {
        assert_eq!(instances(&fake, NAMESPACE, name).len(), count, "{name}");
    }
    let job = &instances(&fake, NAMESPACE, "CIM_ConcreteJob")[0];
    assert_eq!(one(property(job, "JobState")), "4");
    assert_eq!(one(property(job, "PercentComplete")), "40");
    assert_eq!(one(property(job, "StartTime")), "20261126164306.000000+000");
    let clone = &instances(&fake, NAMESPACE, "CIM_StorageSynchronized")[1];
    assert_eq!(one(property(clone, "SyncType")), "8");
    assert_eq!(one(property(clone, "CopyState")), "4");
    assert_eq!(one(property(clone, "SyncState")), "14");
    assert_eq!(one(property(clone, "PercentSynced")), "100");
}

#[test]
fn every_instance_is_found_by_its_own_path() {
    let fake = Fake::new();
    for namespace in [NAMESPACE, INTEROP] {
        for class_ in crate::schema::classes().filter(|class| class.concrete) {
            let names = intrinsic(
                "EnumerateInstanceNames",
                namespace,
                &[("ClassName", class(class_.name))],
            );
            let server = crate::Server::default();
            let answer = ask_at(&server, &fake, &names, 0);
            let text = answer.body.split("<IRETURNVALUE>").nth(1).unwrap();
            let text = text.split("</IRETURNVALUE>").next().unwrap();
            let open = format!("<INSTANCENAME CLASSNAME=\"{}\">", class_.name);
            let count = text.matches(&open).count();
            assert_eq!(count, found(&fake, &names).len(), "{}", class_.name);
            for path in text.split(&open).skip(1) {
                let path = path.strip_suffix("</INSTANCENAME>").unwrap();
                let name = format!("{open}{path}</INSTANCENAME>");
                let request = intrinsic("GetInstance", namespace, &[("InstanceName", name)]);
                assert_eq!(
                    found(&fake, &request)[0].attribute("CLASSNAME"),
                    Some(class_.name)
                );
            }
        }
    }
}

#[test]
fn a_path_means_the_same_in_any_case_and_order_of_its_keys() {
    let fake = Fake::new();
    let device = "00000000-0000-0000-0000-000000000001";
    let other = path(
        "msiscsitarget_STORAGEVOLUME",
        &[
            ("creationclassname", "MSISCSITARGET_StorageVolume"),
            ("systemname", "host"),
            ("DEVICEID", device),
            ("SystemCreationClassName", "Tidelock_ComputerSystem"),
        ],
    );
    let list = "<VALUE.ARRAY><VALUE>ElementName</VALUE></VALUE.ARRAY>".to_owned();
    let parameters = [("InstanceName", other), ("PropertyList", list)];
    let found = found(&fake, &intrinsic("GetInstance", NAMESPACE, &parameters));
    assert_eq!(found[0].children.len(), 1);
    assert_eq!(one(property(&found[0], "ElementName")), "one");
}

#[test]
fn what_is_not_there_is_not_found() {
    let fake = Fake::new();
    let get = |name: String| intrinsic("GetInstance", NAMESPACE, &[("InstanceName", name)]);
    assert_eq!(error(&fake, &get(volume(77))), 6);
    // Of the class that it was made of only, and with all keys.
    let key = [("DeviceID", "00000000-0000-0000-0000-000000000001")];
    assert_eq!(
        error(&fake, &get(path("MSISCSITARGET_StorageVolume", &key))),
        6
    );
    assert_eq!(
        error(
            &fake,
            &get(volume(1).replace("=\"MSISCSITARGET_StorageVolume", "=\"CIM_StorageVolume"))
        ),
        6
    );
    assert_eq!(error(&fake, &get(path("CIM_Printer", &[]))), 5);
    assert_eq!(error(&fake, &get(class("CIM_Service"))), 7);
    assert_eq!(error(&fake, &get(value("x"))), 4);
    assert_eq!(error(&fake, &intrinsic("GetInstance", NAMESPACE, &[])), 4);
}

#[test]
fn one_property_is_told_alone() {
    let fake = Fake::new();
    let get = |name: &str| {
        let parameters = [("InstanceName", volume(1)), ("PropertyName", value(name))];
        intrinsic("GetProperty", NAMESPACE, &parameters)
    };
    assert_eq!(found(&fake, &get("elementname"))[0].text, "one");
    assert_eq!(
        found(&fake, &get("OperationalStatus"))[0].name,
        "VALUE.ARRAY"
    );
    assert!(ask(&fake, &get("Caption")).children.is_empty());
    assert_eq!(error(&fake, &get("Colour")), 12);
}

#[test]
fn without_deep_inheritance_only_what_the_class_has_is_told() {
    let parameters = [
        ("ClassName", class("CIM_LogicalDevice")),
        ("DeepInheritance", value("false")),
    ];
    let found = found(
        &Fake::new(),
        &intrinsic("EnumerateInstances", NAMESPACE, &parameters),
    );
    let instance = found[0].child("INSTANCE").unwrap();
    assert!(property(instance, "DeviceID").is_some());
    assert!(property(instance, "Usage").is_none());
}
