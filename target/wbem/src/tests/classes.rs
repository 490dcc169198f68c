//! Classes are told.

use super::asking::*;
use super::fake::Fake;
use crate::{INTEROP, NAMESPACE};

#[test]
fn a_class_is_told_with_its_keys_methods_and_values() {
    let request = intrinsic(
        "GetClass",
        NAMESPACE,
        &[
            ("ClassName", class("msiscsitarget_storagesynchronized")),
            ("LocalOnly", value("false")),
            ("IncludeClassOrigin", value("TRUE")),
        ],
    );
    let found = found(&Fake::new(), &request);
    let class = &found[0];
    assert_eq!(
        class.attribute("NAME"),
        Some("MSISCSITARGET_StorageSynchronized")
    );
    assert_eq!(
        class.attribute("SUPERCLASS"),
        Some("CIM_StorageSynchronized")
    );
    let named = |name| {
        class
            .children
            .iter()
            .find(move |it| it.attribute("NAME") == Some(name))
    };
    let key = named("SystemElement").unwrap();
    assert_eq!(key.attribute("REFERENCECLASS"), Some("CIM_ManagedElement"));
    assert_eq!(key.attribute("CLASSORIGIN"), Some("CIM_Synchronized"));
    assert_eq!(key.attribute("PROPAGATED"), Some("true"));
    let qualifiers = |name| {
        let all = named(name).unwrap().children_named("QUALIFIER");
        all.map(|it| it.attribute("NAME").unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(qualifiers("SystemElement"), ["Key"]);
    assert_eq!(qualifiers("CopyState"), ["ValueMap", "Values"]);
}

#[test]
fn only_what_is_its_own_is_told_unless_all_is_wanted() {
    let names = |parameters: &[(&str, String)]| {
        let found = found(&Fake::new(), &intrinsic("GetClass", NAMESPACE, parameters));
        let children = found[0].children.iter();
        let named = children.filter(|it| it.name != "QUALIFIER");
        named
            .map(|it| it.attribute("NAME").unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let name = ("ClassName", class("CIM_ComputerSystem"));
    assert_eq!(names(std::slice::from_ref(&name)), ["Dedicated"]);
    let all = names(&[name.clone(), ("LocalOnly", value("false"))]);
    assert!(
        all.len() > 8 && all.contains(&"OperationalStatus".to_owned()),
        "{all:?}"
    );
    let list = "<VALUE.ARRAY><VALUE>name</VALUE></VALUE.ARRAY>".to_owned();
    let some = names(&[name, ("LocalOnly", value("false")), ("PropertyList", list)]);
    assert_eq!(some, ["Name"]);
}

#[test]
fn classes_are_enumerated_from_the_top_or_below_one() {
    let names = |parameters: &[(&str, String)]| {
        let found = found(
            &Fake::new(),
            &intrinsic("EnumerateClassNames", INTEROP, parameters),
        );
        found
            .iter()
            .map(|it| it.attribute("NAME").unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let top = names(&[]);
    assert!(top.contains(&"CIM_ManagedElement".to_owned()));
    assert!(!top.contains(&"CIM_StorageVolume".to_owned()));
    let below = ("ClassName", class("CIM_StorageExtent"));
    assert_eq!(names(std::slice::from_ref(&below)), ["CIM_StorageVolume"]);
    let deep = names(&[below, ("DeepInheritance", value("true"))]);
    assert_eq!(deep, ["CIM_StorageVolume", "MSISCSITARGET_StorageVolume"]);
    let all = names(&[("DeepInheritance", value("true"))]);
    assert_eq!(all.len(), crate::schema::classes().count());
    let request = intrinsic(
        "EnumerateClasses",
        NAMESPACE,
        &[("ClassName", class("CIM_Service"))],
    );
    let classes = found(&Fake::new(), &request);
    let names: Vec<_> = classes
        .iter()
        .map(|it| it.attribute("NAME").unwrap())
        .collect();
    assert_eq!(names, ["CIM_WBEMService", "CIM_ReplicationService"]);
}

#[test]
fn a_class_or_namespace_that_is_not_there_has_its_own_code() {
    let fake = Fake::new();
    let name = [("ClassName", class("CIM_Printer"))];
    assert_eq!(error(&fake, &intrinsic("GetClass", NAMESPACE, &name)), 6);
    assert_eq!(
        error(&fake, &intrinsic("EnumerateClassNames", NAMESPACE, &name)),
        5
    );
    assert_eq!(
        error(&fake, &intrinsic("EnumerateInstances", NAMESPACE, &name)),
        5
    );
    assert_eq!(error(&fake, &intrinsic("GetClass", "root/cimv2", &name)), 3);
    assert_eq!(error(&fake, &intrinsic("GetClass", NAMESPACE, &[])), 4);
    let wrong = [
        ("ClassName", class("CIM_Service")),
        ("LocalOnly", value("perhaps")),
    ];
    assert_eq!(error(&fake, &intrinsic("GetClass", NAMESPACE, &wrong)), 4);
    let unknown = [
        ("ClassName", class("CIM_Service")),
        ("Colour", value("red")),
    ];
    assert_eq!(error(&fake, &intrinsic("GetClass", NAMESPACE, &unknown)), 4);
    assert_eq!(error(&fake, &intrinsic("DeleteClass", NAMESPACE, &name)), 7);
    assert_eq!(error(&fake, &intrinsic("ExecQuery", NAMESPACE, &[])), 7);
    assert_eq!(error(&fake, &intrinsic("SetProperty", NAMESPACE, &[])), 7);
}
