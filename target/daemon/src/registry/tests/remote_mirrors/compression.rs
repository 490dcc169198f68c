//! What goes over the link is compressed, and arrives as it was.

use tidelock_admin::v1;
use tidelock_catalog::MirrorCompression;

use super::*;

async fn compress(daemon: &Daemon, name: &str, compression: MirrorCompression) {
    let registry = daemon.house.registry();
    registry
        .set_mirror_compression(name.into(), compression)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_compressed_arrives_as_it_was_and_that_is_changed_at_either_daemon_at_any_time() {
    let (mut a, b) = pair().await;
    let request = RemoteMirrorRequest {
        resync_limit: None,
        compression: MirrorCompression::Zstd,
        source: volume("a"),
        peer: peer("b"),
        target: volume("copy"),
        on_failure: OnFailure::Continue,
        failover: MirrorFailover::Manual,
        mode: MirrorMode::Synchronous,
    };
    let creating = a.house.registry().create_remote_mirror(request);
    creating.await.unwrap();
    in_step(&a, &b).await;
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    let shown = || a.house.mirror("a").compressed.unwrap();
    let first = shown();
    assert!(first.possible);
    assert!(first.bytes >= 1 << 17, "{first:?}");
    assert!(first.sent_bytes < first.bytes / 16, "{first:?}");
    // The target knows it, for when it is the source.
    let zstd = v1::MirrorCompression::Zstd;
    assert_eq!(b.house.mirror("copy").compression, zstd);
    assert_eq!(b.house.mirror("copy").compressed.unwrap().bytes, 0);
    // Writes of hosts go the same way.
    a.house.write("a", 0, 64, 7);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    let written = shown();
    assert!(written.bytes > first.bytes, "{written:?}");
    // The daemon of the target may be told as well, and the link stays.
    compress(&b, "copy", MirrorCompression::None).await;
    let none = v1::MirrorCompression::None;
    for it in [a.house.mirror("a"), b.house.mirror("copy")] {
        assert_eq!((it.compression, it.compressed), (none, None));
    }
    a.house.write("a", 64, 64, 8);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    compress(&a, "a", MirrorCompression::Zstd).await;
    assert_eq!(shown(), written, "nothing was compressed meanwhile");
    a.house.write("a", 0, BLOCKS as u64, 9);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    assert!(shown().bytes > written.bytes);
    // A restart keeps it.
    a.stop().await;
    a.start(&b).await;
    in_step(&a, &b).await;
    assert_eq!(a.house.mirror("a").compression, zstd);
    a.house.write("a", 0, 64, 10);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    assert!(a.house.mirror("a").compressed.unwrap().bytes > 0);
}
