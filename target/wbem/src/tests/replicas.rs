//! Methods of the service.

use tidelock_capabilities::values::ReturnCode;

use super::asking::*;
use super::fake::Fake;

fn call(fake: &Fake, name: &str, parameters: &[(&str, String)]) -> (u32, crate::xml::Element) {
    returned(fake, &extrinsic(name, &service(), parameters))
}

fn create(fake: &Fake, sync_type: &str, more: &[(&str, String)]) -> (u32, crate::xml::Element) {
    let mut all = vec![
        ("SyncType", value(sync_type)),
        ("SourceElement", reference(&volume(1))),
    ];
    all.extend_from_slice(more);
    call(fake, "CreateElementReplica", &all)
}

const NEW_ID: &str = "00000000-0000-0000-0000-000000000063";

#[test]
fn a_snapshot_is_made_at_once_and_referred_to() {
    let mut fake = Fake::new();
    fake.job = None;
    let (code, response) = create(&fake, "7", &[("ElementName", value("s2"))]);
    assert_eq!(code, 0);
    assert_eq!(ids(out(&response, "TargetElement").unwrap()), [NEW_ID]);
    let ends = ids(out(&response, "Synchronization").unwrap());
    assert_eq!(ends, ["00000000-0000-0000-0000-000000000001", NEW_ID]);
    assert!(out(&response, "Job").is_none());
    assert_eq!(fake.done(), ["Snapshot of 1 to Some(\"s2\")"]);
}

#[test]
fn a_clone_has_a_job_unless_nobody_waits_for_it() {
    let fake = Fake::new();
    let (code, response) = create(&fake, "8", &[("WaitForCopyState", value("4"))]);
    assert_eq!(code, 4096);
    assert_eq!(ids(out(&response, "Job").unwrap()), ["Tidelock:Job:7"]);
    let (code, response) = create(&fake, "8", &[("WaitForCopyState", value("3"))]);
    assert_eq!(code, 0);
    assert!(out(&response, "Job").is_none());
    assert_eq!(create(&fake, "8", &[("WaitForCopyState", value("6"))]).0, 5);
    assert_eq!(fake.done().len(), 2);
}

#[test]
fn what_is_wrong_or_not_built_makes_nothing() {
    let fake = Fake::new();
    for (sync_type, more, code) in [
        ("5", vec![], 5),
        ("9", vec![], 1),
        ("7", vec![("Mode", value("4"))], 1),
        ("7", vec![("Mode", value("9"))], 5),
        ("7", vec![("TargetElement", reference(&volume(77)))], 5),
        ("7", vec![("TargetPool", reference(&volume(1)))], 5),
        ("7", vec![("SourceAccessPoint", reference(&service()))], 5),
        (
            "7",
            vec![("ReplicationSettingData", value("&lt;INSTANCE/&gt;"))],
            5,
        ),
        ("7", vec![("ElementName", value(&"x".repeat(257)))], 5),
        ("7", vec![("WaitForCopyState", value("77"))], 5),
    ] {
        assert_eq!(
            create(&fake, sync_type, &more).0,
            code,
            "{sync_type} {more:?}"
        );
    }
    let missing = [("SyncType", value("7"))];
    assert_eq!(call(&fake, "CreateElementReplica", &missing).0, 5);
    let gone = [
        ("SyncType", value("7")),
        ("SourceElement", reference(&volume(77))),
    ];
    assert_eq!(call(&fake, "CreateElementReplica", &gone).0, 5);
    assert!(fake.done().is_empty());
}

#[test]
fn the_daemons_refusal_is_returned_with_its_code() {
    let mut fake = Fake::new();
    fake.refuse = Some(ReturnCode::InUse);
    let (code, response) = create(&fake, "7", &[]);
    assert_eq!(code, 6);
    assert!(out(&response, "TargetElement").is_none());
    // Why is told by a job that has failed.
    assert_eq!(ids(out(&response, "Job").unwrap()), ["Tidelock:Job:77"]);
    fake.inventory.system.ready = false;
    assert_eq!(create(&fake, "7", &[]).0, 2);
}

fn modify(fake: &Fake, operation: &str, path: String, more: &[(&str, String)]) -> u32 {
    let mut all = vec![
        ("Operation", value(operation)),
        ("Synchronization", reference(&path)),
    ];
    all.extend_from_slice(more);
    call(fake, "ModifyReplicaSynchronization", &all).0
}

