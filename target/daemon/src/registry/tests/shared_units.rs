//! Volumes that are one logical unit with another daemon's: their identity and their access states.

use tidelock_catalog::{Command, SharedIdentity};
use tidelock_scsi::{AccessState as Shown, TargetPort};

use super::{House, volume};
use crate::registry::shared_units::SharedRole;

fn elsewhere() -> SharedIdentity {
    SharedIdentity::parse("3fffffffffffffff", "elsewhere").unwrap()
}

/// The state in which hosts see a volume through groups 1 and 16.
fn states(house: &House, of: &str) -> Vec<Shown> {
    let served = house.registry().volume(&volume(of)).unwrap();
    let port = |identifier, group| TargetPort {
        target_name: "iqn.2026-11.test:t".into(),
        relative_port_identifier: identifier,
        target_port_group: group,
    };
    let unit = served.unit();
    unit.set_target_ports(vec![port(1, 1), port(2, 16)]);
    let groups = unit.target_port_groups();
    groups.iter().map(|group| group.access.state).collect()
}

#[tokio::test]
async fn the_access_states_follow_the_role_over_restarts_and_hosts_have_no_say() {
    let mut house = House::new().await;
    house.add_volume("db").await;
    let db = volume("db");
    let registry = house.registry();
    let own = registry.shown_identity(&db).unwrap();
    let sharing = registry.share_identity(db.clone(), elsewhere(), SharedRole::Target);
    sharing.await.unwrap();
    assert_eq!(registry.shown_identity(&db).unwrap(), elsewhere());
    assert_eq!(states(&house, "db"), [Shown::Standby; 2]);
    house.reopen().await;
    assert_eq!(states(&house, "db"), [Shown::Standby; 2]);
    assert_eq!(house.registry().shown_identity(&db).unwrap(), elsewhere());

    // A failover: hosts come back until it is over, however long that takes.
    house.registry().begin_role_change(&db, SharedRole::Source);
    assert_eq!(states(&house, "db"), [Shown::Transitioning; 2]);
    let registry = house.registry();
    registry
        .follow_role(db.clone(), SharedRole::Source)
        .await
        .unwrap();
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);
    // And one that comes to nothing.
    registry.begin_role_change(&db, SharedRole::Target);
    assert_eq!(states(&house, "db"), [Shown::Transitioning; 2]);
    let changes = registry
        .follow_role(db.clone(), SharedRole::Source)
        .await
        .unwrap();
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);

    registry
        .follow_role(db.clone(), SharedRole::Target)
        .await
        .unwrap();
    registry.unshare_identity(db.clone()).await.unwrap();
    assert_eq!(registry.shown_identity(&db).unwrap(), own);
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);
    house.reopen().await;
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);
}

#[tokio::test]
async fn a_volume_that_is_not_shared_follows_nobody() {
    let house = House::new().await;
    house.add_volume("db").await;
    let db = volume("db");
    let registry = house.registry();
    registry.begin_role_change(&db, SharedRole::Target);
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);
    let changes = registry
        .follow_role(db.clone(), SharedRole::Target)
        .await
        .unwrap();
    assert!(changes.is_empty());
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);
    // One whose name another one gets doesn't leave it anything.
    registry
        .share_identity(db.clone(), elsewhere(), SharedRole::Target)
        .await
        .unwrap();
    registry
        .apply(Command::DeleteVolume { volume: db.clone() })
        .await
        .unwrap();
    house.add_volume("db").await;
    assert_ne!(house.registry().shown_identity(&db).unwrap(), elsewhere());
    assert_eq!(states(&house, "db"), [Shown::ActiveOptimized; 2]);
}
