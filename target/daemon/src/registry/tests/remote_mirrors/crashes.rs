//! A crash of either daemon at each durable step of each operation on a mirror of the two, asked for at either of them,
//! while a host writes. The one that died is started again with what was durable. Then an operator does what `mirror show`
//! says at either of them, and nothing else: it has to lead to two volumes that are equal, or to no mirror at both. Hosts
//! are never served at both, and what they were told is there.
//!
//! `TIDELOCK_STEPS=all` has all of them, else there is one of each operation for each daemon that dies, chosen by
//! `TIDELOCK_SEED`. `TIDELOCK_STEPS=b/a/3` repeats one: asked for at b, a dies at its step 3.

mod doom;
mod host;
mod operator;

use tidelock_admin::v1;

use super::*;
use doom::Doom;
use host::Host;
use operator::{Ends, check_one_serves, lead};

/// One of the two daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    A,
    B,
}

use At::{A, B};

/// How the two are when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// There is no mirror.
    Apart,
    InStep,
    /// Asynchronous.
    Following,
    /// After this was done.
    After(Operation),
    /// Asynchronous.
    FollowingAfter(Operation),
    /// The daemon that isn't asked was stopped.
    Deserted,
    /// The same, after this was done.
    DesertedAfter(Operation),
    /// The other one has taken over by force, and it comes back.
    TakenOver,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Create,
    Operate(Operation),
    /// By force.
    Force(Operation),
    Detach,
    ForceDetach,
    Rpo,
    /// The daemon of the old source is started.
    Start,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    begin: Begin,
    what: What,
    /// At which daemons it can be asked for.
    asked: &'static [At],
}

impl Case {
    const fn ends(self) -> Ends {
        match self.what {
            Create | Detach | ForceDetach => Ends::InStepOrNone,
            _ => Ends::InStep,
        }
    }

    /// Whether one of the two isn't there meanwhile.
    const fn is_alone(self) -> bool {
        matches!(self.begin, Deserted | DesertedAfter(_))
    }
}

/// What was asked for, while it is done.
type Acting = tokio::task::JoinHandle<Result<(), String>>;

struct Two {
    a: Daemon,
    b: Daemon,
    host: Host,
    case: Case,
    asked: At,
}

impl Two {
    async fn new(case: Case, asked: At) -> Self {
        let (a, b) = match case.begin {
            Apart => pair().await,
            Following | FollowingAfter(_) => asynchronous::following().await,
            _ => mirrored().await,
        };
        let host = Host::default();
        let mut two = Self {
            a,
            b,
            host,
            case,
            asked,
        };
        if let After(first) | FollowingAfter(first) | DesertedAfter(first) = case.begin {
            two.a.operate("a", first).await.unwrap();
            two.until_at_rest().await;
        }
        match case.begin {
            Deserted | DesertedAfter(_) => two.lose(asked.other()).await,
            TakenOver => {
                two.lose(A).await;
                two.b.force("copy", Failover).await.unwrap();
                two.b.until_used("copy").await;
            }
            _ => {}
        }
        two
    }

    fn at(&self, at: At) -> (&Daemon, &'static str) {
        match at {
            A => (&self.a, "a"),
            B => (&self.b, "copy"),
        }
    }

    fn both(&mut self, first: At) -> (&mut Daemon, &mut Daemon) {
        match first {
            A => (&mut self.a, &mut self.b),
            B => (&mut self.b, &mut self.a),
        }
    }

    async fn lose(&mut self, which: At) {
        let (lost, _) = self.both(which);
        lost.stop().await;
        let (left, name) = self.at(which.other());
        let knows = |it: &v1::Mirror| {
            it.detail.contains("volume")
                && it.percent_synced != Some(100)
                && it.copy_state != "Synchronized"
        };
        left.house.wait(name, knows).await;
    }

