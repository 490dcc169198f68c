//! Commands that aren't done: given up while they wait, stopped, without space, or at an end that has failed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::smallvec;
use tempfile::TempDir;
use tidelock_block::{MemoryFile, OpName};
use tidelock_mirror::association::{Event, OnFailure, Report, Wish};
use tidelock_volume::BlockSize;

use super::host::Host;
use super::house::{House, Link, config, create, node, wait_until};
use super::in_step::{Pair, content};
use crate::engine::EngineKind;
use crate::family::testing::MemoryDisk;
use crate::mirror::{End, EndConfig, EndError};
use crate::op::{VolumeFaultKind, VolumeOp, VolumeOutcome};
use crate::volume::Volume;

const KIND: EngineKind = EngineKind::Memory;
const BYTES: u64 = 1 << 20;

fn volume() -> (MemoryFile, Arc<Volume>) {
    let memory = MemoryFile::new(usize::try_from(BYTES).unwrap());
    let volume = Volume::in_memory(memory.clone(), BlockSize::B512).unwrap();
    (memory, volume)
}

fn pair() -> ([MemoryFile; 2], Pair) {
    let (one, first) = volume();
    let (other, second) = volume();
    let pair = Pair::new(KIND, [first, second]);
    pair.meet();
    ([one, other], pair)
}

fn write(offset: u64, fill: u8) -> VolumeOp {
    VolumeOp::Write {
        offset,
        data: smallvec![Bytes::from(vec![fill; 1024])],
        fua: false,
    }
}

#[track_caller]
fn refused(outcome: &VolumeOutcome, kind: VolumeFaultKind) {
    assert!(
        matches!(outcome, VolumeOutcome::Failed(fault) if fault.kind == kind),
        "{outcome:?}"
    );
}

fn is_done(outcome: &VolumeOutcome) -> bool {
    matches!(outcome, VolumeOutcome::Done)
}

fn waiting(house: &House, count: usize) {
    wait_until("commands that wait", || house.end.facts().waiting == count);
}

#[test]
fn a_command_that_is_given_up_before_it_begins_never_does() {
    let (memories, pair) = pair();
    let source = &pair.houses[0];
    // While somebody is to become the source nothing begins; the target's disk hangs, so that it lasts.
    let mut host = Host::new(KIND, &source.volume);
    assert!(is_done(&host.run(write(0, 1))));
    memories[1].hold(OpName::DataSync);
    source.event(Event::Wish(Wish::HandOver(node(1))));
    let token = host.start(write(0, 2));
    assert!(host.turn().is_empty());
    waiting(source, 1);
    host.engine.detach(token);
    wait_until("it to be called off", || {
        assert!(host.turn().is_empty());
        host.engine.in_flight() == 0
    });
    waiting(source, 0);
    assert_eq!(source.volume.detached_writes(), 0, "nobody is kept off");
    memories[1].release();
    wait_until("the new source", || pair.houses[1].end.facts().serving);
    for house in &pair.houses {
        assert_eq!(content(KIND, &house.volume)[..1024], [1; 1024]);
    }
}

#[test]
fn a_command_that_waits_for_its_peer_alone_keeps_nobody_off_when_it_is_given_up() {
    let (memories, pair) = pair();
    let source = &pair.houses[0];
    let mut host = Host::new(KIND, &source.volume);
    assert!(is_done(&host.run(write(0, 1))));
    memories[1].hold(OpName::Write);
    let token = host.start(write(0, 2));
    assert!(host.turn().is_empty());
    wait_until("the write here", || {
        host.turn();
        memories[0].content()[..1024] == [2; 1024]
    });
    // It is still to be told that it has landed.
    while host.sleep(Duration::from_millis(20)) {
        assert!(host.turn().is_empty());
    }
    host.engine.detach(token);
    assert_eq!(source.volume.detached_writes(), 0);
    assert!(matches!(
        host.run(VolumeOp::Read {
            offset: 0,
            length: 1024
        }),
        VolumeOutcome::Read(_)
    ));
    // What overlaps comes behind it, at both ends.
    let later = host.start(write(512, 3));
    assert!(host.turn().is_empty());
    memories[1].release();
    let finished = host.finish();
    assert!(
        finished
            .iter()
            .all(|(token, it)| *token == later && is_done(it))
    );
    for memory in &memories {
        assert_eq!(memory.content()[..512], [2; 512]);
        assert_eq!(memory.content()[512..1536], [3; 1024]);
    }
    wait_until("all commands to end", || {
        host.turn();
        host.engine.in_flight() == 0
    });
}

