//! A peer that says what can't be: the connection ends, the end goes on.

use tidelock_block::MemoryFile;
use tidelock_mirror::association::{Differing, Event, Report};
use tidelock_mirror::link::Message;
use tidelock_mirror::region::RegionSet;
use tidelock_volume::BlockSize;

use super::house::node;
use super::in_step::Pair;
use crate::engine::EngineKind;
use crate::volume::Volume;

#[test]
fn what_is_behind_the_end_of_the_volume_does_not_differ() {
    let kind = EngineKind::Memory;
    let volume = || Volume::in_memory(MemoryFile::new(1 << 20), BlockSize::B512).unwrap();
    let pair = Pair::new(kind, [volume(), volume()]);
    pair.meet();
    let mut regions = RegionSet::default();
    regions.insert_run(0, u64::MAX);
    let differing = Differing::Regions(regions);
    let [source, _] = &pair.houses;
    // As many regions as can be said, which would take for ever to be counted.
    source
        .end
        .event(Event::Received(node(1), Message::Ready { differing }));
    let told = |report: &Report| matches!(report, Report::Misbehaved(_, how) if how.contains("behind the end of the volume differs"));
    assert_eq!(source.reported(told), 1);
    pair.meet();
    pair.compare(kind);
}
