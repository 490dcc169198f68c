//! Mirrors between two daemons: what becomes of their content while one of them is away, and of what one knows of a
//! mirror that the other one doesn't.

use std::sync::Weak;
use std::time::Duration;

use serde_json::json;
use tidelock_admin::v1::PeerState;
use tidelock_capabilities::values::{LocalElementRole, Mode, Operation, SyncType};
use tidelock_capabilities::{Decision, Triple};
use tidelock_catalog::{
    AccessChange, AccessState, MirrorFailover, MirrorMode, OnFailure, Peer, PeerAddress, PeerName,
    PortalGroupTag,
};
use tidelock_scsi::{AccessState as Shown, LogicalUnit, TargetPort};

use super::*;
use crate::events::Events;
use crate::peers::{Book, Ends, Peers, Settings};
use crate::registry::asymmetric_access::{AccessRequest, Cause};
use crate::registry::capabilities::ElementName;
use crate::registry::changes::ChangeError;
use crate::registry::{GroupMirrorChange, MirrorChange, MirrorEnds, RemoteMirrorRequest};

mod asynchronous;
mod beginning;
mod compression;
mod crashes;
mod groups;
mod limits;
mod next_steps;
mod restores;
mod takeovers;

const BLOCKS: usize = 256;

pub(super) fn peer(name: &str) -> PeerName {
    PeerName::new(name).unwrap()
}

/// A registry with peers, on a port of its own.
pub(super) struct Daemon {
    called: &'static str,
    pub(super) house: House,
    peers: Option<Arc<Peers>>,
    /// Of mirrors that it makes.
    mode: MirrorMode,
}

impl Daemon {
    async fn new(called: &'static str) -> Self {
        let mut daemon = Self {
            called,
            house: House::new().await,
            peers: None,
            mode: MirrorMode::Synchronous,
        };
        daemon.listen();
        daemon
    }

    fn listen(&mut self) {
        let settings = Settings {
            name: peer(self.called),
            timeout: Duration::from_secs(10),
            // A disk that hosts reach through both has paths that they can tell apart.
            portal_groups: vec![u16::from(self.called.as_bytes()[0])],
        };
        let registry = self.house.registry();
        let book: Arc<dyn Book> = Arc::new(Arc::clone(registry));
        let state = self.house.state.as_ref().unwrap();
        let peers = Peers::start(state, book, settings, Events::default()).unwrap();
        registry.set_peers(&peers);
        peers
            .serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
            .unwrap();
        self.peers = Some(peers);
    }

    pub(super) fn peers(&self) -> &Peers {
        self.peers.as_ref().unwrap()
    }

    fn address(&self) -> PeerAddress {
        self.peers().identity().portal.unwrap().parse().unwrap()
    }

    /// It ends.
    pub(super) async fn stop(&mut self) {
        // Its thread has the registry, until it is gone.
        let registry = Arc::downgrade(self.house.registry());
        self.peers.take().unwrap().stop();
        self.house.close().await;
        gone(&registry).await;
    }

    /// It is there again, elsewhere.
    pub(super) async fn start(&mut self, other: &Self) {
        self.house.open().await;
        self.listen();
        let moved = other.peers().set_address(peer(self.called), self.address());
        moved.await.unwrap();
    }

    pub(super) async fn create(&self, source: &str, target: &str) -> Result<(), ChangeError> {
        let request = RemoteMirrorRequest {
            resync_limit: None,
            compression: tidelock_catalog::MirrorCompression::None,
            source: volume(source),
            peer: peer("b"),
            target: volume(target),
            on_failure: OnFailure::Continue,
            failover: MirrorFailover::Manual,
            mode: self.mode,
        };
        let made = self.house.registry().create_remote_mirror(request).await;
        made.map(drop)
    }

    async fn detach(&self, mirror: &str, force: bool) -> Result<(), ChangeError> {
        let registry = self.house.registry();
        let detached = registry.detach_mirror(mirror.to_owned(), force).await;
        detached.map(drop)
    }

    async fn operate(&self, mirror: &str, operation: Operation) -> Result<(), ChangeError> {
        self.change(mirror, operation, None).await
    }

    async fn change(
        &self,
        mirror: &str,
        operation: Operation,
        discard: Option<&str>,
    ) -> Result<(), ChangeError> {
        let change = MirrorChange {
            mirror: mirror.to_owned(),
            operation,
            force: false,
            discard: discard.map(|it| it.parse().unwrap()),
        };
        self.house.registry().modify_mirror(change).await.map(drop)
    }