#[test]
fn a_write_that_hangs_here_holds_off_as_ever_when_it_is_given_up() {
    let (memories, pair) = pair();
    let source = &pair.houses[0];
    let mut host = Host::new(KIND, &source.volume);
    assert!(is_done(&host.run(write(0, 1))));
    memories[0].hold(OpName::Write);
    let token = host.start(write(0, 2));
    wait_until("the write under way", || {
        host.turn();
        host.engine.detach(token);
        source.volume.detached_writes() == 1 || host.engine.in_flight() == 0
    });
    if host.engine.in_flight() > 0 {
        refused(&host.run(write(8192, 3)), VolumeFaultKind::Busy);
    }
    memories[0].release();
    wait_until("it to land", || {
        host.turn();
        host.engine.in_flight() == 0
    });
    assert_eq!(source.volume.detached_writes(), 0);
    assert!(is_done(&host.run(write(8192, 3))));
    pair.compare(KIND);
}

#[test]
fn hosts_are_stopped_where_it_is_configured_so() {
    let folder = TempDir::new().unwrap();
    let link = Arc::new(Link::default());
    let house = |at: usize| {
        let place = folder.path().join(at.to_string());
        create(at, &place, BYTES);
        let config = EndConfig {
            on_failure: OnFailure::Halt,
            ..config(KIND)
        };
        House::open(at, &place, volume().1, &link, config)
    };
    let houses = [house(0), house(1)];
    link.connect();
    wait_until("a peer in step", || houses[0].is_in_step());
    link.cut();
    let mut host = Host::new(KIND, &houses[0].volume);
    let token = host.start(write(0, 1));
    wait_until("the timer", || {
        assert!(host.turn().is_empty());
        houses[0].timer()
    });
    houses[0].event(Event::TimeOut);
    let finished = host.finish();
    assert_eq!(finished[0].0, token);
    refused(&finished[0].1, VolumeFaultKind::Halted);
    refused(&host.run(write(0, 2)), VolumeFaultKind::Halted);
    refused(&host.run(VolumeOp::Flush), VolumeFaultKind::Halted);
    assert_eq!(houses[0].reported(|it| *it == Report::Halted), 1);
    link.connect();
    wait_until("a peer in step", || houses[0].is_in_step());
    assert!(is_done(&host.run(write(0, 3))));
}

#[test]
fn a_source_whose_peer_takes_over_by_itself_goes_on_alone_when_it_is_told_that_it_cannot() {
    let (_, pair) = pair();
    let source = &pair.houses[0];
    source.end.ask_before_alone(true);
    let place = source.end.place();
    assert_eq!(place.in_step, [node(1)]);
    assert_eq!(place.required, [node(1)]);
    pair.link.cut();
    let mut host = Host::new(KIND, &source.volume);
    let token = host.start(write(0, 1));
    wait_until("the timer", || {
        assert!(host.turn().is_empty());
        source.timer()
    });
    source.event(Event::TimeOut);
    wait_until("the question", || source.asked_alone().is_some());
    let number = source.asked_alone().unwrap();
    // The answer to another question is none.
    source.event(Event::MayGoOnAlone(number + 1));
    assert!(host.turn().is_empty());
    let place = source.end.place();
    assert!(place.in_step.is_empty());
    assert_eq!(place.required, [node(1)]);
    source.event(Event::MayGoOnAlone(number));
    let finished = host.finish();
    assert!(finished[0].0 == token && is_done(&finished[0].1));
    assert!(source.end.place().required.is_empty());
    pair.meet();
    pair.compare(KIND);
}

#[test]
fn a_write_without_space_fails_alone_and_the_ends_become_equal_again() {
    const ENOSPC: i32 = 28;
    let (memories, pair) = pair();
    let mut host = Host::new(KIND, &pair.houses[0].volume);
    assert!(is_done(&host.run(write(4096, 1))));
    memories[0].fail_nth(OpName::Write, 1, ENOSPC);
    refused(&host.run(write(4096, 2)), VolumeFaultKind::NoSpace);
    assert!(!pair.houses[0].end.facts().failed);
    let token = host.start(write(8192, 3));
    let mut finished = Vec::new();
    wait_until("the write and a peer in step", || {
        if !pair.link.is_up() {
            pair.link.connect();
        }
        finished.extend(host.turn());
        !finished.is_empty() && pair.houses[0].is_in_step()
    });
    assert_eq!(finished.len(), 1);
    assert!(finished[0].0 == token && is_done(&finished[0].1));
    pair.compare(KIND);
    assert_eq!(memories[1].content()[4096..5120], [1; 1024]);
}

