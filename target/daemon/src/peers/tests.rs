//! Daemons that meet on the loopback interface, and those who come uninvited.

mod hostile;
mod links;
mod nodes;

use std::sync::Arc;

use serde_json::json;
use tidelock_admin::v1::PeerState;
use tidelock_catalog::CatalogError;

use super::{AskError, DialError, PeerError};
use nodes::{Node, until};

/// Two daemons that trust each other.
async fn pair() -> (Node, Node) {
    let (a, b) = (Node::new("a"), Node::new("b"));
    a.peers
        .add(nodes::name("b"), b.address(), None)
        .await
        .unwrap();
    b.peers.accept("a", None, None).await.unwrap();
    for (one, other) in [(&a, "b"), (&b, "a")] {
        one.until_is(other, PeerState::Connected).await;
    }
    (a, b)
}

#[tokio::test]
async fn one_asks_the_other_accepts_and_both_are_connected() {
    let (a, b) = (Node::new("a"), Node::new("b"));
    a.peers
        .add(nodes::name("b"), b.address(), None)
        .await
        .unwrap();
    // It is noted there, and nothing else has changed.
    let asking = b.peers.list();
    assert_eq!((asking.peers.len(), asking.requests.len()), (0, 1));
    let request = &asking.requests[0];
    assert_eq!(request.name, "a");
    assert_eq!(request.fingerprint, a.peers.identity().fingerprint);
    assert_eq!(Some(request.address.clone()), a.peers.identity().portal);
    a.until_is("b", PeerState::WaitsForAcceptance).await;
    let shown = a.peers.show(&nodes::name("b")).unwrap();
    assert_eq!(shown.fingerprint, b.peers.identity().fingerprint);
    assert!(shown.detail.contains("hasn't accepted"), "{}", shown.detail);

    let (name, _) = b
        .peers
        .accept("a", Some(nodes::name("other")), None)
        .await
        .unwrap();
    assert_eq!(name.as_str(), "other");
    a.until_is("b", PeerState::Connected).await;
    b.until_is("other", PeerState::Connected).await;
    assert!(b.peers.list().requests.is_empty());
    let shown = b.peers.show(&name).unwrap();
    assert_eq!(shown.calls_itself.as_deref(), Some("a"));
    assert_eq!(shown.node_id, a.peers.identity().node_id);
    assert_eq!(shown.portal_groups, [1, 2]);
    assert!(shown.round_trip_us.is_some() && shown.last_seen_unix_ms.is_some());
}

#[tokio::test]
async fn adding_each_other_is_accepting_each_other() {
    let (a, b) = (Node::new("a"), Node::new("b"));
    let of = |node: &Node| Some(node.peers.identity().fingerprint.parse().unwrap());
    a.peers
        .add(nodes::name("b"), b.address(), of(&b))
        .await
        .unwrap();
    b.peers
        .add(nodes::name("a"), a.address(), of(&a))
        .await
        .unwrap();
    a.until_is("b", PeerState::Connected).await;
    b.until_is("a", PeerState::Connected).await;
    assert!(b.peers.list().requests.is_empty());
}

#[tokio::test]
async fn another_key_than_the_expected_one_is_refused_and_nothing_changes() {
    let (a, b) = (Node::new("a"), Node::new("b"));
    let own = a.peers.identity().fingerprint.parse().unwrap();
    let adding = a.peers.add(nodes::name("b"), b.address(), Some(own));
    let error = adding.await.unwrap_err();
    assert!(
        matches!(error, PeerError::Dial(DialError::OtherKey { .. })),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&b.peers.identity().fingerprint), "{text}");
    assert!(text.contains(&a.peers.identity().fingerprint), "{text}");
    assert!(a.peers.list().peers.is_empty() && b.peers.list().requests.is_empty());
}

#[tokio::test]
async fn nobody_is_its_own_peer_or_one_twice() {
    let (a, b) = pair().await;
    let error = a
        .peers
        .add(nodes::name("me"), a.address(), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("this daemon itself"), "{error}");
    let again = a
        .peers
        .add(nodes::name("c"), b.address(), None)
        .await
        .unwrap_err();
    assert!(again.to_string().contains("is peer b already"), "{again}");
    let taken = a
        .peers
        .add(nodes::name("b"), a.address(), None)
        .await
        .unwrap_err();
    assert!(
        taken.to_string().contains("there is a peer b already"),
        "{taken}"
    );
}

#[tokio::test]
async fn a_request_is_named_clearly_or_not_accepted() {
    let (a, second, b) = (Node::new("a"), Node::new("a"), Node::new("b"));
    let error = b.peers.accept("a", None, None).await.unwrap_err();
    assert!(matches!(error, PeerError::NoRequest(_)), "{error}");
    for node in [&a, &second] {
        node.peers
            .add(nodes::name("b"), b.address(), None)
            .await
            .unwrap();
    }
    let error = b.peers.accept("a", None, None).await.unwrap_err();
    assert!(matches!(error, PeerError::SeveralRequests(_)), "{error}");
    let exactly = second.peers.identity().fingerprint;
    b.peers.accept(&exactly, None, None).await.unwrap();
    second.until_is("b", PeerState::Connected).await;
    assert_eq!(b.peers.list().requests.len(), 1);
}

