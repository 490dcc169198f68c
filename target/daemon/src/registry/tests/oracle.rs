//! What is said to be possible is: random histories, and after every step every element is asked about by every method,
//! alone and with every other one, and then everything is tried. What was offered is done, and what wasn't is refused with
//! the code that the answer gave. The same of operations on what there is.
//!
//! `TIDELOCK_SEED=N` has another history, `TIDELOCK_STEPS=N` a longer one.

mod operations;
mod peers;
mod steps;
mod tries;

use std::collections::BTreeSet;

use tidelock_capabilities::values::{
    LocalElementRole, Mode, ReplicationType, ReturnCode, SyncType,
};
use tidelock_capabilities::{Decision, SynchronizationSupported, Triple};
use tidelock_catalog::DatasetRef;
use tidelock_scsi::MediumCondition;

use super::*;
use crate::registry::capabilities::{ElementName, ReplicaAsked, Via, built};
use crate::registry::changes::ChangeError;

const fn triple(sync_type: SyncType, mode: Mode) -> Triple {
    Triple::new(sync_type, mode, LocalElementRole::SystemElement)
}

const SNAPSHOT: Triple = triple(SyncType::Snapshot, Mode::Synchronous);
const CLONE: Triple = triple(SyncType::Clone, Mode::Asynchronous);
const MIRRORS: [Triple; 2] = [
    triple(SyncType::Mirror, Mode::Synchronous),
    triple(SyncType::Mirror, Mode::Asynchronous),
];

const ELEMENT: u16 = 2;
const GROUP: u16 = 3;
const ASPECT: u16 = 4;
/// The numbers of the three methods, and one that is reserved.
const METHODS: [u16; 4] = [ELEMENT, GROUP, ASPECT, 5];

/// The history that CI goes through, and how long it is.
const SEED: u64 = 3;
const STEPS: usize = 64;
/// What happens from one look at everything to the next.
const EVENTS: usize = 3;

#[test]
fn what_is_built_fits_together() {
    built().check().unwrap();
}

fn dataset(text: &str) -> DatasetRef {
    text.parse().unwrap()
}

fn opposite(triple: Triple) -> Triple {
    Triple::new(
        triple.sync_type,
        triple.mode,
        triple.local_element_role.opposite(),
    )
}

/// What a call returned, as a return code; errors that aren't a refusal by the rules are those of a request that
/// names what isn't there.
fn code_of<T>(result: &Result<T, ChangeError>) -> ReturnCode {
    match result {
        Ok(_) => ReturnCode::Success,
        Err(ChangeError::Refused(refused)) => refused.return_code,
        Err(ChangeError::Rule(_)) => ReturnCode::InvalidParameter,
        Err(ChangeError::Loading) => ReturnCode::Unknown,
        Err(ChangeError::NotReady { .. }) => ReturnCode::Failed,
        Err(other) => panic!("an error that no answer tells of: {other}"),
    }
}

/// What the answer says that a call for one combination would return.
fn foretold(decision: &Decision, triple: Triple) -> ReturnCode {
    match (decision.problem(), decision.verdict(triple)) {
        (Some(problem), _) => problem.return_code(),
        (None, Some(verdict)) => verdict.reason().map_or(ReturnCode::Success, |reason| {
            reason.obstacle().return_code()
        }),
        (None, None) => ReturnCode::NotSupported,
    }
}

fn ask(house: &House, name: &str, other: Option<&str>, method: u16) -> Decision {
    let registry = house.registry();
    let catalog = registry.catalog();
    let read = |text: &str| ElementName::read(text, method, &catalog);
    let other = other.map(read);
    let answer = registry.synchronization_supported(&read(name), other.as_ref(), method);
    well_formed(answer.decision)
}

/// What holds of every answer: parallel arrays that are empty unless the code is 0, and nothing that isn't in the list of the
/// class.
fn well_formed(decision: Decision) -> Decision {
    let answer = SynchronizationSupported::from(&decision);
    let count = answer.sync_types.len();
    assert_eq!(
        (answer.modes.len(), answer.local_element_role.len()),
        (count, count)
    );
    assert_eq!(count == 0, answer.return_code != ReturnCode::Success);
    let all: BTreeSet<_> = decision.supported().collect();
    assert_eq!(all.len(), count, "a combination is there twice");
    let locality = decision.locality();
    for it in decision.supported() {
        let of = ReplicationType::of(it.sync_type, it.mode, locality.unwrap());
        assert!(built().of(of).is_some(), "{of}");
    }
    decision
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// One of them.
    fn one<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.next(all.len().max(1)))
    }
}