    /// The host has paths to who is there.
    fn connect(&self, which: At, doom: Option<&Arc<Doom>>) {
        let (daemon, name) = self.at(which);
        // What is another disk then isn't one that it uses.
        let may_part = self.case.ends() == Ends::InStepOrNone;
        if daemon.house.registry.is_some() && (which == A || !may_part) {
            self.host.uses(daemon, name, doom);
        }
    }

    /// Both show what is wanted, and nothing is under way.
    async fn until_at_rest(&self) {
        let is_at_rest = |daemon: &Daemon, name: &str| {
            let Ok(mirror) = daemon.house.registry().mirror(name) else {
                return None;
            };
            let is_done = match mirror.copy_state.as_str() {
                "Fractured" | "Suspended" | "Split" => true,
                _ => mirror.percent_synced == Some(100) || mirror.asynchronous.is_some(),
            };
            Some((mirror.copy_state.clone(), is_done))
        };
        let rest = async {
            loop {
                let [one, other] = [(&self.a, "a"), (&self.b, "copy")]
                    .map(|(daemon, name)| is_at_rest(daemon, name));
                if one == other && one.is_none_or(|it| it.1) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), rest).await;
        waited.unwrap_or_else(|_| {
            panic!(
                "{:#?}",
                [
                    self.a.house.registry().mirror("a"),
                    self.b.house.registry().mirror("copy")
                ]
            )
        });
    }

    /// It is asked for.
    fn act(&self) -> Acting {
        if self.case.what == Start {
            return tokio::spawn(async { Ok(()) });
        }
        let (daemon, name) = self.at(self.asked);
        let (registry, mode) = (Arc::clone(daemon.house.registry()), daemon.mode);
        let (what, name) = (self.case.what, name.to_owned());
        tokio::spawn(async move {
            for _ in 0..200 {
                match ask(&registry, &name, what, mode).await {
                    // What the ends have just done is on its way to where it is asked.
                    Err(error) if error.contains("try again") => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    done => return done,
                }
            }
            Err("it is never done".to_owned())
        })
    }

    /// Who was away comes back.
    async fn start(&mut self, doom: Option<&Doom>) {
        let which = match self.case.begin {
            TakenOver => A,
            _ => self.asked.other(),
        };
        let (back, other) = self.both(which);
        back.house.open().await;
        let listens = match doom {
            None => {
                back.listen();
                true
            }
            Some(doom) => doom.listens(back),
        };
        if listens {
            let moved = other.peers().set_address(peer(back.called), back.address());
            moved.await.unwrap();
            // It may have moved while this one was away.
            let moved = back
                .peers()
                .set_address(peer(other.called), other.address());
            moved.await.unwrap();
        }
    }

    /// Whether both have all that was written, or are no mirror any more: false if something else is shown that stays so.
    async fn come_to_rest(&self) -> bool {
        if self.a.house.registry().mirror("a").is_err() {
            return true;
        }
        let has_all = |it: &v1::Mirror| {
            let lag = it.asynchronous.as_ref();
            it.copy_state == "Synchronized" && lag.is_none_or(|it| it.lag_bytes == Some(0))
        };
        let rest = async {
            for (daemon, name) in [(&self.a, "a"), (&self.b, "copy")] {
                daemon.house.wait_often(name, has_all).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), rest)
            .await
            .is_ok()
    }

    /// All is done, or the one that is doomed has died.
    async fn go(&mut self, doom: &Arc<Doom>, mut acting: Acting) -> (bool, Acting) {
        if self.case.what == Start {
            self.start(Some(doom)).await;
        }
        let case = self.case;
        let done = async {
            let done = (&mut acting).await.unwrap();
            if doom.is_dead() {
                // That may have been noticed.
                return doom.is_done().await;
            }
            done.unwrap();
            // Nobody tells the other one when one is alone.
            if !case.is_alone() {
                self.until_at_rest().await;
            }
        };
        tokio::select! {
            () = doom.is_done() => {}
            () = done => {}
        }
        let died = doom.lift();
        if died {
            doom.is_done().await;
        }
        (died, acting)
    }
}

impl At {
    const fn other(self) -> Self {
        match self {
            A => B,
            B => A,
        }
    }
}

