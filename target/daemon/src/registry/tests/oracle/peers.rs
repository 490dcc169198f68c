//! The same with a peer that comes and goes: what is offered at it is made, what needs it while it is away is refused with
//! Timeout, and what is offered here doesn't hinge on it.

use tidelock_admin::v1::PeerState;
use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{MirrorFailover, MirrorMode, OnFailure};

use super::super::remote_mirrors::{Daemon, pair, peer};
use super::steps::change_of;
use super::*;
use crate::registry::RemoteMirrorRequest;
use crate::registry::capabilities::Asked;

/// The mirror of a volume, once there is one.
const COPY: &str = "copy";

/// Two daemons: what is asked of the first about mirrors at the second.
struct Two {
    a: Daemon,
    b: Daemon,
    random: Random,
    counts: Counts,
    is_lost: bool,
}

impl Two {
    fn registry(&self) -> Arc<Registry> {
        Arc::clone(self.a.house.registry())
    }

    fn ask(&self, name: &str, at: &str) -> Decision {
        let registry = self.registry();
        let element = ElementName::read(name, ELEMENT, &registry.catalog());
        let at = peer(at);
        let answer = registry.answer(Asked {
            element: Some(&element),
            other: None,
            via: Via::Peer(&at),
            method_name: ELEMENT,
        });
        well_formed(answer.decision)
    }

    fn key(&self) -> Option<AssociationKey> {
        let all = self.registry().mirror_relations();
        all.first().map(|it| it.association.key)
    }

    fn noted(&mut self, told: ReturnCode, returned: ReturnCode, what: &str) {
        assert_eq!(told, returned, "{what}: told, and done");
        self.counts.tried += 1;
        match returned {
            ReturnCode::Success => self.counts.done += 1,
            _ => self.counts.refused += 1,
        }
    }

    /// Mirrors at a peer that is known and at one that isn't.
    async fn try_to_make_one(&mut self) {
        for (name, at) in [("a", "b"), ("other", "b"), ("nobody", "b"), ("other", "c")] {
            let decision = self.ask(name, at);
            let told = foretold(&decision, MIRRORS[0]);
            let request = RemoteMirrorRequest {
                resync_limit: None,
                compression: tidelock_catalog::MirrorCompression::None,
                source: volume(name),
                peer: peer(at),
                target: volume("tried"),
                on_failure: OnFailure::Continue,
                failover: MirrorFailover::Manual,
                mode: MirrorMode::Synchronous,
            };
            let made = self.registry().create_remote_mirror(request).await;
            self.noted(told, code_of(&made), &format!("a mirror of {name} at {at}"));
            if made.is_ok() {
                self.a.house.until(name, "Synchronized").await;
                self.b.house.until("tried", "Synchronized").await;
                let registry = self.registry();
                let detached = registry.detach_mirror(name.to_owned(), false).await;
                detached.unwrap();
                let there = self.b.house.registry();
                there.delete_volume(volume("tried"), false).await.unwrap();
            }
            if self.is_lost && told != ReturnCode::InvalidParameter {
                assert_ne!(told, ReturnCode::Success, "{name} at {at}");
            }
        }
    }

    /// What isn't offered is refused with the code that was told.
    async fn try_operations(&mut self) -> Vec<Operation> {
        let Some(key) = self.key() else {
            return Vec::new();
        };
        let registry = self.registry();
        let offered = registry.operations_for(key).unwrap().supported_operations;
        for operation in Operation::ALL {
            let told = registry.admit_operation(key, *operation, false);
            let Err(told) = told else {
                assert!(offered.contains(operation), "{operation}");
                continue;
            };
            let by_force = registry.admit_operation(key, *operation, true).is_ok();
            assert_eq!(offered.contains(operation), by_force, "{operation}");
            let done = match operation {
                Operation::Detach => registry.detach_mirror("a".to_owned(), false).await,
                _ => {
                    registry
                        .modify_mirror(change_of("a", *operation, false))
                        .await
                }
            };
            assert_eq!(code_of(&done), told.return_code, "{operation}: {told}");
            self.counts.operations_refused += 1;
        }
        offered
    }

