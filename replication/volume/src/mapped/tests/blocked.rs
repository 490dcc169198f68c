//! A checkpoint whose batch doesn't fit into the journal.

use crate::mapped::BlockRange;
use crate::mapped::family::Family;

#[test]
fn a_flush_waits_for_a_checkpoint_that_alone_has_what_it_is_about() {
    let (mut family, head) = Family::create([9; 16], [1; 16], 10_000, 0, 1 << 20).unwrap();
    let first = family.begin_checkpoint().unwrap();
    family.checkpointed(first.sequence);
    for at in 0..60_000u64 {
        family
            .zero(
                head,
                BlockRange {
                    first: at % 10_000,
                    count: 1,
                },
            )
            .unwrap();
    }
    let checkpoint = family.begin_checkpoint().unwrap();
    assert!(
        checkpoint.journal.is_none(),
        "didn't fit: only the checkpoint has it"
    );
    // Nothing of the checkpoint is on disk. A flush of a host comes.
    let flush = family.take_flush();
    assert!(flush.is_err(), "answered as durable: {flush:?}");
}
