//! Mirrors that are copied no faster than an operator has said.

use std::time::{Duration, Instant};

use tidelock_catalog::{MirrorMode, OnFailure};

use super::*;
use crate::registry::MirrorRequest;

/// A region of four a second.
const SLOW: u64 = 256 << 10;

async fn limited(limit: Option<u64>) -> House {
    let house = House::with_two().await;
    let request = MirrorRequest {
        source: volume("a"),
        target: volume("b"),
        on_failure: OnFailure::Continue,
        mode: MirrorMode::Synchronous,
        resync_limit: limit,
    };
    house.registry().create_mirror(request).await.unwrap();
    house
}

#[tokio::test]
async fn a_copy_takes_the_time_that_its_limit_says() {
    let begun = Instant::now();
    let house = limited(Some(SLOW)).await;
    assert_eq!(house.mirror("a").resync_limit, Some(SLOW));
    house.until_in_step("a").await;
    let took = begun.elapsed();
    // A mebibyte, of which the first tenth of a second's worth may come at once.
    assert!(took >= Duration::from_millis(3_000), "{took:?}");
    assert_eq!(house.content("b"), house.content("a"));
}

#[tokio::test]
async fn a_limit_is_kept_changed_while_it_copies_and_taken_away() {
    let mut house = limited(Some(64 << 10)).await;
    let begun = Instant::now();
    let registry = house.registry();
    let refused = registry.set_mirror_resync_limit("b".into(), Some(1)).await;
    assert!(refused.unwrap_err().to_string().contains("64 KiB"));
    house.reopen().await;
    assert_eq!(house.mirror("b").resync_limit, Some(64 << 10));
    assert_ne!(house.mirror("b").copy_state, "Synchronized");
    let registry = house.registry();
    registry
        .set_mirror_resync_limit("a".into(), None)
        .await
        .unwrap();
    assert_eq!(house.mirror("a").resync_limit, None);
    house.until_in_step("a").await;
    // It would have taken sixteen seconds.
    assert!(begun.elapsed() < Duration::from_secs(12));
    house.reopen().await;
    assert_eq!(house.mirror("a").resync_limit, None);
}
