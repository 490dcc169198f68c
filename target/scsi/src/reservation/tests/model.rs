//! Random sequences of service actions against a model that was written from the standard's clauses
//! once more, in another shape: a table of keys, and rules one after the other.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::nexus;
use crate::NexusId;
use crate::UnitAttention;
use crate::opcodes::Access;
use crate::reservation::state::PersistentState;
use crate::reservation::{
    Change, Effects, Known, NexusName, Refused, Register, Requester, ReservationChange,
    ReservationType, ReservationsRefused, ServiceAction, shared,
};

const NEXUSES: u8 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Register {
        by: u8,
        ignore: bool,
        guess: u64,
        key: u64,
        aptpl: bool,
    },
    Reserve {
        by: u8,
        key: u64,
        kind: usize,
    },
    Release {
        by: u8,
        key: u64,
        kind: usize,
    },
    Clear {
        by: u8,
        key: u64,
    },
    Preempt {
        by: u8,
        key: u64,
        victim: u64,
        kind: usize,
        abort: bool,
    },
    Move {
        by: u8,
        key: u64,
        new: u64,
        to: u8,
        unregister: bool,
        aptpl: bool,
    },
}

/// Few keys, so that they are often right and often shared.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (by, key, kind) = (0..NEXUSES, 0_u64..4, 0_usize..6);
    let step = prop_oneof![
        6 => (by.clone(), any::<bool>(), key.clone(), key.clone(), any::<bool>()).prop_map(
            |(by, ignore, guess, key, aptpl)| Step::Register { by, ignore, guess, key, aptpl }
        ),
        4 => (by.clone(), key.clone(), kind.clone())
            .prop_map(|(by, key, kind)| Step::Reserve { by, key, kind }),
        2 => (by.clone(), key.clone(), kind.clone())
            .prop_map(|(by, key, kind)| Step::Release { by, key, kind }),
        1 => (by.clone(), key.clone()).prop_map(|(by, key)| Step::Clear { by, key }),
        4 => (by.clone(), key.clone(), key.clone(), kind, any::<bool>()).prop_map(
            |(by, key, victim, kind, abort)| Step::Preempt { by, key, victim, kind, abort }
        ),
        2 => (by.clone(), key.clone(), key, by, any::<bool>(), any::<bool>()).prop_map(
            |(by, key, new, to, unregister, aptpl)| Step::Move { by, key, new, to, unregister, aptpl }
        ),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Good,
    Conflict,
    CheckCondition,
}

#[derive(Clone, Debug, Default)]
struct Model {
    keys: BTreeMap<u8, u64>,
    /// Type, and who holds it unless all do.
    reserved: Option<(ReservationType, u8)>,
    changes: u32,
    aptpl: bool,
    told: BTreeSet<(u8, &'static str)>,
    aborted: BTreeSet<u8>,
}

impl Model {
    fn holds(&self, who: u8) -> bool {
        match self.reserved {
            Some((kind, _)) if kind.is_all_registrants() => self.keys.contains_key(&who),
            Some((_, holder)) => holder == who,
            None => false,
        }
    }

    fn tell_registered(&mut self, but: u8, what: &'static str) {
        let others = self.keys.keys().filter(|who| **who != but);
        self.told.extend(others.map(|who| (*who, what)));
    }

    fn step(&mut self, step: Step) -> Verdict {
        self.told.clear();
        self.aborted.clear();
        let (by, key) = match step {
            Step::Register {
                by,
                ignore,
                guess,
                key,
                aptpl,
            } => {
                return self.register(by, ignore, guess, key, aptpl);
            }
            Step::Reserve { by, key, .. }
            | Step::Release { by, key, .. }
            | Step::Clear { by, key }
            | Step::Preempt { by, key, .. }
            | Step::Move { by, key, .. } => (by, key),
        };
        if self.keys.get(&by) != Some(&key) {
            return Verdict::Conflict;
        }
        match step {
            Step::Reserve { kind, .. } => self.reserve(by, ReservationType::ALL[kind]),
            Step::Release { kind, .. } => self.release(by, ReservationType::ALL[kind]),
            Step::Clear { .. } => {
                self.tell_registered(by, "preempted");
                self.keys.clear();
                self.reserved = None;
                self.changes += 1;
                Verdict::Good
            }
            Step::Preempt {
                victim,
                kind,
                abort,
                ..
            } => {
                let verdict = self.preempt(by, victim, ReservationType::ALL[kind]);
                if abort && verdict == Verdict::Good {
                    let lost = self.told.iter().filter(|(_, what)| *what == "registration");
                    self.aborted = lost.map(|(who, _)| *who).collect();
                }
                verdict
            }
            Step::Move {
                new,
                to,
                unregister,
                aptpl,
                ..
            } => match self.reserved {
                None => Verdict::CheckCondition,
                Some((kind, _)) if kind.is_all_registrants() => Verdict::Conflict,
                Some((_, holder)) if holder != by => Verdict::Conflict,
                Some(_) if new == 0 || to == by => Verdict::CheckCondition,
                Some((kind, _)) => {
                    self.keys.insert(to, new);
                    self.reserved = Some((kind, to));
                    if unregister {
                        self.keys.remove(&by);
                    }
                    self.aptpl = aptpl;
                    self.changes += 1;
                    Verdict::Good
                }
            },
            Step::Register { .. } => unreachable!(),
        }
    }