    async fn lose(&mut self) {
        self.b.stop().await;
        self.is_lost = true;
        self.until(|two| two.a.peers().show(&peer("b")).unwrap().state != PeerState::Connected)
            .await;
    }

    async fn find(&mut self) {
        self.b.start(&self.a).await;
        self.is_lost = false;
        self.a.until_connected("b").await;
        self.b.until_connected("a").await;
        if self.key().is_some() {
            // What they have agreed on goes on.
            self.until(|two| {
                let mirror = two.a.house.mirror("a");
                mirror.copy_state != "Broken" && mirror.detail.is_empty()
            })
            .await;
        }
    }

    async fn until(&self, done: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !done(self) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
        waited.unwrap_or_else(|_| panic!("{:#?}", self.registry().mirrors()));
    }

    async fn step(&mut self, at: usize, offered: &[Operation]) {
        match (at % 6, self.is_lost) {
            (2, false) => self.lose().await,
            (4, true) => self.find().await,
            (5, _) => {
                let served = self.registry().volume(&volume("other")).unwrap();
                let condition = match served.unit().medium_condition() {
                    MediumCondition::Sound => MediumCondition::Formatting,
                    _ => MediumCondition::Sound,
                };
                served.unit().set_medium_condition(condition);
            }
            (_, is_lost) => {
                let registry = self.registry();
                if self.key().is_none() {
                    if !is_lost {
                        self.a.create("a", COPY).await.unwrap();
                        self.a.house.until("a", "Synchronized").await;
                        self.b.house.until(COPY, "Synchronized").await;
                    }
                    return;
                }
                let ends = [Operation::Detach];
                let offered: Vec<_> = offered.iter().filter(|it| !ends.contains(it)).collect();
                let Some(operation) = self.random.one(&offered) else {
                    return;
                };
                let admitted = registry.admit_operation(self.key().unwrap(), **operation, false);
                if admitted.is_err() {
                    return;
                }
                let done = registry
                    .modify_mirror(change_of("a", **operation, false))
                    .await;
                assert_eq!(code_of(&done), ReturnCode::Success, "{operation}");
                self.counts.operations_done += 1;
            }
        }
    }
}

#[tokio::test]
async fn what_a_peer_has_to_do_is_offered_while_it_answers_and_told_as_a_timeout_while_it_does_not()
{
    let seed = number_of("TIDELOCK_SEED").map_or(SEED, |it| it as u64);
    let (a, b) = pair().await;
    a.house.add_volume("other").await;
    let mut two = Two {
        a,
        b,
        random: Random(seed),
        counts: Counts::default(),
        is_lost: false,
    };
    let here = |two: &Two| {
        let all: Vec<Triple> = ask(&two.a.house, "a", None, ELEMENT).supported().collect();
        all
    };
    let steps = number_of("TIDELOCK_STEPS").unwrap_or(13);
    for at in 0..steps {
        two.try_to_make_one().await;
        let offered = two.try_operations().await;
        let (before, was_lost) = (here(&two), two.is_lost);
        two.step(at, &offered).await;
        if two.is_lost != was_lost && two.key().is_none() {
            assert_eq!(here(&two), before, "what is here doesn't hinge on a peer");
        }
        if two.is_lost {
            let told = two.ask("other", "b").return_code();
            // What is certain here counts first.
            let expected = match ask(&two.a.house, "other", None, ELEMENT).return_code() {
                ReturnCode::Success => ReturnCode::Timeout,
                other => other,
            };
            assert_eq!(told, expected);
        }
    }
    let counts = &two.counts;
    println!("{counts:#?}");
    assert!(
        counts.done > 2 && counts.operations_refused > 20,
        "{counts:#?}"
    );
}
