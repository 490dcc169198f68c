//! The copy takes over, as planned, by force, and after both were written.

use super::*;

#[tokio::test]
async fn the_copy_takes_over_and_back_asked_at_either_side_and_that_survives_restarts() {
    let (mut a, mut b) = mirrored().await;
    for (round, at_first) in [true, false].into_iter().enumerate() {
        let (one, name) = if at_first { (&a, "a") } else { (&b, "copy") };
        one.operate(name, Operation::Failover).await.unwrap();
        failed_over(&a, &b).await;
        let at = 10 * round as u64;
        b.house.write("copy", at, 2, 6);
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        a.stop().await;
        b.house.write("copy", at + 4, 2, 5);
        a.start(&b).await;
        failed_over(&a, &b).await;
        b.stop().await;
        b.start(&a).await;
        failed_over(&a, &b).await;
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        let (one, name) = if at_first { (&b, "copy") } else { (&a, "a") };
        one.operate(name, Operation::Failback).await.unwrap();
        in_step(&a, &b).await;
        a.until_used("a").await;
        assert!(b.keeps_hosts_away("copy"));
        a.house.write("a", at + 6, 1, 4);
        assert_eq!(a.house.content("a"), b.house.content("copy"));
    }
}

#[tokio::test]
async fn the_copy_of_a_dead_source_takes_over_and_the_source_comes_back_as_a_copy() {
    let (mut a, b) = mirrored().await;
    a.stop().await;
    b.house.until("copy", "Broken").await;
    let refused = b.operate("copy", Operation::Failover).await.unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    assert!(b.keeps_hosts_away("copy"));
    b.force("copy", Operation::Failover).await.unwrap();
    b.until_seen("copy", Shown::ActiveOptimized).await;
    b.until_used("copy").await;
    b.house.write("copy", 7, 3, 8);
    a.start(&b).await;
    failed_over(&a, &b).await;
    assert_eq!(a.house.content("a"), b.house.content("copy"));
    b.operate("copy", Operation::Failback).await.unwrap();
    in_step(&a, &b).await;
    a.until_used("a").await;
    assert_eq!(a.house.content("a")[7], 8);
}

#[tokio::test]
async fn after_both_were_written_nothing_flows_until_an_operator_drops_the_changes_of_one() {
    for (dropped, at_loser) in [("a", false), ("copy", true)] {
        let (mut a, mut b) = mirrored().await;
        b.stop().await;
        a.house.until("a", "Broken").await;
        a.house.write("a", 0, 2, 2);
        a.stop().await;
        b.house.open().await;
        b.listen();
        b.house.until_detail("copy", "a:a").await;
        b.house.until("copy", "Broken").await;
        b.force("copy", Operation::Failover).await.unwrap();
        b.house.write("copy", 5, 2, 3);
        a.house.open().await;
        a.listen();
        for (one, other) in [(&a, &b), (&b, &a)] {
            let moved = one.peers().set_address(peer(other.called), other.address());
            moved.await.unwrap();
        }
        a.house.until_detail("a", "split brain").await;
        b.house.until_detail("copy", "split brain").await;
        assert_ne!(a.house.content("a"), b.house.content("copy"));
        let at_a = at_loser == (dropped == "a");
        let (one, name) = if at_a { (&a, "a") } else { (&b, "copy") };
        let resync = Operation::ResyncReplica;
        let called = match (dropped, at_a) {
            ("copy", true) => "b:copy",
            ("a", false) => "a:a",
            (here, _) => here,
        };
        one.change(name, resync, Some(called)).await.unwrap();
        match dropped {
            "a" => failed_over(&a, &b).await,
            _ => in_step(&a, &b).await,
        }
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        let (own, theirs) = (a.house.content("a")[0], a.house.content("a")[5]);
        let expected = if dropped == "a" { (1, 3) } else { (2, 1) };
        assert_eq!((own, theirs), expected, "{dropped} {at_loser}");
    }
}
