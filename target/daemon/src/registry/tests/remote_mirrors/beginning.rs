//! The link of a new mirror.

use super::*;

#[tokio::test]
async fn the_link_of_a_new_mirror_is_tried_when_its_end_is_open_however_soon_it_was_tried_before() {
    let (a, b) = pair().await;
    assert!(b.peers().nudged().is_empty());
    a.create("a", "copy").await.unwrap();
    // It calls, and is ready to.
    assert_eq!(b.peers().nudged(), [(peer("a"), true)]);
    assert!(a.peers().nudged().is_empty(), "a is called on");
    in_step(&a, &b).await;
}