/// The source's end is opened anew once the fence is down, and the ends get equal.
#[track_caller]
fn opened_anew(pair: Pair) {
    let Pair {
        houses: [source, target],
        link,
        folder,
    } = pair;
    let volume = source.kill();
    let source = House::open(0, &folder.path().join("0"), volume, &link, config(KIND));
    let pair = Pair {
        houses: [source, target],
        link,
        folder,
    };
    pair.meet();
    pair.compare(KIND);
}

#[test]
fn an_atomic_write_that_is_half_done_ends_its_end_and_is_done_at_both_later() {
    const ENOSPC: i32 = 28;
    let memory = MemoryFile::new(usize::try_from(BYTES).unwrap());
    let journal = Some(MemoryFile::new(0));
    let first = Volume::in_memory_with(memory.clone(), BlockSize::B512, journal).unwrap();
    let pair = Pair::new(KIND, [first, volume().1]);
    pair.meet();
    let source = &pair.houses[0];
    let mut host = Host::new(KIND, &source.volume);
    memory.fail_nth(OpName::Write, 1, ENOSPC);
    let atomic = VolumeOp::WriteAtomic {
        offset: 4096,
        data: smallvec![Bytes::from(vec![5; 8192])],
    };
    refused(&host.run(atomic), VolumeFaultKind::NoSpace);
    assert!(source.volume.is_fenced().is_some());
    assert!(
        source.end.facts().failed,
        "what it has isn't what it will have"
    );
    drop(host);
    source.volume.unfence().unwrap();
    assert_eq!(memory.content()[4096..12_288], [5; 8192]);
    opened_anew(pair);
}

#[test]
fn what_a_fenced_volume_may_have_lost_is_compared_when_the_fence_is_down() {
    let (memories, pair) = pair();
    let source = &pair.houses[0];
    let mut host = Host::new(KIND, &source.volume);
    assert!(is_done(&host.run(write(0, 1))));
    assert!(is_done(&host.run(VolumeOp::Flush)));
    assert!(is_done(&host.run(write(0, 2))));
    drop(host);
    // Nobody who goes through the end has found out.
    source.volume.raise_fence("for a test".to_owned());
    memories[0].crash();
    assert!(!source.end.facts().failed);
    source.volume.unfence().unwrap();
    assert!(source.end.facts().failed);
    opened_anew(pair);
}

#[test]
fn an_end_whose_disk_fails_does_nothing_any_more_and_the_other_one_can() {
    const EIO: i32 = 5;
    let (memories, pair) = pair();
    let [source, target] = &pair.houses;
    let mut host = Host::new(KIND, &source.volume);
    assert!(is_done(&host.run(write(4096, 1))));
    assert!(is_done(&host.run(VolumeOp::Flush)));
    memories[0].fail_always(OpName::DataSync, EIO);
    refused(&host.run(VolumeOp::Flush), VolumeFaultKind::Fenced);
    wait_until("the failure", || source.end.facts().failed);
    assert_eq!(source.reported(|it| *it == Report::DiskFailed), 1);
    refused(&host.run(write(0, 2)), VolumeFaultKind::Fenced);
    wait_until("the new source", || {
        // It is refused until the target has seen that nobody is there.
        if !pair.link.is_up() {
            target.event(Event::Wish(Wish::Promote));
        }
        target.end.facts().serving
    });
    let mut host = Host::new(KIND, &target.volume);
    assert!(is_done(&host.run(write(0, 3))));
    assert_eq!(memories[1].content()[4096..5120], [1; 1024]);
}

#[test]
fn an_end_whose_journal_fails_does_nothing_any_more() {
    let (_, pair) = pair();
    let source = &pair.houses[0];
    source.end.journal_failed();
    assert!(source.end.facts().failed);
    let mut host = Host::new(KIND, &source.volume);
    refused(&host.run(write(0, 2)), VolumeFaultKind::MirrorFailed);
    refused(&host.run(VolumeOp::Flush), VolumeFaultKind::MirrorFailed);
}