/// What was asked and tried.
#[derive(Debug, Default)]
struct Counts {
    asked: usize,
    /// Questions whose answers were tried.
    tried: usize,
    done: usize,
    refused: usize,
    of_groups: usize,
    mirrors: usize,
    mirrors_of_groups: usize,
    operations_done: usize,
    operations_refused: usize,
    /// What a step has changed, by its name.
    steps: std::collections::BTreeMap<&'static str, usize>,
}

/// Elements of a house, by what they are called.
struct World {
    house: House,
    random: Random,
    counts: Counts,
}

impl World {
    fn registry(&self) -> Arc<Registry> {
        Arc::clone(self.house.registry())
    }

    fn volumes(&self) -> Vec<String> {
        let catalog = self.registry().catalog();
        let all = catalog.volumes().filter(|it| !it.name.is_of_snapshot());
        all.map(|it| it.name.to_string()).collect()
    }

    fn snapshots(&self) -> Vec<String> {
        let all = self.registry().snapshots(None).unwrap();
        let name = |it: tidelock_admin::v1::Snapshot| format!("{}@{}", it.volume, it.name);
        all.into_iter().map(name).collect()
    }

    fn groups(&self) -> Vec<String> {
        let catalog = self.registry().catalog();
        catalog.groups().map(|it| it.name.to_string()).collect()
    }

    /// All that can be asked about, with a few things that aren't there.
    fn elements(&self) -> Vec<String> {
        let mut all = self.volumes();
        all.extend(self.snapshots());
        all.extend(["nobody", "no@body", "a b"].map(str::to_owned));
        all
    }

    /// A lock never adds a combination, and when it is gone all is as it was.
    fn locks_are_monotone(&mut self) {
        let volumes = self.volumes();
        let (Some(name), Some(other)) = (self.random.one(&volumes), self.random.one(&volumes))
        else {
            return;
        };
        let registry = self.registry();
        let served = registry.volume(&volume(name)).unwrap();
        let answers = || {
            let pair = ask(&self.house, name, Some(other), ELEMENT);
            [ask(&self.house, name, None, ELEMENT), pair].map(|it| {
                let all: BTreeSet<Triple> = it.supported().collect();
                all
            })
        };
        let before = answers();
        let condition = served.unit().medium_condition();
        if condition != MediumCondition::Sound {
            return;
        }
        served
            .unit()
            .set_medium_condition(MediumCondition::Formatting);
        for (locked, free) in answers().iter().zip(&before) {
            assert!(locked.is_subset(free), "{name} and {other}");
        }
        served.unit().set_medium_condition(condition);
        assert_eq!(answers(), before);
    }

    /// The same state has the same number and the same answers.
    fn answers_of_one_state_agree(&mut self) {
        let elements = self.elements();
        let Some(name) = self.random.one(&elements) else {
            return;
        };
        let one = ask(&self.house, name, None, ELEMENT);
        let other = ask(&self.house, name, None, ELEMENT);
        // A mirror may have gone on by itself meanwhile.
        if one.generation == other.generation {
            let all = |it: &Decision| {
                it.explain()
                    .map(|(_, it)| it.is_supported())
                    .collect::<Vec<_>>()
            };
            assert_eq!(all(&one), all(&other), "{name}");
        }
    }
}

fn number_of(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn what_is_offered_is_done_and_what_is_not_is_refused_with_the_code_that_was_told() {
    let seed = number_of("TIDELOCK_SEED").map_or(SEED, |it| it as u64);
    println!("TIDELOCK_SEED={seed}");
    let steps = number_of("TIDELOCK_STEPS");
    let mut world = World {
        house: House::new().await,
        random: Random(seed),
        counts: Counts::default(),
    };
    for name in ["a", "b"] {
        world.house.add_volume(name).await;
    }
    world.house.add_target().await;
    for at in 0..steps.unwrap_or(STEPS) {
        for part in 0..EVENTS {
            world.step(EVENTS * at + part).await;
            world.until_quiet().await;
        }
        world.try_everything().await;
        world.try_operations(at).await;
        world.locks_are_monotone();
        world.answers_of_one_state_agree();
    }
    world.mirror_groups().await;
    let counts = &world.counts;
    println!("{counts:#?}");
    // Other histories may be of anything.
    if seed == SEED && steps.is_none() {
        assert!(counts.tried >= 10_000, "{counts:#?}");
        assert!(counts.done >= 200 && counts.of_groups > 0 && counts.mirrors > 2);
        assert!(counts.mirrors_of_groups >= 2, "{counts:#?}");
        assert!(counts.operations_done > 10 && counts.operations_refused > 100);
        for what in [
            "clone",
            "fault",
            "full clone",
            "group",
            "map",
            "mirror",
            "resize",
            "restore",
            "snapshot",
        ] {
            assert!(counts.steps.contains_key(what), "{what}: {counts:#?}");
        }
    }
}
