//! Sessions replacing each other.

use super::*;

fn candidate(isid: u8) -> Candidate {
    Candidate {
        key: SessionKey {
            initiator: "iqn.2026-11.test:i".into(),
            isid: [isid; 6],
            group: PortalGroupTag::DEFAULT,
            target: Some("iqn.2026-11.test:t".into()),
        },
        peer: "127.0.0.1:1".parse().unwrap(),
        reactor: 0,
        limits: SessionLimits::default(),
        counters: Arc::default(),
    }
}

const PATIENCE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn the_same_isid_again_ends_the_old_session_first() {
    let directory = Directory::new(8);
    let mut old = directory.admit(candidate(1), PATIENCE).await.unwrap();
    let old_id = old.info.id;
    let task = tokio::spawn(async move {
        let message = old.messages.recv().await;
        assert!(matches!(message, Some(SessionMessage::Terminate(_))));
        drop(old);
    });
    let new = directory
        .admit(candidate(1), Duration::from_secs(5))
        .await
        .unwrap();
    task.await.unwrap();
    assert_ne!(new.info.id, old_id);
    assert_eq!(directory.len(), 1);
}

#[tokio::test]
async fn an_old_session_that_does_not_end_refuses_the_new_one() {
    let directory = Directory::new(8);
    let _old = directory.admit(candidate(1), PATIENCE).await.unwrap();
    let refusal = directory.admit(candidate(1), PATIENCE).await.unwrap_err();
    assert_eq!(refusal, Refusal::Busy);
}

/// The target's end of the nexus is its name with the tag (RFC 7143 §4.4.2).
#[tokio::test]
async fn the_same_isid_through_another_portal_group_is_another_session() {
    let directory = Directory::new(8);
    let first = directory.admit(candidate(1), PATIENCE).await.unwrap();
    let mut elsewhere = candidate(1);
    elsewhere.key.group = PortalGroupTag::new(2).unwrap();
    // Nor can a connection be added to it from there.
    let tsih = first.info.tsih;
    let refused = directory.find(&elsewhere.key, tsih).unwrap_err();
    assert_eq!(refused, Refusal::DoesNotExist);
    let second = directory.admit(elsewhere, PATIENCE).await.unwrap();
    assert_ne!(second.info.tsih, tsih);
    assert_eq!(directory.len(), 2);
}

#[tokio::test]
async fn another_isid_is_another_session_with_another_handle() {
    let directory = Directory::new(8);
    let one = directory.admit(candidate(1), PATIENCE).await.unwrap();
    let two = directory.admit(candidate(2), PATIENCE).await.unwrap();
    assert_ne!(one.info.tsih, two.info.tsih);
    assert_eq!(directory.list().len(), 2);
}

#[tokio::test]
async fn a_session_is_found_by_its_handle_and_nothing_else() {
    let directory = Directory::new(8);
    let key = candidate(1).key;
    let refusal = directory.find(&key, 77).unwrap_err();
    assert_eq!(refusal, Refusal::DoesNotExist);
    let mut one = directory.admit(candidate(1), PATIENCE).await.unwrap();
    let wrong = one.info.tsih.wrapping_add(1);
    let refusal = directory.find(&key, wrong).unwrap_err();
    assert_eq!(refusal, Refusal::DoesNotExist);
    let messages = directory.find(&key, one.info.tsih).unwrap();
    messages.send(SessionMessage::Shutdown).unwrap();
    let message = one.messages.recv().await;
    assert!(matches!(message, Some(SessionMessage::Shutdown)));
}

#[tokio::test]
async fn the_listing_follows_the_connections() {
    let directory = Directory::new(8);
    let one = directory.admit(candidate(1), PATIENCE).await.unwrap();
    assert_eq!(directory.list()[0].peers, [one.info.peer]);
    let other = "127.0.0.1:2".parse().unwrap();
    directory.set_peers(one.info.id, vec![one.info.peer, other]);
    assert_eq!(directory.list()[0].peers, [one.info.peer, other]);
}

#[tokio::test]
async fn the_limit_holds_and_a_free_place_is_given_again() {
    let directory = Directory::new(1);
    let one = directory.admit(candidate(1), PATIENCE).await.unwrap();
    let refusal = directory.admit(candidate(2), PATIENCE).await.unwrap_err();
    assert_eq!(refusal, Refusal::TooMany);
    drop(one);
    directory.admit(candidate(2), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_target_and_an_initiator_may_have_limits_of_their_own() {
    let directory = Directory::new(16);
    let limits = SessionLimits {
        of_target: Some(3),
        of_initiator: Some(2),
    };
    let of = |initiator: &str, isid| {
        let mut candidate = candidate(isid);
        candidate.key.initiator = initiator.into();
        Candidate {
            limits,
            ..candidate
        }
    };
    let admit = |candidate| directory.admit(candidate, PATIENCE);
    let _one = admit(of("iqn.2026-11.test:i", 1)).await.unwrap();
    let two = admit(of("iqn.2026-11.test:i", 2)).await.unwrap();
    let error = admit(of("iqn.2026-11.test:i", 3)).await.unwrap_err();
    assert_eq!(error, Refusal::TooMany, "of one initiator");
    let _other = admit(of("iqn.2026-11.test:j", 1)).await.unwrap();
    let error = admit(of("iqn.2026-11.test:k", 1)).await.unwrap_err();
    assert_eq!(error, Refusal::TooMany, "of the target");
    // Sessions with other targets don't count.
    let mut elsewhere = of("iqn.2026-11.test:i", 3);
    elsewhere.key.target = Some("iqn.2026-11.test:u".into());
    let _elsewhere = admit(elsewhere).await.unwrap();
    // A session that is replaced makes its own room.
    let again = tokio::spawn({
        let directory = Arc::clone(&directory);
        let candidate = of("iqn.2026-11.test:i", 2);
        async move { directory.admit(candidate, PATIENCE).await }
    });
    let mut two = two;
    assert!(matches!(
        two.messages.recv().await,
        Some(SessionMessage::Terminate(_))
    ));
    drop(two);
    assert!(again.await.unwrap().is_ok());
}