#[test]
fn operations_are_admitted_by_the_table_and_then_done() {
    let fake = Fake::new();
    assert_eq!(modify(&fake, "19", storage_synchronized(1, 10), &[]), 0);
    let force = [("Force", value("true"))];
    assert_eq!(modify(&fake, "15", storage_synchronized(1, 10), &force), 0);
    assert_eq!(modify(&fake, "8", storage_synchronized(2, 3), &[]), 0);
    assert_eq!(
        fake.done(),
        [
            "Return To ResourcePool 1 10 false",
            "Restore from Replica 1 10 true",
            "Detach 2 3 false"
        ]
    );
    // Not built for this type; reserved; of something that isn't there.
    assert_eq!(modify(&fake, "12", storage_synchronized(2, 3), &[]), 1);
    assert_eq!(modify(&fake, "99", storage_synchronized(2, 3), &[]), 5);
    assert_eq!(modify(&fake, "8", storage_synchronized(1, 3), &[]), 5);
    assert_eq!(modify(&fake, "8", volume(1), &[]), 5);
    let wait = [("WaitForCopyState", value("6"))];
    assert_eq!(modify(&fake, "8", storage_synchronized(2, 3), &wait), 5);
    assert_eq!(fake.done().len(), 3);
}

#[test]
fn the_volumes_of_a_group_are_mirrored_with_those_of_another_one() {
    let fake = Fake::new();
    let mirrors = |target: &str| {
        [
            ("SyncType", value("6")),
            ("SourceGroup", reference(&group("both"))),
            ("TargetGroup", reference(&group(target))),
        ]
    };
    let (code, response) = call(&fake, "CreateGroupReplica", &mirrors("both"));
    assert_eq!(code, 0);
    assert_eq!(
        ids(out(&response, "TargetGroup").unwrap()),
        ["Tidelock:Group:both"]
    );
    assert!(out(&response, "Synchronization").is_none(), "each has one");
    assert_eq!(fake.done(), ["Mirror of group both to group both false"]);
    // What isn't there; no target; one for what makes its own.
    for gone in ["none", "both@monday"] {
        assert_eq!(call(&fake, "CreateGroupReplica", &mirrors(gone)).0, 5);
    }
    let [sync_type, source, target] = mirrors("both");
    let alone = [sync_type, source.clone()];
    assert_eq!(call(&fake, "CreateGroupReplica", &alone).0, 5);
    let clones = [("SyncType", value("8")), source, target];
    assert_eq!(call(&fake, "CreateGroupReplica", &clones).0, 1);
    assert_eq!(fake.done().len(), 1);
}

#[test]
fn a_groups_snapshots_are_taken_and_restored() {
    let fake = Fake::new();
    let all = [
        ("SyncType", value("7")),
        ("SourceGroup", reference(&group("both"))),
        ("RelationshipName", value("new")),
    ];
    let (code, response) = call(&fake, "CreateGroupReplica", &all);
    assert_eq!(code, 0);
    assert_eq!(
        ids(out(&response, "TargetGroup").unwrap()),
        ["Tidelock:Group:both@new"]
    );
    let ends = ids(out(&response, "Synchronization").unwrap());
    assert_eq!(ends, ["Tidelock:Group:both", "Tidelock:Group:both@new"]);
    let mut with = all.to_vec();
    with.push(("Consistency", value("3")));
    assert_eq!(call(&fake, "CreateGroupReplica", &with).0, 1);
    let gone = [
        ("SyncType", value("7")),
        ("SourceGroup", reference(&group("none"))),
    ];
    assert_eq!(call(&fake, "CreateGroupReplica", &gone).0, 5);
    let tie =
        |target: &str| synchronized("Tidelock_GroupSynchronized", &group("both"), &group(target));
    assert_eq!(modify(&fake, "15", tie("both@monday"), &[]), 0);
    assert_eq!(modify(&fake, "19", tie("both@monday"), &[]), 1);
    assert_eq!(modify(&fake, "15", tie("both@tuesday"), &[]), 5);
    assert_eq!(
        fake.done(),
        [
            "Snapshot of group both to Some(\"new\")",
            "Restore from Replica both monday false"
        ]
    );
}

fn members(all: &[u128]) -> String {
    let paths: String = all.iter().map(|id| reference(&volume(*id))).collect();
    format!("<VALUE.REFARRAY>{paths}</VALUE.REFARRAY>")
}

