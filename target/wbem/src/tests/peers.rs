//! Other daemons, and where they are.

use super::asking::*;
use super::fake::Fake;
use crate::model::PeerSystem;

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
