//! Aspects: points in time that copies can be made of. Each snapshot is one.

use tidelock_capabilities::values::ReturnCode;

use super::asking::*;
use super::fake::Fake;
use crate::NAMESPACE;

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const SNAPSHOT: &str = "00000000-0000-0000-0000-00000000000a";
const NEW: &str = "00000000-0000-0000-0000-000000000063";

fn call(fake: &Fake, name: &str, parameters: &[(&str, String)]) -> (u32, crate::xml::Element) {
    returned(fake, &extrinsic(name, &service(), parameters))
}

fn aspect(id: &str) -> String {
    let id = format!("Tidelock:Aspect:{id}");
    path("Tidelock_SynchronizationAspect", &[("InstanceID", &id)])
}

fn state(volume: &str, aspect: &str) -> String {
    let key = |name: &str, path: &str| {
        format!(
            "<KEYBINDING NAME=\"{name}\">{}</KEYBINDING>",
            reference(path)
        )
    };
    let keys = key("ManagedElement", volume) + &key("SettingData", aspect);
    format!("<INSTANCENAME CLASSNAME=\"Tidelock_SettingsDefineState\">{keys}</INSTANCENAME>")
}

fn of_the_snapshot() -> (&'static str, String) {
    (
        "SettingsState",
        reference(&state(&volume(1), &aspect(SNAPSHOT))),
    )
}

#[test]
fn a_snapshot_is_an_aspect_of_its_volume() {
    let fake = Fake::new();
    let get = [("InstanceName", aspect(SNAPSHOT))];
    let found_one = found(&fake, &intrinsic("GetInstance", NAMESPACE, &get));
    let property = |name| property(&found_one[0], name).unwrap();
    assert_eq!(property("ElementName"), ["one@s"]);
    assert_eq!(property("SyncType"), ["7"]);
    assert_eq!(property("WhenPointInTime"), ["20261126164306.000000+000"]);
    assert!(property("SourceElement")[0].contains(ONE));
    let of = |path: String, class: &str| {
        let ask = [
            ("ObjectName", path),
            ("AssocClass", super::asking::class(class)),
        ];
        let all = found(&fake, &intrinsic("AssociatorNames", NAMESPACE, &ask));
        all.iter().flat_map(ids).collect::<Vec<_>>()
    };
    assert_eq!(of(aspect(SNAPSHOT), "CIM_SettingsDefineState"), [ONE]);
    assert_eq!(
        of(volume(1), "CIM_SettingsDefineState"),
        [format!("Tidelock:Aspect:{SNAPSHOT}")]
    );
}

#[test]
fn one_is_made_of_a_volume_and_referred_to() {
    let fake = Fake::new();
    let (code, response) = call(
        &fake,
        "CreateSynchronizationAspect",
        &[
            ("Name", value("noon")),
            ("SyncType", value("7")),
            ("SourceElement", reference(&volume(1))),
        ],
    );
    assert_eq!(code, 0);
    let ends = ids(out(&response, "SettingsState").unwrap());
    assert_eq!(ends, [ONE.to_owned(), format!("Tidelock:Aspect:{NEW}")]);
    assert_eq!(fake.done(), ["aspect of 1 called Some(\"noon\")"]);
}

#[test]
fn one_is_deleted_as_its_snapshot_is() {
    let fake = Fake::new();
    let delete = [("Operation", value("4")), of_the_snapshot()];
    assert_eq!(call(&fake, "ModifySettingsDefineState", &delete).0, 0);
    assert_eq!(fake.done(), ["Return To ResourcePool 1 10 false"]);
}

#[test]
fn a_copy_of_one_is_a_clone_of_its_snapshot_with_a_job() {
    let fake = Fake::new();
    let copy = [("Operation", value("5")), of_the_snapshot()];
    let (code, response) = call(&fake, "ModifySettingsDefineState", &copy);
    assert_eq!(code, 4096);
    assert_eq!(ids(out(&response, "TargetElement").unwrap()), [NEW]);
    assert_eq!(
        ids(out(&response, "Synchronization").unwrap()),
        [SNAPSHOT, NEW]
    );
    assert_eq!(fake.done(), ["Clone of 10 to None"]);
}

#[test]
fn an_aspect_that_is_wrong_or_not_built_is_not_made() {
    let fake = Fake::new();
    let source = ("SourceElement", reference(&volume(1)));
    for (given, code) in [
        (vec![("SyncType", value("7"))], 5),
        (vec![("SyncType", value("5")), source.clone()], 5),
        (vec![source.clone()], 5),
        (
            vec![
                ("SyncType", value("7")),
                ("SourceElement", reference(&volume(77))),
            ],
            5,
        ),
        (
            vec![
                ("SyncType", value("7")),
                ("SourceGroup", reference(&group("both"))),
            ],
            1,
        ),
        (
            vec![
                ("SyncType", value("7")),
                ("Consistency", value("3")),
                source.clone(),
            ],
            1,
        ),
    ] {
        let told = call(&fake, "CreateSynchronizationAspect", &given);
        assert_eq!(told.0, code, "{given:?}");
    }
    assert_eq!(fake.done(), [""; 0]);
}

#[test]
fn what_is_wrong_or_not_built_changes_no_aspect() {
    let mut fake = Fake::new();
    let other =
        |volume: String, aspect: String| ("SettingsState", reference(&state(&volume, &aspect)));
    for (given, code) in [
        (vec![of_the_snapshot()], 5),
        (vec![("Operation", value("9")), of_the_snapshot()], 5),
        (vec![("Operation", value("4"))], 5),
        // Consistency is of what has a target; Restore is of a newer schema.
        (vec![("Operation", value("2")), of_the_snapshot()], 1),
        (vec![("Operation", value("7")), of_the_snapshot()], 1),
        (
            vec![
                ("Operation", value("4")),
                other(volume(2), aspect(SNAPSHOT)),
            ],
            5,
        ),
        (
            vec![
                ("Operation", value("4")),
                other(volume(1), aspect("nothing")),
            ],
            5,
        ),
        (
            vec![
                ("Operation", value("5")),
                of_the_snapshot(),
                ("TargetElement", reference(&volume(77))),
            ],
            5,
        ),
        (
            vec![
                ("Operation", value("5")),
                of_the_snapshot(),
                ("TargetGroup", reference(&group("both"))),
            ],
            1,
        ),
        (
            vec![
                ("Operation", value("5")),
                of_the_snapshot(),
                ("WaitForCopyState", value("6")),
            ],
            5,
        ),
    ] {
        let told = call(&fake, "ModifySettingsDefineState", &given);
        assert_eq!(told.0, code, "{given:?}");
    }
    assert_eq!(fake.done(), [""; 0]);
    fake.refuse = Some(ReturnCode::InUse);
    let copy = [("Operation", value("5")), of_the_snapshot()];
    assert_eq!(call(&fake, "ModifySettingsDefineState", &copy).0, 6);
}
