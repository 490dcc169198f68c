//! What `mirror show` names as the next step is what can be done, also where one daemon has to find out by asking.

use super::*;

/// It ends, and what the other one knows of it stays as it is.
async fn starts_alone(daemon: &mut Daemon) {
    daemon.house.open().await;
    daemon.listen();
}

async fn meet(one: &Daemon, other: &Daemon) {
    for (one, other) in [(one, other), (other, one)] {
        let moved = one.peers().set_address(peer(other.called), other.address());
        moved.await.unwrap();
    }
}

#[tokio::test]
async fn a_fractured_source_that_comes_back_alone_serves_hosts_when_it_is_told_to() {
    let (mut a, mut b) = mirrored().await;
    a.operate("a", Operation::Fracture).await.unwrap();
    b.house.until("copy", "Fractured").await;
    a.stop().await;
    b.stop().await;
    starts_alone(&mut a).await;
    let waiting = a.house.until_detail("a", "taken over").await;
    assert_eq!(waiting.copy_state, "Fractured");
    let command = waiting.next.unwrap().command;
    assert_eq!(command, "tidelock mirror fracture a --force");
    assert!(a.keeps_hosts_away("a"));
    a.force("a", Operation::Fracture).await.unwrap();
    a.until_used("a").await;
    assert_eq!(a.house.mirror("a").copy_state, "Fractured");
    a.house.write("a", 3, 1, 9);
    starts_alone(&mut b).await;
    meet(&a, &b).await;
    a.until_connected("b").await;
    a.operate("a", Operation::ResyncReplica).await.unwrap();
    in_step(&a, &b).await;
    assert_eq!(b.house.content("copy")[3], 9);
}

#[tokio::test]
async fn who_waits_for_a_link_that_the_other_one_makes_learns_that_it_is_no_mirror_there() {
    for over in [false, true] {
        let (mut a, b) = mirrored().await;
        if over {
            a.operate("a", Operation::Failover).await.unwrap();
            failed_over(&a, &b).await;
        }
        a.stop().await;
        b.house.until_detail("copy", "a:a").await;
        b.detach("copy", true).await.unwrap();
        starts_alone(&mut a).await;
        meet(&a, &b).await;
        let left = a.house.until_detail("a", "there is no mirror").await;
        assert!(left.detail.contains("peer b says"), "{}", left.detail);
        let command = left.next.unwrap().command;
        assert_eq!(command, "tidelock mirror detach a --force");
        assert!(a.keeps_hosts_away("a"));
        a.detach("a", true).await.unwrap();
        assert!(a.has_no_mirror() && a.house.folders() == 0);
        a.until_used("a").await;
    }
}

#[tokio::test]
async fn after_a_failover_of_an_asynchronous_mirror_its_failback_is_named_at_both() {
    let (a, b) = asynchronous::following().await;
    a.operate("a", Operation::Failover).await.unwrap();
    b.until_used("copy").await;
    for (daemon, name) in [(&a, "a"), (&b, "copy")] {
        let command = format!("tidelock mirror failback {name}");
        let names_it = |it: &tidelock_admin::v1::Mirror| {
            it.next.as_ref().is_some_and(|it| it.command == command)
        };
        daemon.house.wait(name, names_it).await;
    }
}
