//! A limit that is said at either daemon holds at both.

use super::*;

#[tokio::test]
async fn a_limit_that_is_said_at_either_daemon_is_known_at_both_and_holds_whoever_copies() {
    let (mut a, mut b) = mirrored().await;
    let limits = |a: &Daemon, b: &Daemon| {
        [a.house.mirror("a"), b.house.mirror("copy")].map(|it| it.resync_limit)
    };
    let slow = Some(256 << 10);
    let registry = b.house.registry();
    registry
        .set_mirror_resync_limit("copy".into(), slow)
        .await
        .unwrap();
    assert_eq!(limits(&a, &b), [slow; 2]);
    // What was granted before isn't there after a restart, and the limit is.
    a.stop().await;
    a.start(&b).await;
    in_step(&a, &b).await;
    b.stop().await;
    a.house.until("a", "Broken").await;
    a.house.write("a", 0, BLOCKS as u64, 6);
    let begun = std::time::Instant::now();
    b.start(&a).await;
    in_step(&a, &b).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(3_000), "{took:?}");
    assert_eq!(limits(&a, &b), [slow; 2]);
    a.stop().await;
    b.house.until("copy", "Broken").await;
    a.start(&b).await;
    in_step(&a, &b).await;
    let registry = a.house.registry();
    registry
        .set_mirror_resync_limit("a".into(), None)
        .await
        .unwrap();
    b.house.wait("copy", |it| it.resync_limit.is_none()).await;
    assert_eq!(limits(&a, &b), [None; 2]);
}
