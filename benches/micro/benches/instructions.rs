//! The instructions that each piece takes, which are the same on a busy machine and on an idle one.
//! `benches/instructions` runs this and compares with what is recorded.
#![allow(missing_docs)] // What the macros write.

use std::hint::black_box;

use bytes::Bytes;
use gungraun::{LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use tidelock_capabilities::{BuiltCapabilities, Decision};
use tidelock_iscsi::transmit::TxQueue;
use tidelock_micro::commands::Served;
use tidelock_micro::maps::Mapped;
use tidelock_micro::wire::Incoming;
use tidelock_micro::{answers, commands, maps, wire};

// Each runs its piece often enough for the first time not to count. What was set up is given back, so that
// taking it down isn't counted.
const ROUNDS: usize = 100;

fn often<T, R>(mut input: T, mut run: impl FnMut(&mut T) -> R) -> T {
    for _ in 0..ROUNDS {
        let _ = black_box(run(black_box(&mut input)));
    }
    input
}

#[library_benchmark]
#[bench::command(wire::a_command())]
#[bench::data_8k_with_digests(wire::data_with_digests())]
fn decode(incoming: Incoming) -> Incoming {
    often(incoming, wire::decode)
}

#[library_benchmark]
#[bench::data_in(wire::outgoing())]
fn encode(outgoing: (TxQueue, Bytes)) -> (TxQueue, Bytes) {
    often(outgoing, wire::encode)
}

#[library_benchmark]
#[bench::login(wire::login_keys())]
fn text(keys: Vec<u8>) -> Vec<u8> {
    often(keys, |keys| wire::text(keys))
}

#[library_benchmark]
#[bench::of_4k(wire::data(4 << 10))]
#[bench::of_128k(wire::data(128 << 10))]
fn crc32c(data: Bytes) -> Bytes {
    often(data, |data| wire::digest(data))
}

#[library_benchmark]
#[bench::read(commands::served(), commands::read)]
#[bench::write(commands::served(), commands::write)]
#[bench::inquiry(commands::served(), commands::inquiry)]
fn cdb(served: Served, run: fn(&mut Served) -> tidelock_scsi::Plan) -> Served {
    often(served, run)
}

#[library_benchmark]
#[bench::depth_0(maps::mapped(0))]
#[bench::depth_10(maps::mapped(10))]
#[bench::depth_1000(maps::mapped(1_000))]
fn lookup(mapped: Mapped) -> Mapped {
    often(mapped, maps::lookup)
}

#[library_benchmark]
#[bench::one_block(maps::mapped(10))]
fn map_update(mapped: Mapped) -> Mapped {
    often(mapped, maps::update)
}

#[library_benchmark]
#[bench::one_block(maps::mapped(10))]
fn bitmap(mapped: Mapped) -> Mapped {
    often(mapped, maps::bitmap)
}

#[library_benchmark]
#[bench::of_a_volume(answers::built())]
fn capabilities(built: BuiltCapabilities) -> BuiltCapabilities {
    often(built, |built| -> Decision { answers::answer(built) })
}

library_benchmark_group!(
    name = pieces,
    benchmarks = [
        decode,
        encode,
        text,
        crc32c,
        cdb,
        lookup,
        map_update,
        bitmap,
        capabilities
    ]
);
main!(
    // The C library picks its copying of memory by the processor. Here it is always the same one.
    config = LibraryBenchmarkConfig::default().env(
        "GLIBC_TUNABLES",
        "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM,-Prefer_No_VZEROUPPER"
    ),
    library_benchmark_groups = pieces
);
