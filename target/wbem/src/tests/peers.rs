//! Other daemons, and where they are.

use super::asking::*;
use super::fake::{Fake, ONE};
use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::values::{CopyState, LocalOrRemote, Mode, ProgressStatus, SyncType};

use crate::model::{Health, PeerSystem, StorageAssociation, StorageElement};

fn peer(name: &str, reachable: bool) -> PeerSystem {
    PeerSystem {
        id: format!("id of {name}"),
        name: name.to_owned(),
        address: format!("{name}:3261"),
        reachable,
    }
}

fn call(fake: &Fake, name: &str, parameters: &[(&str, String)]) -> (u32, crate::xml::Element) {
    returned(fake, &extrinsic(name, &service(), parameters))
}

fn system(id: &str) -> String {
    path(
        "Tidelock_PeerSystem",
        &[("CreationClassName", "Tidelock_PeerSystem"), ("Name", id)],
    )
}

#[test]
fn those_that_are_known_are_told_of_and_those_that_answer_if_that_is_asked() {
    let mut fake = Fake::new();
    fake.inventory.peers = vec![peer("near", true), peer("far", false)];
    let count = |options: &[(&str, String)]| {
        let (code, response) = call(&fake, "GetPeerSystems", options);
        assert_eq!(code, 0);
        out(&response, "Systems").unwrap().children[0]
            .children
            .len()
    };
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&[("Options", value("2"))]), 1);
    let ask = [("System", reference(&system("id of far")))];
    let (code, response) = call(&fake, "GetServiceAccessPoints", &ask);
    assert_eq!(code, 0);
    let points = &out(&response, "ServiceAccessPoints").unwrap().children[0];
    assert_eq!(points.children.len(), 1);
    let point = path(
        "Tidelock_PeerAccessPoint",
        &[
            ("SystemCreationClassName", "Tidelock_PeerSystem"),
            ("SystemName", "id of far"),
            ("CreationClassName", "Tidelock_PeerAccessPoint"),
            ("Name", "far"),
        ],
    );
    let get = intrinsic("GetInstance", crate::NAMESPACE, &[("InstanceName", point)]);
    let found = found(&fake, &get);
    assert_eq!(property(&found[0], "AccessInfo").unwrap(), ["far:3261"]);
    let gone = [("System", reference(&system("id of none")))];
    assert_eq!(call(&fake, "GetServiceAccessPoints", &gone).0, 5);
}

fn point(name: &str) -> String {
    let id = format!("id of {name}");
    path(
        "Tidelock_PeerAccessPoint",
        &[
            ("SystemCreationClassName", "Tidelock_PeerSystem"),
            ("SystemName", &id),
            ("CreationClassName", "Tidelock_PeerAccessPoint"),
            ("Name", name),
        ],
    )
}

fn with_peers() -> Fake {
    let mut fake = Fake::new();
    fake.inventory.peers = vec![peer("near", true), peer("far", false)];
    fake
}

/// Volume 1, and what the near one keeps of it.
fn mirrored() -> Fake {
    let mut fake = with_peers();
    fake.inventory.elements.push(StorageElement {
        id: COPY,
        name: "near:copy".to_owned(),
        snapshot: false,
        naa: None,
        size_bytes: 1 << 30,
        block_size: 512,
        health: Health::Ok,
        peer: Some("id of near".to_owned()),
    });
    fake.inventory.associations.push(StorageAssociation {
        key: AssociationKey {
            system_element: ONE,
            synced_element: COPY,
        },
        sync_type: SyncType::Mirror,
        mode: Mode::Synchronous,
        copy_state: CopyState::Synchronized,
        progress_status: ProgressStatus::Completed,
        percent_synced: Some(100),
        when_synced: None,
        stops_hosts: Some(false),
        locality: LocalOrRemote::Remote,
    });
    fake
}

const COPY: ElementId = ElementId(0x50);

fn copy() -> String {
    path(
        "MSISCSITARGET_StorageVolume",
        &[
            ("SystemCreationClassName", "Tidelock_PeerSystem"),
            ("SystemName", "id of near"),
            ("CreationClassName", "MSISCSITARGET_StorageVolume"),
            ("DeviceID", "00000000-0000-0000-0000-000000000050"),
        ],
    )
}

