//! The time that each piece takes: `cargo bench --features time --bench time` in `benches/micro`.
#![allow(missing_docs)] // What the macros write.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tidelock_micro::{answers, commands, maps, wire};

fn all(c: &mut Criterion) {
    let mut incoming = wire::a_command();
    c.bench_function("decode_command", |b| {
        b.iter(|| black_box(wire::decode(&mut incoming)))
    });
    let mut incoming = wire::data_with_digests();
    c.bench_function("decode_8k_with_digests", |b| {
        b.iter(|| black_box(wire::decode(&mut incoming)))
    });
    let mut outgoing = wire::outgoing();
    c.bench_function("encode_data_in", |b| {
        b.iter(|| black_box(wire::encode(&mut outgoing)))
    });
    let keys = wire::login_keys();
    c.bench_function("login_text", |b| {
        b.iter(|| black_box(wire::text(black_box(&keys))))
    });
    for (name, length) in [("crc32c_4k", 4 << 10), ("crc32c_128k", 128 << 10)] {
        let data = wire::data(length);
        c.bench_function(name, |b| b.iter(|| wire::digest(black_box(&data))));
    }
    let mut served = commands::served();
    c.bench_function("cdb_read", |b| {
        b.iter(|| black_box(commands::read(&mut served)))
    });
    c.bench_function("cdb_write", |b| {
        b.iter(|| black_box(commands::write(&mut served)))
    });
    c.bench_function("cdb_inquiry", |b| {
        b.iter(|| black_box(commands::inquiry(&mut served)))
    });
    for depth in [0, 10, 1_000] {
        let mut mapped = maps::mapped(depth);
        c.bench_function(&format!("lookup_depth_{depth}"), |b| {
            b.iter(|| maps::lookup(&mut mapped))
        });
    }
    let mut mapped = maps::mapped(10);
    c.bench_function("bitmap", |b| b.iter(|| maps::bitmap(&mut mapped)));
    c.bench_function("map_update", |b| {
        b.iter_batched_ref(
            || maps::mapped(0),
            maps::update,
            criterion::BatchSize::SmallInput,
        );
    });
    let built = answers::built();
    c.bench_function("capability_answer", |b| {
        b.iter(|| answers::answer(black_box(&built)))
    });
}

criterion_group!(benches, all);
criterion_main!(benches);
