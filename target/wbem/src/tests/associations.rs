//! Associations lead from one instance to others.

use super::asking::*;
use super::fake::Fake;
use crate::{INTEROP, NAMESPACE};

fn names(operation: &str, object: String, parameters: &[(&str, String)]) -> Vec<String> {
    let mut all = vec![("ObjectName", object)];
    all.extend_from_slice(parameters);
    let found = found(&Fake::new(), &intrinsic(operation, NAMESPACE, &all));
    found
        .iter()
        .map(|it| {
            assert!(matches!(
                it.name.as_str(),
                "OBJECTPATH" | "VALUE.OBJECTWITHPATH"
            ));
            let path = it.child("INSTANCEPATH").unwrap();
            let host = path.child("NAMESPACEPATH").unwrap().child("HOST").unwrap();
            assert_eq!(host.text, "host:5989");
            path.child("INSTANCENAME")
                .unwrap()
                .attribute("CLASSNAME")
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn the_profile_leads_to_the_service_and_on() {
    let profile = path(
        "Tidelock_RegisteredProfile",
        &[("InstanceID", "Tidelock:SNIA:Replication Services:1.5.0")],
    );
    let request = intrinsic(
        "AssociatorNames",
        INTEROP,
        &[
            ("ObjectName", profile),
            ("AssocClass", class("CIM_ElementConformsToProfile")),
        ],
    );
    let found = found(&Fake::new(), &request);
    let path = found[0].child("INSTANCEPATH").unwrap();
    let name = path.child("INSTANCENAME").unwrap();
    assert_eq!(
        name.attribute("CLASSNAME"),
        Some("MSISCSITARGET_ReplicationService")
    );
    let place = path
        .child("NAMESPACEPATH")
        .unwrap()
        .child("LOCALNAMESPACEPATH")
        .unwrap();
    assert_eq!(place.children.len(), 4);
    let capabilities = ("AssocClass", class("CIM_ElementCapabilities"));
    assert_eq!(
        names(
            "Associators",
            service(),
            std::slice::from_ref(&capabilities)
        ),
        ["MSISCSITARGET_ReplicationServiceCapabilities"]
    );
    let system = [("ResultClass", class("CIM_System"))];
    assert_eq!(
        names("AssociatorNames", service(), &system),
        ["Tidelock_ComputerSystem"]
    );
}

#[test]
fn a_volume_leads_to_its_copies_by_their_roles() {
    let source = ("Role", value("SystemElement"));
    let target = ("Role", value("SyncedElement"));
    let copies = ("AssocClass", class("CIM_Synchronized"));
    let one = |role: &(&'static str, String)| {
        names(
            "AssociatorNames",
            volume(1),
            &[copies.clone(), role.clone()],
        )
    };
    assert_eq!(one(&source), ["MSISCSITARGET_StorageVolume"]);
    assert!(one(&target).is_empty());
    let result = ("ResultRole", value("SyncedElement"));
    assert_eq!(
        names("AssociatorNames", volume(1), &[copies.clone(), result]).len(),
        1
    );
    let result = ("ResultRole", value("SystemElement"));
    assert!(names("AssociatorNames", volume(1), &[copies, result]).is_empty());
    let references = names("References", volume(1), &[]);
    assert_eq!(
        references,
        [
            "Tidelock_OrderedMemberOfCollection",
            "MSISCSITARGET_SystemDevice",
            "MSISCSITARGET_StorageSynchronized",
            "Tidelock_SettingsDefineState"
        ]
    );
    let only = [("ResultClass", class("CIM_Synchronized"))];
    assert_eq!(
        names("ReferenceNames", volume(1), &only),
        ["MSISCSITARGET_StorageSynchronized"]
    );
}

#[test]
fn a_group_leads_to_its_members_and_its_snapshots() {
    let members = [("AssocClass", class("CIM_MemberOfCollection"))];
    assert_eq!(names("Associators", group("both"), &members).len(), 2);
    let sets = [("AssocClass", class("CIM_GroupSynchronized"))];
    assert_eq!(
        names("Associators", group("both"), &sets),
        ["Tidelock_ReplicationGroup"]
    );
    assert_eq!(
        names("Associators", group("both@monday"), &members).len(),
        1
    );
}

#[test]
fn associations_of_what_is_not_there_are_refused() {
    let fake = Fake::new();
    let ask = |object: String, more: &[(&str, String)]| {
        let mut all = vec![("ObjectName", object)];
        all.extend_from_slice(more);
        error(&fake, &intrinsic("Associators", NAMESPACE, &all))
    };
    assert_eq!(ask(volume(5), &[]), 6);
    assert_eq!(ask(volume(1), &[("AssocClass", class("CIM_Printer"))]), 5);
    assert_eq!(ask(volume(1), &[("Colour", value("red"))]), 4);
    assert_eq!(ask(class("CIM_StorageVolume"), &[]), 7);
    let elsewhere = format!(
        "<LOCALINSTANCEPATH>{}{}</LOCALINSTANCEPATH>",
        namespace_path("root/elsewhere"),
        volume(1)
    );
    assert_eq!(ask(elsewhere, &[]), 3);
}