#[test]
fn a_volume_whose_end_is_closed_is_as_any_other() {
    let (memories, pair) = pair();
    let source = &pair.houses[0];
    let mut host = Host::new(KIND, &source.volume);
    memories[1].hold(OpName::Write);
    let token = host.start(write(0, 1));
    assert!(host.turn().is_empty());
    waiting(source, 1);
    wait_until("the write here", || {
        host.turn();
        memories[0].content()[..1024] == [1; 1024]
    });
    source.end.close();
    let finished = host.finish();
    assert_eq!(finished[0].0, token);
    refused(&finished[0].1, VolumeFaultKind::Busy);
    assert!(source.volume.mirror_end().is_none());
    assert!(is_done(&host.run(write(0, 2))));
    memories[1].release();
    // It can be opened again, and knows that something wasn't settled.
    let place = pair.folder.path().join("0");
    let room = House::open(
        0,
        &place,
        Arc::clone(&source.volume),
        &Arc::new(Link::default()),
        config(KIND),
    );
    assert!(room.end.facts().hot_regions > 0);
}

#[test]
fn what_a_peer_has_sent_lands_before_hosts_write_where_its_end_was() {
    let (memories, pair) = pair();
    let [source, target] = &pair.houses;
    let mut host = Host::new(KIND, &source.volume);
    assert!(is_done(&host.run(write(0, 1))));
    memories[1].hold(OpName::Write);
    host.start(write(0, 2));
    wait_until("the write at the target", || {
        host.turn();
        target.end.landing() == 1
    });
    target.end.close();
    let mut host = Host::new(KIND, &target.volume);
    refused(&host.run(write(512, 3)), VolumeFaultKind::Busy);
    memories[1].release();
    wait_until("it to land", || target.volume.detached_writes() == 0);
    assert_eq!(memories[1].content()[..1024], [2; 1024]);
    assert!(is_done(&host.run(write(512, 3))));
    assert_eq!(memories[1].content()[512..1536], [3; 1024]);
}

#[test]
fn an_end_isnt_opened_over_another_volume_or_twice() {
    let (_, pair) = pair();
    let place = pair.folder.path().join("0");
    let shell = || -> Arc<dyn crate::mirror::Shell> { super::house::deaf() };
    let again = End::open(&place, config(KIND), &pair.houses[0].volume, shell());
    assert!(matches!(again, Err(EndError::Mirrored { .. })));
    let small = Volume::in_memory(MemoryFile::new(4096), BlockSize::B512).unwrap();
    let other = End::open(&place, config(KIND), &small, shell());
    assert!(matches!(other, Err(EndError::OtherSize { .. })));
    assert!(small.mirror_end().is_none());
    let grown = pair.houses[0].volume.resize(2 * BYTES);
    assert!(matches!(grown, Err(crate::VolumeError::Mirrored { .. })));
}

/// What is copied below the volume doesn't pass by its end, so that isn't done: whoever asked reads and writes.
#[test]
fn nothing_is_copied_past_a_mirror() {
    let bytes = usize::try_from(BYTES).unwrap();
    let (_disk, _family, one) = MemoryDisk::new(bytes, [1; 16]);
    let copy = || VolumeOp::CopyFrom {
        source: Arc::clone(&one),
        source_offset: 0,
        offset: 65_536,
        length: 4096,
        watch: None,
    };
    let mut host = Host::new(KIND, &one);
    assert!(is_done(&host.run(write(0, 1))));
    assert!(is_done(&host.run(copy())), "it is copied as it is");
    let pair = Pair::new(KIND, [Arc::clone(&one), volume().1]);
    pair.meet();
    let outcome = host.run(copy());
    assert!(matches!(outcome, VolumeOutcome::NotCopied), "{outcome:?}");
    pair.compare(KIND);
}

/// What comes to the target of a mirror isn't kept off by who holds a range of it: nothing that was watched may be
/// copied there without being looked at afterwards, and nobody may take what he has read for what is copied.
#[test]
fn nobody_has_a_range_of_a_mirror_for_himself() {
    let bytes = usize::try_from(BYTES).unwrap();
    let (_disk, _family, head) = MemoryDisk::new(bytes, [1; 16]);
    let (_, source) = volume();
    let copy = |watch| VolumeOp::CopyFrom {
        source: Arc::clone(&source),
        source_offset: 0,
        offset: 65_536,
        length: 4096,
        watch,
    };
    let watched = || {
        let range = tidelock_volume::Range {
            offset: 0,
            length: 4096,
        };
        copy(Some(Arc::new(source.watch(vec![range]))))
    };
    let mut host = Host::new(KIND, &head);
    assert!(is_done(&host.run(watched())), "it is copied as it is");
    let pair = Pair::new(KIND, [volume().1, Arc::clone(&source)]);
    pair.meet();
    let outcome = host.run(watched());
    assert!(matches!(outcome, VolumeOutcome::NotCopied), "{outcome:?}");
    assert!(is_done(&host.run(copy(None))));
    assert_eq!(source.locks().entries(), 0);
}
