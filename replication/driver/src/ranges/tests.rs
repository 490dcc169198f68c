//! The table against a naive model, and a volume's locks with the traffic of engines.

use proptest::prelude::*;
use smallvec::smallvec;

use super::table::overlap;
use super::*;

fn range(offset: u64, length: u64) -> Range {
    Range { offset, length }
}

/// What an operation of the model is doing.
#[derive(Clone, Debug)]
struct Modelled {
    ticket: Ticket,
    mode: Mode,
    ranges: Ranges,
    begun: bool,
}

#[derive(Clone, Debug)]
enum Action {
    /// An operation comes.
    Enter(Mode, Vec<(u64, u64)>),
    /// The nth of those that are there goes, begun or not.
    Leave(usize),
    /// An operation without an entry comes to work on a range.
    Traffic(u64, u64),
    /// The nth of those ends.
    Pass(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let place = || (0..24_u64, 1..8_u64);
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    prop_oneof![
        4 => (mode, prop::collection::vec(place(), 1..3)).prop_map(|(mode, r)| Action::Enter(mode, r)),
        3 => any::<usize>().prop_map(Action::Leave),
        2 => place().prop_map(|(offset, length)| Action::Traffic(offset, length)),
        2 => any::<usize>().prop_map(Action::Pass),
    ]
}

fn meet(a: &Ranges, b: &Ranges) -> bool {
    a.iter().any(|a| b.iter().any(|b| overlap(*a, *b)))
}

/// By the words of the promise: it may begin when nothing that came before it conflicts with it, and
/// an exclusive one when no traffic is on its ranges besides.
fn may_begin(all: &[Modelled], at: usize, traffic: &[Range]) -> bool {
    let one = &all[at];
    let conflicts = |other: &Modelled| {
        (one.mode == Mode::Exclusive || other.mode == Mode::Exclusive)
            && meet(&one.ranges, &other.ranges)
    };
    !all[..at].iter().any(conflicts)
        && (one.mode == Mode::Shared
            || !traffic
                .iter()
                .any(|busy| meet(&smallvec![*busy], &one.ranges)))
}

fn check(actions: Vec<Action>) {
    let mut table = Table::default();
    let mut model: Vec<Modelled> = Vec::new();
    let mut traffic: Vec<Range> = Vec::new();
    for action in actions {
        let quiet = |traffic: &[Range], range| !traffic.iter().any(|busy| overlap(*busy, range));
        let mut told = Vec::new();
        match action {
            Action::Enter(mode, places) => {
                let ticket = Ticket::next();
                let ranges: Ranges = places.iter().map(|(o, l)| range(*o, *l)).collect();
                let granted =
                    table.enter(ticket, mode, ranges.clone(), ticket, |r| quiet(&traffic, r));
                model.push(Modelled {
                    ticket,
                    mode,
                    ranges,
                    begun: granted,
                });
            }
            Action::Leave(nth) if !model.is_empty() => {
                let gone = model.remove(nth % model.len());
                let freed = table.leave(gone.ticket).unwrap();
                assert_eq!(freed, gone.ranges);
                table.settle(
                    &freed,
                    |r| quiet(&traffic, r),
                    |ticket, _| told.push(ticket),
                );
            }
            Action::Traffic(offset, length) => {
                let ranges = smallvec![range(offset, length)];
                let expected = model
                    .iter()
                    .any(|one| one.mode == Mode::Exclusive && meet(&one.ranges, &ranges));
                assert_eq!(table.is_in_the_way(&ranges), expected);
                if !expected {
                    traffic.extend(ranges);
                }
            }
            Action::Pass(nth) if !traffic.is_empty() => {
                let gone = traffic.remove(nth % traffic.len());
                let freed = smallvec![gone];
                table.settle(
                    &freed,
                    |r| quiet(&traffic, r),
                    |ticket, _| told.push(ticket),
                );
            }
            Action::Leave(_) | Action::Pass(_) => {}
        }
        for ticket in told {
            let one = model.iter_mut().find(|one| one.ticket == ticket).unwrap();
            assert!(!one.begun, "told twice");
            one.begun = true;
        }
        for at in 0..model.len() {
            let expected = may_begin(&model, at, &traffic);
            assert_eq!(
                model[at].begun, expected,
                "{at} of {model:?} beside {traffic:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn the_table_lets_begin_exactly_those_that_the_promise_lets(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        check(actions);
    }
}

#[test]
fn ranges_that_touch_do_not_overlap() {
    assert!(!overlap(range(0, 512), range(512, 512)));
    assert!(!overlap(range(512, 512), range(0, 512)));
    assert!(overlap(range(0, 513), range(512, 1)));
    assert!(overlap(range(0, 4096), range(512, 512)));
    assert!(overlap(range(u64::MAX - 1, 1), range(0, u64::MAX)));
}

/// A post that nobody sleeps on.
fn owner(key: usize) -> Owner {
    use tidelock_block::{BlockIo, MemoryIo};
    let io = MemoryIo::new(1).unwrap();
    Owner {
        post: Post::new(io.waker()),
        key,
    }
}

#[test]
fn traffic_that_was_there_before_is_waited_for_if_it_overlaps() {
    let locks = RangeLocks::new();
    let traffic = Traffic::new();
    assert!(traffic.write(0, locks.volume(), range(0, 1024)));
    assert!(traffic.write(300, locks.volume(), range(8192, 512)));
    assert!(locks.are_idle());
    let first = owner(1);
    let waits = locks.lock(smallvec![range(512, 512)], first.clone());
    assert!(matches!(waits, Entered::Waits(_)), "{waits:?}");
    let other = locks.lock(smallvec![range(1024, 512)], owner(2));
    assert!(matches!(other, Entered::Granted(_)), "{other:?}");
    traffic.clear(300);
    locks.passed(&smallvec![range(8192, 512)]);
    assert!(!first.post.has_any());
    traffic.clear(0);
    locks.passed(&smallvec![range(0, 1024)]);
    let Entered::Waits(ticket) = waits else {
        return;
    };
    assert_eq!(first.post.take().as_slice(), [(1, ticket)]);
    assert_eq!(locks.entries(), 2);
}

#[test]
fn another_volume_is_another_world() {
    let (locks, other) = (RangeLocks::new(), RangeLocks::new());
    let traffic = Traffic::new();
    assert!(traffic.write(0, other.volume(), range(0, 1024)));
    let granted = locks.lock(smallvec![range(0, 1024)], owner(1));
    assert!(matches!(granted, Entered::Granted(_)), "{granted:?}");
    assert!(other.are_idle());
}

#[test]
fn who_finds_a_lock_in_its_way_gives_up_its_traffic_and_is_called_in_turn() {
    let locks = RangeLocks::new();
    let traffic = Traffic::new();
    let Entered::Granted(first) = locks.lock(smallvec![range(0, 512)], owner(1)) else {
        panic!("nobody was there");
    };
    assert!(traffic.write(7, locks.volume(), range(0, 512)));
    let ordinary = owner(7);
    let met = locks.meet(smallvec![range(0, 512)], ordinary.clone(), Some(&traffic));
    assert!(matches!(met, Entered::Waits(_)), "{met:?}");
    // Behind the ordinary one, which it must not overtake.
    let second = owner(2);
    let waits = locks.lock(smallvec![range(0, 512)], second.clone());
    assert!(matches!(waits, Entered::Waits(_)), "{waits:?}");
    locks.leave(first);
    assert!(!second.post.has_any());
    let Some((7, ticket)) = ordinary.post.take().first().copied() else {
        panic!("not called");
    };
    locks.leave(ticket);
    assert!(second.post.has_any());
}

#[test]
fn beside_a_lock_there_is_no_waiting() {
    let locks = RangeLocks::new();
    let traffic = Traffic::new();
    locks.lock(smallvec![range(0, 512)], owner(1));
    assert!(traffic.write(7, locks.volume(), range(512, 512)));
    let met = locks.meet(smallvec![range(512, 512)], owner(7), Some(&traffic));
    assert_eq!(met, Entered::Free);
}

#[test]
fn more_operations_than_slots_go_through_the_table() {
    let locks = RangeLocks::new();
    let traffic = Traffic::new();
    assert!(!traffic.write(usize::MAX, locks.volume(), range(0, 512)));
    assert!(!traffic.write(1 << 20, locks.volume(), range(0, 512)));
    let met = locks.meet(smallvec![range(0, 512)], owner(1 << 20), None);
    let Entered::Granted(ticket) = met else {
        panic!("{met:?}");
    };
    let exclusive = owner(1);
    let waits = locks.lock(smallvec![range(0, 512)], exclusive.clone());
    assert!(matches!(waits, Entered::Waits(_)), "{waits:?}");
    locks.leave(ticket);
    assert!(exclusive.post.has_any());
}

#[test]
fn an_engine_that_goes_takes_its_traffic_with_it() {
    let locks = RangeLocks::new();
    let traffic = Traffic::new();
    assert!(traffic.write(0, locks.volume(), range(0, 512)));
    drop(traffic);
    let granted = locks.lock(smallvec![range(0, 512)], owner(1));
    assert!(matches!(granted, Entered::Granted(_)), "{granted:?}");
}