    fn register(&mut self, by: u8, ignore: bool, guess: u64, key: u64, aptpl: bool) -> Verdict {
        let now = self.keys.get(&by).copied();
        match (now, ignore) {
            (None, false) if guess != 0 => return Verdict::Conflict,
            (Some(now), false) if guess != now => return Verdict::Conflict,
            (None, _) if key == 0 => return Verdict::Good,
            _ => {}
        }
        self.aptpl = aptpl;
        self.changes += 1;
        if key != 0 {
            self.keys.insert(by, key);
            return Verdict::Good;
        }
        let held = self.holds(by);
        self.keys.remove(&by);
        if let Some((kind, _)) = self.reserved
            && held
            && (!kind.is_all_registrants() || self.keys.is_empty())
        {
            self.reserved = None;
            if kind.is_shared() {
                self.tell_registered(by, "released");
            }
        }
        Verdict::Good
    }

    fn reserve(&mut self, by: u8, kind: ReservationType) -> Verdict {
        match self.reserved {
            None => {
                self.reserved = Some((kind, by));
                Verdict::Good
            }
            Some((there, _)) if there == kind && self.holds(by) => Verdict::Good,
            Some(_) => Verdict::Conflict,
        }
    }

    fn release(&mut self, by: u8, kind: ReservationType) -> Verdict {
        if !self.holds(by) {
            return Verdict::Good;
        }
        if self.reserved.is_some_and(|(there, _)| there != kind) {
            return Verdict::CheckCondition;
        }
        self.reserved = None;
        if kind.is_shared() {
            self.tell_registered(by, "released");
        }
        Verdict::Good
    }

    fn preempt(&mut self, by: u8, victim: u64, kind: ReservationType) -> Verdict {
        let everybody = self
            .reserved
            .is_some_and(|(there, _)| there.is_all_registrants());
        let of_holder = match self.reserved {
            Some((_, holder)) if !everybody => self.keys.get(&holder).copied(),
            _ => None,
        };
        if victim == 0 && !everybody {
            return Verdict::CheckCondition;
        }
        if victim == 0 || of_holder == Some(victim) {
            let all: Vec<u8> = self.keys.keys().copied().collect();
            for who in all {
                if who != by && (victim == 0 || self.keys[&who] == victim) {
                    self.keys.remove(&who);
                    self.told.insert((who, "registration"));
                }
            }
            if self.reserved.map(|(there, _)| there) != Some(kind) {
                self.tell_registered(by, "released");
            }
            self.reserved = Some((kind, by));
        } else {
            let gone: Vec<u8> = self
                .keys
                .iter()
                .filter(|(_, key)| **key == victim)
                .map(|(who, _)| *who)
                .collect();
            if gone.is_empty() {
                return Verdict::Conflict;
            }
            for who in gone {
                self.keys.remove(&who);
                if who != by {
                    self.told.insert((who, "registration"));
                }
            }
            if self.keys.is_empty() {
                self.reserved = None;
            }
        }
        self.changes += 1;
        Verdict::Good
    }