#[test]
fn groups_are_made_changed_and_deleted() {
    let fake = Fake::new();
    let group_of = |name: &str| ("ReplicationGroup", reference(&group(name)));
    let make = [("GroupName", value("new")), ("Members", members(&[2, 1]))];
    let (code, response) = call(&fake, "CreateGroup", &make);
    assert_eq!(code, 0);
    assert_eq!(
        ids(out(&response, "ReplicationGroup").unwrap()),
        ["Tidelock:Group:new"]
    );
    let of_one = |name: &str, ids: &[u128]| {
        let parameters = [group_of("both"), ("Members", members(ids))];
        call(&fake, name, &parameters).0
    };
    assert_eq!(of_one("AddMembers", &[3]), 0);
    assert_eq!(of_one("RemoveMembers", &[1]), 0);
    assert_eq!(of_one("RemoveMembers", &[3]), 8);
    assert_eq!(of_one("AddMembers", &[77]), 5);
    assert_eq!(of_one("AddMembers", &[10]), 5);
    assert_eq!(call(&fake, "AddMembers", &[group_of("none")]).0, 7);
    assert_eq!(call(&fake, "DeleteGroup", &[group_of("both")]).0, 0);
    assert_eq!(call(&fake, "DeleteGroup", &[group_of("none")]).0, 5);
    assert_eq!(call(&fake, "DeleteGroup", &[group_of("both@monday")]).0, 1);
    let kept = [group_of("both"), ("RemoveElements", value("true"))];
    assert_eq!(call(&fake, "DeleteGroup", &kept).0, 1);
    let fleeting = [("GroupName", value("x")), ("Persistent", value("false"))];
    assert_eq!(call(&fake, "CreateGroup", &fleeting).0, 1);
    assert_eq!(call(&fake, "CreateGroup", &[]).0, 5);
    assert_eq!(fake.done().len(), 4);
}

#[test]
fn relationships_targets_and_peers_are_told() {
    let fake = Fake::new();
    let count = |parameters: &[(&str, &str)]| {
        let all: Vec<_> = parameters
            .iter()
            .map(|(name, text)| (*name, value(text)))
            .collect();
        let (code, response) = call(&fake, "GetReplicationRelationships", &all);
        (
            code,
            out(&response, "Synchronizations").unwrap().children[0]
                .children
                .len(),
        )
    };
    assert_eq!(count(&[]), (0, 3));
    assert_eq!(count(&[("Type", "2")]), (0, 2));
    assert_eq!(count(&[("Type", "3")]), (0, 1));
    assert_eq!(count(&[("SyncType", "8")]), (0, 1));
    assert_eq!(count(&[("Locality", "3")]), (0, 0));
    assert_eq!(count(&[("CopyState", "5")]), (0, 0));
    assert_eq!(count(&[("Type", "4")]).0, 5);
    let (code, response) = call(&fake, "GetPeerSystems", &[]);
    assert_eq!(code, 0);
    assert_eq!(
        out(&response, "Systems").unwrap().children[0].name,
        "VALUE.REFARRAY"
    );
    assert_eq!(
        call(&fake, "GetPeerSystems", &[("Options", value("9"))]).0,
        5
    );
    let system = path(
        "Tidelock_ComputerSystem",
        &[
            ("CreationClassName", "Tidelock_ComputerSystem"),
            ("Name", "host"),
        ],
    );
    assert_eq!(
        call(
            &fake,
            "GetServiceAccessPoints",
            &[("System", reference(&system))]
        )
        .0,
        0
    );
    assert_eq!(call(&fake, "GetServiceAccessPoints", &[]).0, 5);
}

#[test]
fn a_target_is_a_candidate_exactly_if_the_pair_is_supported() {
    use tidelock_capabilities::values::{MethodName, ReplicationType};
    use tidelock_capabilities::{BuiltType, TargetSupply};
    let mut fake = Fake::new();
    let ask = |fake: &Fake, sync_type: &str, more: &[(&str, String)]| {
        let mut all = vec![
            ("SyncType", value(sync_type)),
            ("SourceElement", reference(&volume(1))),
        ];
        all.extend_from_slice(more);
        let (code, response) = call(fake, "GetAvailableTargetElements", &all);
        (
            code,
            out(&response, "Candidates").map(ids).unwrap_or_default(),
        )
    };
    assert_eq!(ask(&fake, "7", &[]), (0, vec![]));
    assert_eq!(ask(&fake, "6", &[]), (1, vec![]));
    fake.built.types.push(BuiltType {
        methods: MethodName::set(&[MethodName::CreateElementReplica]),
        ..BuiltType::new(
            ReplicationType::SynchronousMirrorLocal,
            TargetSupply::Supplied,
        )
    });
    let free = "00000000-0000-0000-0000-000000000002".to_owned();
    // The clone is the target of another association.
    assert_eq!(ask(&fake, "6", &[]), (0, vec![free]));
    assert_eq!(ask(&fake, "6", &[("Mode", value("3"))]), (1, vec![]));
}
