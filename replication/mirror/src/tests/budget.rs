//! What a resync may copy: a target gets no more than that, and it is taken back when hosts come.

use bytes::Bytes;

use crate::association::{Action, Config, Durable, Engine, Event, OnFailure, Outcome};
use crate::generation::{Keeper, Record};
use crate::id::{GenerationId, Incarnation, NodeId};
use crate::link::Message;
use crate::region::Regions;

const REGION: u64 = 4096;
const REGIONS: u64 = 64;

fn engine(me: u128, record: Record) -> Engine {
    let config = Config {
        me: NodeId(me),
        regions: Regions::new(REGION * REGIONS, REGION),
        on_failure: OnFailure::Continue,
        alone_after_restart: true,
        asks_before_alone: false,
        keeps_snapshots: false,
        window: 1 << 20,
        hot_max: 8,
        hot_kept: 4,
        copies_max: 4,
    };
    Engine::new(config, Durable::new(record), Incarnation(me), me)
}

/// A source and a target that has nothing, which do what they want at once.
struct Ends {
    engines: [Engine; 2],
    copied: u64,
}

impl Ends {
    fn settle(&mut self) {
        let mut still = false;
        while !std::mem::replace(&mut still, true) {
            for at in 0..2 {
                while let Some(action) = self.engines[at].next_action() {
                    still = false;
                    self.perform(at, action);
                }
            }
        }
    }

    fn perform(&mut self, at: usize, action: Action) {
        let done = |operation, outcome| Event::Done { operation, outcome };
        let event = match action {
            Action::Journal(_) => Event::Journaled,
            Action::Read(operation, range) => {
                let length = usize::try_from(range.length).unwrap();
                done(operation, Outcome::Read(Bytes::from(vec![1; length])))
            }
            Action::Write { operation, .. } => done(operation, Outcome::Done),
            Action::Flush { operation, .. } => done(operation, Outcome::Done),
            Action::Send(_, message) => {
                self.copied += match &message {
                    Message::Copy { data, .. } => data.len(),
                    _ => 0,
                };
                let from = NodeId(at as u128 + 1);
                return self.engines[1 - at].handle(Event::Received(from, message));
            }
            _ => return,
        };
        self.engines[at].handle(event);
    }
}

#[test]
fn what_was_given_and_not_used_is_taken_back() {
    let record = Keeper::created(NodeId(1), GenerationId(1));
    let mut ends = Ends {
        engines: [engine(1, record), engine(2, Record::empty())],
        copied: 0,
    };
    for (at, peer) in [(0, 2), (1, 1)] {
        ends.engines[at].handle(Event::Connected(NodeId(peer)));
    }
    ends.settle();
    assert_eq!(ends.copied, 0, "nothing was given");
    ends.engines[0].handle(Event::CopyBudget(3 * REGION + 1));
    ends.settle();
    assert_eq!(ends.copied, 3 * REGION);
    ends.engines[0].handle(Event::CopyBudget(REGION - 2));
    ends.engines[0].limit_copy_budget(REGION);
    assert_eq!(ends.engines[0].copy_budget(), REGION - 1);
    ends.engines[0].limit_copy_budget(0);
    ends.engines[0].handle(Event::CopyBudget(REGION - 1));
    ends.settle();
    assert_eq!(ends.copied, 3 * REGION, "what was left is gone");
    ends.engines[0].handle(Event::CopyBudget(REGION * REGIONS));
    ends.settle();
    assert_eq!(ends.copied, REGION * REGIONS);
}