    fn may(&self, who: u8, write: bool) -> bool {
        let Some((kind, _)) = self.reserved else {
            return true;
        };
        let registered = self.keys.contains_key(&who);
        self.holds(who) || (registered && kind.is_shared()) || (!write && kind.is_write_exclusive())
    }
}

fn action(step: Step) -> (u8, ServiceAction) {
    match step {
        Step::Register {
            by,
            ignore,
            guess,
            key,
            aptpl,
        } => {
            let register = Register {
                expected: (!ignore).then_some(guess),
                key,
                aptpl,
                all_target_ports: false,
                others: None,
            };
            (by, ServiceAction::Register(register))
        }
        Step::Reserve { by, key, kind } => {
            let kind = ReservationType::ALL[kind];
            (by, ServiceAction::Reserve { key, kind })
        }
        Step::Release { by, key, kind } => {
            let scope_and_type = ReservationType::ALL[kind].code();
            (
                by,
                ServiceAction::Release {
                    key,
                    scope_and_type,
                },
            )
        }
        Step::Clear { by, key } => (by, ServiceAction::Clear { key }),
        Step::Preempt {
            by,
            key,
            victim,
            kind,
            abort,
        } => {
            let scope_and_type = ReservationType::ALL[kind].code();
            (
                by,
                ServiceAction::Preempt {
                    key,
                    victim,
                    scope_and_type,
                    abort,
                },
            )
        }
        Step::Move {
            by,
            key,
            new,
            to,
            unregister,
            aptpl,
        } => {
            let action = ServiceAction::Move {
                key,
                new_key: new,
                unregister,
                aptpl,
                to: nexus(to),
            };
            (by, action)
        }
    }
}

/// The same, as bytes and back: for the daemon that has the other part of the unit.
fn other_daemon_understands(
    by: &NexusName,
    action: &ServiceAction,
    next: &PersistentState,
    done: &Result<Effects, Refused>,
) {
    let id = NexusId(u64::MAX);
    let change = ReservationChange(Change::Persistent {
        from: Requester {
            id,
            name: by.clone(),
        },
        action: Box::new(action.clone()),
    });
    let bytes = change.to_bytes().unwrap();
    // Nobody can register or move to nothing; what is refused for that here is refused there.
    assert_eq!(ReservationChange::from_bytes(&bytes), Some(change));
    match done {
        Ok(effects) => {
            let replica = shared::decode(&shared::encode(next, Some(effects))).unwrap();
            assert_eq!(
                (&replica.state, replica.effects.as_ref()),
                (next, Some(effects))
            );
        }
        Err(refused) => {
            let refused = ReservationsRefused::from(*refused);
            let bytes = refused.to_bytes();
            assert_eq!(ReservationsRefused::from_bytes(&bytes), Some(refused));
        }
    }
}

fn said(attention: UnitAttention) -> &'static str {
    match attention {
        UnitAttention::ReservationsPreempted => "preempted",
        UnitAttention::ReservationsReleased => "released",
        UnitAttention::RegistrationsPreempted => "registration",
        other => panic!("{other:?}"),
    }
}

fn number(name: &NexusName) -> u8 {
    (0..NEXUSES).find(|number| nexus(*number) == *name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_state_does_what_the_standard_says(steps in steps()) {
        let mut state = PersistentState::default();
        let mut model = Model::default();
        for step in steps {
            let (by, action) = action(step);
            let mut next = state.clone();
            let done = next.apply(&nexus(by), &action, &Known::default());
            other_daemon_understands(&nexus(by), &action, &next, &done);
            let verdict = match &done {
                Ok(_) => Verdict::Good,
                Err(Refused::Conflict) => Verdict::Conflict,
                Err(Refused::Sense(_)) => Verdict::CheckCondition,
            };
            let mut expected = model.clone();
            let wanted = expected.step(step);
            prop_assert_eq!(verdict, wanted, "{:?} after {:?}", step, model);
            let Ok(effects) = done else { continue };
            let told: BTreeSet<_> = effects
                .attentions
                .iter()
                .map(|(who, what)| (number(who), said(*what)))
                .collect();
            prop_assert_eq!(&told, &expected.told, "{:?} after {:?}", step, model);
            prop_assert_eq!(told.len(), effects.attentions.len());
            let aborted: BTreeSet<_> = effects.aborted.iter().map(number).collect();
            prop_assert_eq!(&aborted, &expected.aborted, "{:?} after {:?}", step, model);
            (state, model) = (next, expected);

            let keys: BTreeMap<_, _> = state
                .registrations
                .iter()
                .map(|one| (number(&one.nexus), one.key))
                .collect();
            prop_assert_eq!(&keys, &model.keys);
            prop_assert_eq!(state.generation, model.changes);
            prop_assert_eq!(state.aptpl, model.aptpl);
            let kind = state.reservation.as_ref().map(|there| there.kind);
            prop_assert_eq!(kind, model.reserved.map(|there| there.0));
            for who in 0..NEXUSES {
                let name = nexus(who);
                let holder = state.is_holder(&name);
                prop_assert_eq!(holder, model.holds(who));
                let access = state.access(state.key_of(&name).is_some(), holder);
                prop_assert_eq!(access.has(Access::Reads), model.may(who, false));
                prop_assert_eq!(access.has(Access::Writes), model.may(who, true));
            }
        }
    }
}