/// Asks a daemon.
async fn ask(
    registry: &Arc<Registry>,
    name: &str,
    what: What,
    mode: MirrorMode,
) -> Result<(), String> {
    let change = |operation, force| MirrorChange {
        mirror: name.to_owned(),
        operation,
        force,
        discard: None,
    };
    let done = match what {
        Create => {
            let request = RemoteMirrorRequest {
                compression: tidelock_catalog::MirrorCompression::None,
                source: volume("a"),
                peer: peer("b"),
                target: volume("copy"),
                on_failure: OnFailure::Continue,
                failover: MirrorFailover::Manual,
                mode,
                resync_limit: None,
            };
            registry.create_remote_mirror(request).await
        }
        Operate(operation) => registry.modify_mirror(change(operation, false)).await,
        Force(operation) => registry.modify_mirror(change(operation, true)).await,
        Detach => registry.detach_mirror(name.to_owned(), false).await,
        ForceDetach => registry.detach_mirror(name.to_owned(), true).await,
        Rpo => registry.set_mirror_rpo(name.to_owned(), 300).await,
        Start => Ok(Vec::new()),
    };
    done.map(drop).map_err(|error| error.to_string())
}

/// How many steps each of the two has.
async fn count(case: Case, asked: At) -> [usize; 2] {
    let mut two = Two::new(case, asked).await;
    let dooms = [A, B].map(|which| Doom::of(two.at(which).0, None));
    for which in [A, B] {
        two.connect(which, None);
    }
    let acting = two.act();
    if case.what == Start {
        two.start(None).await;
    }
    acting.await.unwrap().unwrap();
    if !case.is_alone() {
        two.until_at_rest().await;
    }
    let counts = dooms.each_ref().map(|it| it.steps());
    two.host.stop().await;
    counts
}

/// It dies, is started again, and all becomes well.
async fn crash(case: Case, asked: At, dies: At, step: usize) {
    let mut two = Two::new(case, asked).await;
    let doom = Doom::of(two.at(dies).0, Some(step));
    for which in [A, B] {
        two.connect(which, (which == dies).then_some(&doom));
    }
    let acting = two.act();
    let (died, acting) = two.go(&doom, acting).await;
    if died {
        let (dead, other) = two.both(dies);
        doom.revive(dead, other).await;
        two.connect(dies, None);
    }
    if case.is_alone() {
        two.start(None).await;
        two.connect(asked.other(), None);
    }
    // Of one that is dead nobody hears.
    let acts = || asked != dies && !acting.is_finished();
    let mut done = lead((&two.a, &two.b), acts, case.ends()).await;
    two.host.stop().await;
    // What the one that died had asked for may have been done after all was well.
    let mut rounds = 0;
    while !two.come_to_rest().await {
        rounds += 1;
        assert!(rounds < 5, "it never comes to rest: {done:#?}");
        done.add(lead((&two.a, &two.b), || false, case.ends()).await);
    }
    check_one_serves(&two.a, &two.b);
    match two.a.house.registry().mirror("a") {
        Ok(_) => assert_eq!(two.a.house.content("a"), two.b.house.content("copy")),
        Err(_) => assert_eq!((two.a.house.folders(), two.b.house.folders()), (0, 0)),
    }
    let lacks = two.host.lacks(&two.a.house.content("a"));
    assert!(
        lacks.is_empty() || done.drops,
        "{lacks:?} is lost: {done:#?}"
    );
}

/// What is asked for: `None` is what is chosen.
fn wanted() -> Option<Vec<String>> {
    let wanted = std::env::var("TIDELOCK_STEPS").ok()?;
    Some(wanted.split('/').map(str::to_lowercase).collect())
}