    pub(super) async fn until_connected(&self, other: &str) {
        let connected = async {
            while self.peers().show(&peer(other)).unwrap().state != PeerState::Connected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), connected).await;
        waited.expect("the peer doesn't connect");
    }

    /// By force.
    async fn force(&self, mirror: &str, operation: Operation) -> Result<(), ChangeError> {
        let change = MirrorChange {
            mirror: mirror.to_owned(),
            operation,
            force: true,
            discard: None,
        };
        self.house.registry().modify_mirror(change).await.map(drop)
    }

    /// The state in which hosts see a volume.
    fn seen(&self, of: &str) -> Shown {
        let served = self.house.registry().volume(&volume(of)).unwrap();
        shown(served.unit())
    }

    async fn until_seen(&self, of: &str, state: Shown) {
        let seen = async {
            while self.seen(of) != state {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), seen).await;
        waited.unwrap_or_else(|_| panic!("{of} is {:?}", self.seen(of)));
    }

    async fn until_used(&self, of: &str) {
        self.until_seen(of, Shown::ActiveOptimized).await;
    }

    fn keeps_hosts_away(&self, of: &str) -> bool {
        // An initiator that takes the disk for read-only doesn't use it when it is the source.
        assert!(!self.house.is_protected(of));
        self.seen(of) != Shown::ActiveOptimized
    }

    fn has_no_mirror(&self) -> bool {
        let registry = self.house.registry();
        registry.mirrors().is_empty() && registry.catalog().mirrors().next().is_none()
    }
}

impl House {
    /// Hosts see it.
    async fn map(&self, name: &str) {
        let registry = self.registry();
        let target = tidelock_catalog::IscsiName::new("iqn.2026-11.test:t").unwrap();
        let create = Command::CreateTarget {
            target: target.clone(),
            portal_groups: tidelock_catalog::PortalGroups::ALL,
        };
        registry.apply(create).await.unwrap();
        let map = Command::MapLun {
            target,
            volume: volume(name),
            number: None,
            read_only: false,
        };
        registry.apply(map).await.unwrap();
    }

