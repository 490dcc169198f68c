//! Snapshots that are sent from one family to another.

use tidelock_volume::stream::{Decoder, Header};

use super::super::ExportOptions;
use super::*;

fn options(snapshot: u8, since: Option<u8>, from: u64) -> ExportOptions {
    ExportOptions {
        snapshot: id(snapshot),
        since: since.map(id),
        header: Header {
            to: id(snapshot),
            since: since.map(id),
            size: SIZE,
            from,
            at_unix_ms: 7,
            block_bytes: 512,
            quiesced: false,
            name: "monday".into(),
        },
    }
}

/// Sends, at most so many records; where it has come to, and whether it was complete.
fn send(from: &Bench, options: ExportOptions, to: &Bench, records: usize) -> (u64, bool) {
    let mut export = from.family().export(options).unwrap();
    let mut decoder = Decoder::default();
    for _ in 0..records {
        let Some(bytes) = export.next().unwrap() else {
            break;
        };
        decoder.feed(&bytes);
        while let Some(event) = decoder.next().unwrap() {
            to.family().import(id(1), &event).unwrap();
        }
    }
    (decoder.resume(), decoder.is_complete())
}

fn empty() -> Bench {
    let bench = Bench::mapped();
    bench.zero(1, 0, BLOCKS);
    bench
}

#[test]
fn a_snapshot_and_then_a_difference_arrive() {
    let (from, to) = (Bench::mapped(), empty());
    from.write(1, 50, &[200; 20]);
    from.zero(1, 300, 290);
    from.snapshot(1, 2);
    let first = from.read(2);
    assert!(send(&from, options(2, None, 0), &to, usize::MAX).1);
    assert_eq!(to.read(1), first);

    from.write(1, 60, &[210; 20]);
    from.zero(1, 0, 10);
    from.write(1, 599, &[9]);
    from.snapshot(1, 3);
    from.write(1, 61, &[1]);
    let mut export = from.family().export(options(3, Some(2), 0)).unwrap();
    let mut bytes = 0;
    while let Some(piece) = export.next().unwrap() {
        bytes += piece.len();
    }
    assert!(bytes < 24 * BLOCK_BYTES, "{bytes}");
    assert!(send(&from, options(3, Some(2), 0), &to, usize::MAX).1);
    assert_eq!(to.read(1), from.read(3));
    to.assert_sound();
}

#[test]
fn a_stream_goes_on_where_it_was_cut() {
    let (from, to) = (Bench::mapped(), empty());
    from.snapshot(1, 2);
    let (at, complete) = send(&from, options(2, None, 0), &to, 2);
    assert!(at > 0 && at < SIZE && !complete);
    assert_ne!(to.read(1), from.read(2));
    let (at, complete) = send(&from, options(2, None, at), &to, usize::MAX);
    assert!(at == SIZE && complete);
    assert_eq!(to.read(1), from.read(2));
}

#[test]
fn what_cannot_be_sent_is_refused_and_what_is_deleted_ends() {
    let from = Bench::mapped();
    from.snapshot(1, 2);
    from.snapshot(1, 3);
    for (snapshot, since, size) in [
        (1, None, SIZE),
        (7, None, SIZE),
        (3, Some(8), SIZE),
        (3, None, 99),
    ] {
        let mut options = options(snapshot, since, 0);
        options.header.size = size;
        assert!(from.family().export(options).is_err());
    }
    let mut export = from.family().export(options(2, None, 0)).unwrap();
    export.next().unwrap();
    export.next().unwrap();
    from.delete(2);
    assert!(export.next().is_err());
}

#[test]
fn a_block_that_has_gone_bad_is_not_sent() {
    let from = Bench::mapped();
    from.write(1, 10, &[1]);
    from.snapshot(1, 2);
    let dataset = from.family().find(id(2)).unwrap();
    let range = BlockRange {
        first: 10,
        count: 1,
    };
    let found = from.family().state.lock().maps.lookup(dataset, range);
    let Place::Block { address, .. } = found.unwrap()[0].entry.place else {
        panic!("it was written");
    };
    let (file, offset) = from.family().place(address).unwrap();
    write(&file, offset, Bytes::from(vec![3; 512])).unwrap();
    let mut export = from.family().export(options(2, None, 0)).unwrap();
    let error = loop {
        match export.next() {
            Ok(piece) => assert!(piece.is_some()),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("checksum"), "{error}");
}