fn chosen(seed: u64, name: &str, dies: At) -> u64 {
    // FNV-1a: the same everywhere.
    let bytes = name.bytes().chain(seed.to_le_bytes()).chain([dies as u8]);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

async fn crash_at_some_steps(case: Case) {
    let letter = |at: At| format!("{at:?}").to_lowercase();
    let wanted = wanted();
    let told = |asked, dies, step| {
        eprintln!(
            "again with: TIDELOCK_STEPS={}/{}/{step} cargo test -p tidelock-daemon --lib crashes::{}",
            letter(asked),
            letter(dies),
            case.name
        );
    };
    match wanted.as_deref() {
        Some([asked, dies, step]) => {
            let read = |text: &str| [A, B].into_iter().find(|it| letter(*it) == text).unwrap();
            crash(case, read(asked), read(dies), step.parse().unwrap()).await;
        }
        Some(_) => {
            let mut failed = 0;
            for asked in case.asked {
                let counts = count(case, *asked).await;
                for (dies, count) in [A, B].into_iter().zip(counts) {
                    for step in 0..count {
                        if tokio::spawn(crash(case, *asked, dies, step)).await.is_err() {
                            told(*asked, dies, step);
                            failed += 1;
                        }
                    }
                }
            }
            assert_eq!(failed, 0, "crashes that came to no good end");
        }
        None => {
            let seed = std::env::var("TIDELOCK_SEED").map_or(0, |it| it.parse().unwrap());
            let number = usize::try_from(chosen(seed, case.name, A) % 2).unwrap();
            let asked = case.asked[number % case.asked.len()];
            let counts = count(case, asked).await;
            for (dies, count) in [A, B].into_iter().zip(counts) {
                let Ok(count) = u64::try_from(count) else {
                    continue;
                };
                if count > 0 {
                    let step = usize::try_from(chosen(seed, case.name, dies) % count).unwrap();
                    told(asked, dies, step);
                    crash(case, asked, dies, step).await;
                }
            }
        }
    }
}

macro_rules! cases {
    ($($name:ident: $begin:expr, $what:expr, $asked:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let name = stringify!($name);
            crash_at_some_steps(Case { name, begin: $begin, what: $what, asked: &$asked }).await;
        }
    )*};
}

use Begin::{After, Apart, Deserted, DesertedAfter, Following, FollowingAfter, InStep, TakenOver};
use Operation::{
    Failback, Failover, Fracture, ResetToAsync, ResetToSync, Resume, ResyncReplica, ReverseRoles,
    Split, Suspend,
};
use What::{Create, Detach, Force, ForceDetach, Operate, Rpo, Start};

cases! {
    a_creation: Apart, Create, [A];
    a_fracture: InStep, Operate(Fracture), [A, B];
    a_resync: After(Fracture), Operate(ResyncReplica), [A, B];
    a_suspension: InStep, Operate(Suspend), [A, B];
    a_resumption: After(Suspend), Operate(Resume), [A, B];
    a_split: InStep, Operate(Split), [A, B];
    a_resync_after_a_split: After(Split), Operate(ResyncReplica), [A, B];
    a_failover: InStep, Operate(Failover), [A, B];
    a_failback: After(Failover), Operate(Failback), [A, B];
    a_reversal: InStep, Operate(ReverseRoles), [A, B];
    a_reversal_after_a_failover: After(Failover), Operate(ReverseRoles), [A, B];
    a_failover_by_force: Deserted, Force(Failover), [B];
    a_return_by_force: DesertedAfter(Failover), Force(Failover), [A];
    the_return_of_a_source: TakenOver, Start, [A];
    a_detachment: InStep, Detach, [A, B];
    a_detachment_after_a_failover: After(Failover), Detach, [A, B];
    a_detachment_by_force: Deserted, ForceDetach, [A, B];
    a_change_to_asynchronous: InStep, Operate(ResetToAsync), [A, B];
    a_change_to_synchronous: Following, Operate(ResetToSync), [A, B];
    another_rpo: Following, Rpo, [A, B];
    an_asynchronous_failover: Following, Operate(Failover), [A, B];
    an_asynchronous_failback: FollowingAfter(Failover), Operate(Failback), [A, B];
    an_asynchronous_resync: FollowingAfter(Fracture), Operate(ResyncReplica), [A, B];
}