#[test]
fn what_a_peer_could_do_is_asked_by_its_access_point() {
    let fake = with_peers();
    let ask = |at: Option<String>| {
        let mut given = vec![
            ("LocalElement", reference(&volume(1))),
            ("MethodName", value("2")),
        ];
        given.extend(at.map(|at| ("OtherElementAccessPoint", reference(&at))));
        let request = extrinsic("GetSynchronizationSupported", &capabilities(), &given);
        let (code, response) = returned(&fake, &request);
        (code, numbers(&response, "SyncTypes").unwrap())
    };
    assert_eq!(ask(Some(point("near"))), (0, vec![6]));
    assert_eq!(ask(Some(point("far"))), (3, vec![]));
    assert_eq!(ask(Some(point("none"))), (5, vec![]));
    // Without one it is about copies here.
    assert_eq!(ask(None), (0, vec![7, 8]));
    let features = |at: Option<String>| {
        let given: Vec<_> = at
            .map(|at| ("connection", reference(&at)))
            .into_iter()
            .collect();
        let request = extrinsic("GetSupportedConnectionFeatures", &capabilities(), &given);
        returned(&fake, &request).0
    };
    assert_eq!(features(Some(point("near"))), 0);
    assert_eq!(features(Some(point("none"))), 5);
    assert_eq!(features(None), 5);
}

#[test]
fn a_mirror_is_made_at_a_peer_by_its_access_point() {
    let fake = with_peers();
    let create = |at: String| {
        let given = [
            ("SyncType", value("6")),
            ("SourceElement", reference(&volume(1))),
            ("TargetAccessPoint", reference(&at)),
            ("ElementName", value("copy")),
        ];
        call(&fake, "CreateElementReplica", &given)
    };
    assert_eq!(create(point("near")).0, 4096);
    assert_eq!(fake.done(), ["Mirror of 1 to Some(\"copy\") at id of near"]);
    assert_eq!(create(point("none")).0, 5);
    // Nothing that is there is taken for a target.
    let candidates = [
        ("SourceElement", reference(&volume(1))),
        ("SyncType", value("6")),
        ("TargetAccessPoint", reference(&point("near"))),
    ];
    let (code, response) = call(&fake, "GetAvailableTargetElements", &candidates);
    assert_eq!(code, 0);
    let found = out(&response, "Candidates").map_or(0, |it| it.children[0].children.len());
    assert_eq!(found, 0);
}

#[test]
fn the_volume_of_a_peer_is_one_of_its_system() {
    let fake = mirrored();
    let get = [("InstanceName", copy())];
    let all = found(&fake, &intrinsic("GetInstance", crate::NAMESPACE, &get));
    let property = |name| property(&all[0], name).unwrap();
    assert_eq!(property("ElementName"), ["near:copy"]);
    assert_eq!(property("SystemName"), ["id of near"]);
    // Remote Replica Target.
    assert_eq!(property("Usage"), ["9"]);
    let systems = [
        ("ObjectName", copy()),
        ("AssocClass", class("CIM_SystemDevice")),
    ];
    let request = intrinsic("AssociatorNames", crate::NAMESPACE, &systems);
    let systems = inside(&ask_at(&crate::Server::default(), &fake, &request, 0));
    assert!(format!("{systems:?}").contains("id of near"), "{systems:?}");
    let count = |locality: &str| {
        let given = [("SyncType", value("6")), ("Locality", value(locality))];
        let (code, response) = call(&fake, "GetReplicationRelationships", &given);
        assert_eq!(code, 0);
        out(&response, "Synchronizations").map_or(0, |it| it.children[0].children.len())
    };
    assert_eq!((count("2"), count("3")), (0, 1));
    // It is asked about at its own daemon.
    let given = [
        ("LocalElement", reference(&copy())),
        ("MethodName", value("2")),
    ];
    let request = extrinsic("GetSynchronizationSupported", &capabilities(), &given);
    assert_eq!(returned(&fake, &request).0, 5);
}

#[test]
fn a_mirror_with_a_peer_is_modified_by_its_path() {
    let fake = mirrored();
    let tie = synchronized("MSISCSITARGET_StorageSynchronized", &volume(1), &copy());
    let modify = |operation: &str| {
        let given = [
            ("Operation", value(operation)),
            ("Synchronization", reference(&tie)),
        ];
        call(&fake, "ModifyReplicaSynchronization", &given).0
    };
    assert_eq!(modify("12"), 0);
    assert_eq!(modify("8"), 0);
    // It isn't built.
    assert_eq!(modify("9"), 1);
    assert_eq!(fake.done(), ["Fracture 1 80 false", "Detach 1 80 false"]);
}
