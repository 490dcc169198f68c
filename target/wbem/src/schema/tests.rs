//! The class repository is whole.

use super::*;

#[test]
fn every_superclass_is_there_and_comes_first() {
    let all: Vec<_> = classes().collect();
    for (at, class) in all.iter().enumerate() {
        let same = all
            .iter()
            .filter(|it| it.name.eq_ignore_ascii_case(class.name));
        assert_eq!(same.count(), 1, "{} is there twice", class.name);
        if let Some(parent) = class.superclass {
            let place = all.iter().position(|it| it.name == parent);
            assert!(
                place.is_some_and(|place| place < at),
                "{}: {parent}",
                class.name
            );
            assert_eq!(
                class.association,
                class.parent().unwrap().association || class.association
            );
        }
    }
}

#[test]
fn every_concrete_class_has_a_key_and_a_superclass_of_dmtf() {
    for class in classes().filter(|class| class.concrete) {
        assert!(
            class.all_properties().iter().any(|(it, _)| it.key),
            "{}",
            class.name
        );
        // What clients make has the names that they know.
        if crate::indications::is_kept(class.name) {
            continue;
        }
        assert!(
            class.parent().unwrap().name.starts_with("CIM_"),
            "{}",
            class.name
        );
        assert!(!class.name.starts_with("CIM_"), "{}", class.name);
    }
}

#[test]
fn what_a_subclass_says_of_a_property_counts_and_its_origin_stays() {
    let class = class("msiscsitarget_hostedservice").unwrap();
    let all = class.all_properties();
    let (antecedent, origin) = all.iter().find(|(it, _)| it.name == "Antecedent").unwrap();
    assert_eq!(antecedent.of, Type::Reference("CIM_System"));
    assert_eq!(*origin, "CIM_Dependency");
    assert!(class.is_a(super::class("CIM_Dependency").unwrap()));
    assert!(!class.is_a(super::class("CIM_Component").unwrap()));
}

#[test]
fn the_capabilities_have_all_twenty_methods_of_their_age_and_the_one_of_associations() {
    let class = class("MSISCSITARGET_ReplicationServiceCapabilities").unwrap();
    assert_eq!(class.all_methods().len(), 21);
    assert!(class.method("getsynchronizationsupported").is_some());
    assert!(
        class
            .method("GetSupportedTokenizedReplicationType")
            .is_none()
    );
}