#[tokio::test]
async fn a_peer_that_is_removed_is_a_stranger_again_at_once() {
    let (a, b) = pair().await;
    b.peers.remove(nodes::name("a")).await.unwrap();
    a.until_is("b", PeerState::WaitsForAcceptance).await;
    until("it asks again", || b.peers.list().requests.len() == 1).await;
    let gone = b.peers.remove(nodes::name("a")).await.unwrap_err();
    assert!(gone.to_string().contains("no peer a"), "{gone}");
    b.peers.accept("a", None, None).await.unwrap();
    a.until_is("b", PeerState::Connected).await;
}

#[tokio::test]
async fn a_peer_that_something_depends_on_is_not_removed() {
    let (a, b) = pair().await;
    a.peers.set_ends(Arc::new(nodes::Fake {
        users: vec!["mirror db".into()],
    }));
    let error = a.peers.remove(nodes::name("b")).await.unwrap_err();
    assert_eq!(error.to_string(), "peer b is in use: mirror db");
    a.until_is("b", PeerState::Connected).await;
    b.until_is("a", PeerState::Connected).await;
}

#[tokio::test]
async fn a_peer_that_has_moved_is_found_at_its_new_address() {
    let (a, b) = pair().await;
    let b = b.restarted();
    a.until_is("b", PeerState::Unreachable).await;
    // It finds us, and that isn't enough: we don't find it.
    b.until_is("a", PeerState::Connected).await;
    until("nobody is where it was", || {
        let detail = a.peers.show(&nodes::name("b")).unwrap().detail;
        detail.contains("can't be reached")
    })
    .await;
    a.peers
        .set_address(nodes::name("b"), b.address())
        .await
        .unwrap();
    a.until_is("b", PeerState::Connected).await;
}

#[tokio::test]
async fn somebody_else_at_a_peers_address_is_not_taken_for_it() {
    let (a, _b) = pair().await;
    let c = Node::new("c");
    a.peers
        .set_address(nodes::name("b"), c.address())
        .await
        .unwrap();
    a.until_is("b", PeerState::Unreachable).await;
    let detail = a.peers.show(&nodes::name("b")).unwrap().detail;
    assert!(detail.contains(&c.peers.identity().fingerprint), "{detail}");
    assert!(c.peers.list().requests.is_empty());
}

#[tokio::test]
async fn peers_ask_each_other_about_mirrors_and_a_refusal_says_why() {
    let (a, b) = pair().await;
    let b_name = nodes::name("b");
    let asked = a.peers.ask::<_, String>(&b_name, &"x").await.unwrap_err();
    assert!(asked.to_string().contains("has no mirrors"), "{asked}");
    b.peers
        .set_ends(Arc::new(nodes::Fake { users: Vec::new() }));
    let answer: serde_json::Value = a
        .peers
        .ask(&b_name, &json!({"echo": [1, 2]}))
        .await
        .unwrap();
    assert_eq!(answer, json!({"from": "a", "said": {"echo": [1, 2]}}));
    let refused = a.peers.ask::<_, String>(&b_name, &"no").await.unwrap_err();
    assert_eq!(refused.to_string(), "peer b refuses: it was asked for a no");
    let long = "x".repeat(1100 << 10);
    let error = a.peers.ask::<_, String>(&b_name, &long).await.unwrap_err();
    assert!(error.to_string().contains("at most 1048576"), "{error}");
    let nobody = a
        .peers
        .ask::<_, String>(&nodes::name("z"), &"x")
        .await
        .unwrap_err();
    assert!(matches!(
        nobody,
        AskError::NoSuchPeer(CatalogError::NoSuchPeer { .. })
    ));
}

#[tokio::test]
async fn portal_groups_that_both_have_are_named() {
    let (a, _b) = pair().await;
    let error = a.peers.check_portal_groups(&nodes::name("b")).unwrap_err();
    assert!(
        error.to_string().ends_with("portal group(s) 1, 2"),
        "{error}"
    );
    let shown = a.peers.show(&nodes::name("b")).unwrap();
    assert!(
        shown.detail.contains("--portal 2=ADDRESS:PORT"),
        "{}",
        shown.detail
    );
    let apart = Node::new("apart");
    a.peers
        .add(nodes::name("c"), apart.address(), None)
        .await
        .unwrap();
    let early = a.peers.check_portal_groups(&nodes::name("c")).unwrap_err();
    assert!(matches!(early, PeerError::NotConnected { .. }), "{early}");
    apart.peers.accept("a", None, None).await.unwrap();
    a.until_is("c", PeerState::Connected).await;
    a.peers.check_portal_groups(&nodes::name("c")).unwrap();
    assert_eq!(a.peers.show(&nodes::name("c")).unwrap().detail, "");
}

#[tokio::test]
async fn without_a_portal_nothing_is_added_or_accepted() {
    let (a, b) = (Node::silent("a"), Node::new("b"));
    let error = a
        .peers
        .add(nodes::name("b"), b.address(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, PeerError::NoPortal), "{error}");
    let error = a.peers.accept("b", None, None).await.unwrap_err();
    assert!(matches!(error, PeerError::NoPortal), "{error}");
    assert_eq!(a.peers.identity().portal, None);
}