    async fn job_report(&self, id: u64) -> tidelock_admin::v1::CheckReport {
        let ended = async {
            loop {
                let job = self.registry().jobs().get(id).unwrap();
                if job.state.is_ended() {
                    break job;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let job = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let job = job.unwrap();
        job.report.clone().unwrap_or_else(|| panic!("{job:?}"))
    }
}

async fn gone(registry: &Weak<Registry>) {
    let waiting = async {
        while registry.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("somebody keeps the registry");
}

fn shown(unit: &LogicalUnit) -> Shown {
    unit.set_target_ports(vec![TargetPort {
        target_name: "iqn.2026-11.test:t".into(),
        relative_port_identifier: 1,
        target_port_group: 1,
    }]);
    unit.target_port_groups()[0].access.state
}

/// Two daemons that trust each other; the first has a volume a, of ones.
pub(super) async fn pair() -> (Daemon, Daemon) {
    let (a, b) = (Daemon::new("a").await, Daemon::new("b").await);
    for (one, other) in [(&a, &b), (&b, &a)] {
        let adding = one.peers().add(peer(other.called), other.address(), None);
        adding.await.unwrap();
    }
    for (one, other) in [(&a, &b), (&b, &a)] {
        one.until_connected(other.called).await;
    }
    a.house.add_volume("a").await;
    a.house.write("a", 0, BLOCKS as u64, 1);
    (a, b)
}

/// The same, and b has a copy of a, that is complete.
async fn mirrored() -> (Daemon, Daemon) {
    let (a, b) = pair().await;
    a.create("a", "copy").await.unwrap();
    in_step(&a, &b).await;
    (a, b)
}

async fn in_step(a: &Daemon, b: &Daemon) {
    a.house.until("a", "Synchronized").await;
    b.house.until("copy", "Synchronized").await;
}

/// Hosts can write the copy, and a gets what they write.
async fn failed_over(a: &Daemon, b: &Daemon) {
    for (daemon, name) in [(a, "a"), (b, "copy")] {
        let done = |it: &tidelock_admin::v1::Mirror| {
            it.copy_state == "Failedover" && it.percent_synced == Some(100)
        };
        daemon.house.wait(name, done).await;
    }
    assert!(a.keeps_hosts_away("a"));
    b.until_used("copy").await;
}

#[tokio::test]
async fn a_peer_makes_the_copy_gets_all_writes_and_what_it_has_missed() {
    let (mut a, mut b) = mirrored().await;
    assert_eq!(b.house.content("copy"), [1; BLOCKS]);
    let (here, there) = (a.house.mirror("a"), b.house.mirror("copy"));
    assert_eq!(here.id, there.id);
    assert_eq!(here.target.volume, "b:copy");
    assert_eq!(there.source.volume, "a:a");
    for shown in [&here, &there] {
        assert_eq!(
            (shown.percent_synced, shown.detail.as_str()),
            (Some(100), "")
        );
        assert!(shown.next.is_none());
    }
    a.until_used("a").await;
    assert!(b.keeps_hosts_away("copy"));
    a.house.write("a", 3, 2, 7);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    // Hosts go on while the copy is away, and it gets what it has missed.
    b.stop().await;
    let broken = a.house.until("a", "Broken").await;
    assert!(broken.detail.contains("b:copy"), "{}", broken.detail);
    a.house.write("a", 9, 1, 8);
    b.start(&a).await;
    in_step(&a, &b).await;
    assert!(b.keeps_hosts_away("copy"));
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    // The source comes back as what it was.
    a.stop().await;
    let broken = b.house.until("copy", "Broken").await;
    assert!(broken.detail.contains("a:a"), "{}", broken.detail);
    assert!(b.keeps_hosts_away("copy"));
    a.start(&b).await;
    in_step(&a, &b).await;
    a.house.write("a", 11, 4, 9);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
}

#[tokio::test]
async fn what_stands_against_a_mirror_is_told_by_capabilities_and_by_its_creation_and_nothing_is_changed()
 {
    let (a, b) = pair().await;
    b.house.add_volume("existing").await;
    b.house.write("existing", 0, BLOCKS as u64, 5);
    let asked = |element: &str, other: &str| {
        let registry = a.house.registry();
        let catalog = registry.catalog();
        let read = |text: &str| ElementName::read(text, 2, &catalog);
        let answer = registry.synchronization_supported(&read(element), Some(&read(other)), 2);
        answer.decision
    };
    let supported = |decision: Decision| decision.supported().collect::<Vec<_>>();
    let mirrors = [Mode::Synchronous, Mode::Asynchronous]
        .map(|mode| Triple::new(SyncType::Mirror, mode, LocalElementRole::SystemElement));
    assert_eq!(supported(asked("a", "b:copy")), mirrors);
    assert_eq!(supported(asked("a", "stranger:copy")), []);
    assert_eq!(supported(asked("b:copy", "a")), []);
    let refused = async |source: &str, target: &str, part: &str| {
        let error = a.create(source, target).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(a.has_no_mirror() && b.has_no_mirror());
        assert_eq!((a.house.folders(), b.house.folders()), (0, 0));
        a.until_used("a").await;
        assert_eq!(a.seen("a"), Shown::ActiveOptimized);
        let shared = a.house.registry().catalog();
        assert!(shared.shared_identity(&volume("a")).is_none());
    };
    // What a volume of another daemon has is its owner's.
    refused(
        "a",
        "existing",
        "peer b refuses: there is a volume existing already",
    )
    .await;
    assert_eq!(b.house.content("existing"), [5; BLOCKS]);
    refused("nothing", "copy", "no volume nothing").await;
    let stranger = RemoteMirrorRequest {
        resync_limit: None,
        compression: tidelock_catalog::MirrorCompression::None,
        source: volume("a"),
        peer: peer("stranger"),
        target: volume("x"),
        on_failure: OnFailure::Halt,
        failover: MirrorFailover::Manual,
        mode: MirrorMode::Synchronous,
    };
    let error = a.house.registry().create_remote_mirror(stranger).await;
    assert!(error.unwrap_err().to_string().contains("no peer stranger"));
    a.create("a", "copy").await.unwrap();
    a.house.until("a", "Synchronized").await;
    assert_eq!(supported(asked("a", "b:second")), []);
    let again = a.create("a", "second").await.unwrap_err().to_string();
    assert!(again.contains("limit is reached"), "{again}");
    // A peer that is needed stays.
    for (daemon, other, user) in [(&a, "b", "mirror a"), (&b, "a", "mirror copy")] {
        let error = daemon.peers().remove(peer(other)).await.unwrap_err();
        assert!(error.to_string().contains(user), "{error}");
    }
}

#[tokio::test]
async fn hosts_see_one_disk_that_is_where_the_source_is() {
    let (mut a, mut b) = mirrored().await;
    let shown = |daemon: &Daemon, name| {
        daemon
            .house
            .registry()
            .shown_identity(&volume(name))
            .unwrap()
    };
    assert_eq!(shown(&a, "a"), shown(&b, "copy"));
    let identity = shown(&a, "a");
    a.until_seen("a", Shown::ActiveOptimized).await;
    b.until_seen("copy", Shown::Standby).await;
    // Nobody but the mirror says where it is written to.
    let optimized = AccessRequest {
        volume: volume("copy"),
        id: None,
        changes: vec![AccessChange {
            group: PortalGroupTag::DEFAULT,
            state: Some(AccessState::ActiveOptimized),
            preferred: None,
        }],
        cause: Cause::Implicit,
    };
    let refused = b.house.registry().change_access(optimized).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("follow its mirror"), "{refused}");
    a.operate("a", Operation::Failover).await.unwrap();
    a.until_seen("a", Shown::Standby).await;
    b.until_seen("copy", Shown::ActiveOptimized).await;
    for _ in 0..2 {
        b.stop().await;
        a.house.until("a", "Failedover").await;
        assert_eq!(a.seen("a"), Shown::Standby);
        b.start(&a).await;
        b.until_seen("copy", Shown::ActiveOptimized).await;
    }
    assert_eq!(
        (shown(&a, "a"), shown(&b, "copy")),
        (identity.clone(), identity.clone())
    );
    // Detached, the one that hosts use stays what it is, and the other one is another disk.
    b.house.map("copy").await;
    failed_over(&a, &b).await;
    b.detach("copy", false).await.unwrap();
    assert_eq!(shown(&b, "copy"), identity);
    assert_ne!(shown(&a, "a"), identity);
    for (daemon, name) in [(&mut a, "a"), (&mut b, "copy")] {
        assert_eq!(daemon.seen(name), Shown::ActiveOptimized);
        daemon.peers.take().unwrap().stop();
        daemon.house.reopen().await;
        daemon.listen();
        assert_eq!(daemon.seen(name), Shown::ActiveOptimized);
    }
    assert_eq!(shown(&b, "copy"), identity);
}

#[tokio::test]
async fn nothing_is_sent_while_that_is_wanted_whichever_daemon_was_told() {
    for (at_source, hold, shown, release) in [
        (true, Operation::Suspend, "Suspended", Operation::Resume),
        (false, Operation::Suspend, "Suspended", Operation::Resume),
        (
            true,
            Operation::Fracture,
            "Fractured",
            Operation::ResyncReplica,
        ),
        (false, Operation::Split, "Split", Operation::ResyncReplica),
    ] {
        let (mut a, mut b) = mirrored().await;
        let told = async |a: &Daemon, b: &Daemon, operation| match at_source {
            true => a.operate("a", operation).await.unwrap(),
            false => b.operate("copy", operation).await.unwrap(),
        };
        told(&a, &b, hold).await;
        a.house.until("a", shown).await;
        let there = b.house.until("copy", shown).await;
        let next = there.next.unwrap().command;
        assert!(next.contains("mirror res"), "{next}");
        a.house.write("a", 0, 4, 2);
        assert_eq!(b.house.content("copy"), [1; BLOCKS]);
        // Both know it after a restart, and hosts go on.
        a.stop().await;
        a.start(&b).await;
        a.until_seen("a", Shown::ActiveOptimized).await;
        b.stop().await;
        b.start(&a).await;
        a.house.until("a", shown).await;
        b.house.until("copy", shown).await;
        a.house.write("a", 8, 4, 3);
        assert_eq!(b.house.content("copy"), [1; BLOCKS], "{shown}");
        b.house.wait("copy", |it| it.detail.is_empty()).await;
        let error = b.operate("copy", Operation::Failover).await.unwrap_err();
        assert!(error.to_string().contains("resume"), "{error}");
        told(&a, &b, release).await;
        in_step(&a, &b).await;
        assert_eq!(b.house.content("copy"), a.house.content("a"), "{shown}");
        assert_eq!(b.house.content("copy")[8], 3);
    }
}

#[tokio::test]
async fn roles_are_reversed_for_good_and_back() {
    for (at_source, over) in [(true, false), (false, false), (true, true), (false, true)] {
        let (mut a, mut b) = mirrored().await;
        if over {
            b.operate("copy", Operation::Failover).await.unwrap();
            failed_over(&a, &b).await;
        }
        match at_source {
            true => a.operate("a", Operation::ReverseRoles).await.unwrap(),
            false => b.operate("copy", Operation::ReverseRoles).await.unwrap(),
        }
        in_step(&a, &b).await;
        assert_eq!(a.house.mirror("a").source.volume, "b:copy");
        assert_eq!(b.house.mirror("copy").source.volume, "copy");
        a.until_seen("a", Shown::Standby).await;
        b.until_seen("copy", Shown::ActiveOptimized).await;
        b.house.write("copy", 1, 1, 6);
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        a.stop().await;
        b.house.until("copy", "Broken").await;
        b.house.write("copy", 2, 1, 6);
        a.start(&b).await;
        in_step(&a, &b).await;
        b.operate("copy", Operation::Failover).await.unwrap();
        a.until_seen("a", Shown::ActiveOptimized).await;
        a.house.write("a", 3, 1, 7);
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        // And once more: it is kept at both.
        a.operate("a", Operation::ReverseRoles).await.unwrap();
        in_step(&a, &b).await;
        a.stop().await;
        a.start(&b).await;
        in_step(&a, &b).await;
        b.stop().await;
        b.start(&a).await;
        in_step(&a, &b).await;
        assert_eq!(a.house.mirror("a").source.volume, "a");
        assert_eq!(b.house.mirror("copy").source.volume, "a:a");
        for shown in [a.house.mirror("a"), b.house.mirror("copy")] {
            assert!(
                shown.source.consistent && shown.target.consistent,
                "{shown:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_source_that_comes_back_alone_serves_nobody_until_an_operator_says_so() {
    let (mut a, mut b) = mirrored().await;
    a.stop().await;
    b.stop().await;
    a.house.open().await;
    a.listen();
    let waiting = a.house.until_detail("a", "taken over").await;
    assert_eq!(waiting.serving, None);
    assert!(a.keeps_hosts_away("a"));
    assert_eq!(a.seen("a"), Shown::Transitioning);
    let command = waiting.next.unwrap().command;
    assert_eq!(command, "tidelock mirror fracture a --force");
    let refused = a.operate("a", Operation::Fracture).await.unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    a.force("a", Operation::Fracture).await.unwrap();
    a.until_seen("a", Shown::ActiveOptimized).await;
    a.house.write("a", 3, 1, 9);
    // The other one knows when it is back, and gets what it lacks when that is wanted.
    b.start(&a).await;
    let moved = b.peers().set_address(peer("a"), a.address());
    moved.await.unwrap();
    b.house.until("copy", "Fractured").await;
    a.operate("a", Operation::ResyncReplica).await.unwrap();
    in_step(&a, &b).await;
    assert_eq!(a.house.content("a"), b.house.content("copy"));
}

#[tokio::test]
async fn what_was_wanted_before_a_source_was_killed_is_known_at_the_other_end_when_it_is_back() {
    let (mut a, mut b) = mirrored().await;
    a.operate("a", Operation::Split).await.unwrap();
    b.house.until("copy", "Split").await;
    b.stop().await;
    let _ = a.operate("a", Operation::ResyncReplica).await; // That is kept, and can't be told.
    a.stop().await;
    a.house.open().await;
    a.listen();
    a.house.until_detail("a", "taken over").await;
    b.start(&a).await;
    let moved = b.peers().set_address(peer("a"), a.address());
    moved.await.unwrap();
    in_step(&a, &b).await;
    a.house.until("a", "Synchronized").await;
    b.house.until("copy", "Synchronized").await;
}

#[tokio::test]
async fn the_volumes_are_compared_without_being_sent() {
    let (a, b) = mirrored().await;
    a.house.write("a", 5, 2, 7);
    for (daemon, name) in [(&a, "a"), (&b, "copy")] {
        let registry = daemon.house.registry();
        let id = registry.verify_mirror(name).await.unwrap();
        let report = daemon.house.job_report(id).await;
        assert_eq!((report.checked_bytes, report.damaged), (MIB, 0));
    }
    // Behind the mirror's back.
    let file = b.house.registry().volume(&volume("copy")).unwrap().path();
    let damage = std::os::unix::fs::FileExt::write_all_at;
    damage(
        &std::fs::File::options().write(true).open(file).unwrap(),
        &[99; 512],
        70 * 4096,
    )
    .unwrap();
    let registry = a.house.registry();
    let id = registry.verify_mirror("a").await.unwrap();
    let report = a.house.job_report(id).await;
    assert_eq!(report.damaged, 1, "{report:?}");
    assert!(report.findings[0].contains("286720"), "{report:?}");
}

#[tokio::test]
async fn a_detached_mirror_is_one_at_neither_side() {
    for at_source in [true, false] {
        let (a, b) = mirrored().await;
        match at_source {
            true => a.detach("a", false).await.unwrap(),
            false => b.detach("copy", false).await.unwrap(),
        }
        assert!(a.has_no_mirror() && b.has_no_mirror(), "{at_source}");
        a.until_used("a").await;
        b.until_used("copy").await;
        assert_eq!((a.house.folders(), b.house.folders()), (0, 0));
        a.house.write("a", 0, 1, 2);
        b.house.write("copy", 0, 1, 3);
        assert_ne!(a.house.content("a"), b.house.content("copy"));
    }
}

#[tokio::test]
async fn who_was_away_while_a_mirror_was_detached_says_so_and_can_detach_it() {
    let (mut a, mut b) = mirrored().await;
    b.stop().await;
    a.house.until("a", "Broken").await;
    a.detach("a", true).await.unwrap();
    assert!(a.has_no_mirror());
    b.start(&a).await;
    let left = b.house.until_detail("copy", "there is no mirror").await;
    assert!(left.detail.contains("peer a"), "{}", left.detail);
    assert!(b.keeps_hosts_away("copy"));
    b.detach("copy", true).await.unwrap();
    assert!(b.has_no_mirror());
    assert_eq!(b.house.content("copy"), [1; BLOCKS]);
    a.stop().await;
}

#[tokio::test]
async fn a_mirror_whose_peer_never_answered_is_explained_and_ended_after_a_restart_too() {
    let (mut a, mut b) = pair().await;
    b.stop().await;
    let error = a.create("a", "copy").await.unwrap_err().to_string();
    assert!(
        error.contains("tidelock mirror detach a --force"),
        "{error}"
    );
    for _ in 0..2 {
        let shown = a.house.mirror("a");
        assert!(shown.detail.contains("b:copy"), "{}", shown.detail);
        a.peers.take().unwrap().stop();
        a.house.reopen().await;
        a.listen();
    }
    a.detach("a", true).await.unwrap();
    assert!(a.has_no_mirror() && a.house.folders() == 0);
    a.house.write("a", 0, 1, 2);
}

#[tokio::test]
async fn a_peer_can_not_ask_for_what_it_has_no_part_in() {
    let (a, b) = mirrored().await;
    b.house.add_volume("other").await;
    let id = b.house.mirror("copy").id;
    let catalog = b.house.registry().catalog();
    let known = catalog.peer(&peer("a")).unwrap().clone();
    let stranger = Peer {
        name: peer("stranger"),
        ..known.clone()
    };
    let ends = MirrorEnds::of(b.house.registry());
    let asked = async |who: &Peer, what| ends.asked(who, what).await;
    let detached = json!({"detached": {"mirror": id}});
    // What isn't there is detached already, for all that it may know.
    asked(&stranger, detached).await.unwrap();
    assert_eq!(b.house.mirror("copy").id, id);
    let create = |mirror: &str, volume: &str, block: u32| {
        json!({"create_target": {
            "mirror": mirror, "halts": false, "bytes": MIB, "block_bytes": block,
            "naa": "3fffffffffffffff", "serial": "elsewhere",
            "source": {"volume": "x", "node": "00000000-0000-0000-0000-000000000005"},
            "target": {"volume": volume, "node": "00000000-0000-0000-0000-000000000006"},
        }})
    };
    let new = "00000000000000000000000000000007";
    for (what, part) in [
        (json!("nonsense"), "isn't understood"),
        (json!({"detached": {}}), "isn't understood"),
        (create(new, "copy", 512), "there is a volume copy already"),
        (create(new, "other", 512), "there is a volume other already"),
        (create(new, "../x", 512), "name"),
        (create(new, "new", 7), "blocks of 7 bytes"),
        (create(&id, "new", 512), "identity"),
        (
            json!({"digest": {"mirror": id, "offset": 0, "length": u64::MAX, "piece": 4096}}),
            "checksums",
        ),
        (
            json!({"digest": {"mirror": id, "offset": 0, "length": MIB, "piece": 0}}),
            "checksums",
        ),
        (
            json!({"words": {"mirror": new, "source": "first", "rest": "split"}}),
            "no mirror",
        ),
        (
            json!({"operate": {"mirror": id, "operation": "split"}}),
            "isn't the source",
        ),
    ] {
        let error = asked(&known, what).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(b.house.registry().mirrors().len(), 1);
    assert_eq!(b.house.folders(), 1);
    in_step(&a, &b).await;
}
