//! A mirror that runs: its ends that are here, the link between the two ends, and one task that listens to what the ends say and asks
//! them for what follows.

mod asynchronous;
mod missing;
mod restoring;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tidelock_catalog::{Mirror, MirrorId, MirrorSide, OnFailure};
use tidelock_mirror::association::{Event, OnFailure as Policy, Report, Wish};
use tidelock_mirror::id::{MirrorId as Mirrored, NodeId};
use tidelock_mirror::link::Message;
use tidelock_replication::mirror::{Images, is_on_an_engine};
use tidelock_replication::{Id, Volume};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::News;
use super::end::{Alone, End, Ends, House, Which};
use super::lag::Lag;
use super::lease::{Lease, Told};
use super::line::Line;
use super::link::{Incoming, Link};
use super::state::{Access, Do, State, Step};
use super::way::Way;
use crate::peers::LinkEnd;
use crate::registry::ServedVolume;
use crate::registry::shared_units::SharedRole;

/// How long writes of hosts wait for the other end before they go on without it, or fail.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a source waits after a start for a peer that it had gone on without: it may have been made the source.
const COMING_BACK: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Running {
    id: MirrorId,
    /// Where the durable files of its ends are.
    folder: PathBuf,
    state: Mutex<State>,
    ends: RwLock<[Option<End>; 2]>,
    /// `None`: it is at a peer.
    volumes: [Option<Arc<ServedVolume>>; 2],
    link: Way,
    reports: UnboundedSender<(MirrorSide, Report)>,
    pub(super) news: UnboundedSender<News>,
    changed: watch::Sender<u64>,
    /// Since when the target hasn't had everything.
    behind: Mutex<Option<Instant>>,
    tasks: Mutex<Vec<AbortHandle>>,
    /// How far behind the peer of each end may be, as the ends were told.
    rpos: Mutex<[Option<u64>; 2]>,
    /// How far an end here is behind, or the one at a peer, as the two daemons tell each other.
    lag: Lag,
    /// The mirror is no more, and doesn't say who may write.
    released: AtomicBool,
    /// Hosts are kept away from the source, which is being restored.
    is_closed: AtomicBool,
    /// What hosts may do with the volume here, if the other one isn't, as they were told last.
    access: Mutex<Option<Access>>,
    /// Whoever keeps up the place of the source, if the ends fail over by themselves.
    pub(super) lease: Mutex<Option<Lease>>,
    /// Held while ends are opened anew.
    attaching: Mutex<()>,
    /// Held while it is decided whether the ends fail over by themselves.
    turning: tokio::sync::Mutex<()>,
    /// Held while the peer is told what is wanted: what is older doesn't come later.
    telling: tokio::sync::Mutex<()>,
    /// Held while the peer is told of reservations until it knows.
    catching_up: tokio::sync::Mutex<()>,
    /// A change of reservations has been made that the other end doesn't know of.
    owes_reservations: AtomicBool,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What an end's house is: the mirror that it is in, for as long as that runs.
struct Side {
    side: MirrorSide,
    mirror: Weak<Running>,
    timer: Mutex<Option<AbortHandle>>,
}

impl House for Side {
    fn send(&self, message: Message) {
        if let Some(mirror) = self.mirror.upgrade() {
            mirror.link.send(self.side, message);
            mirror.brings(self.side.opposite());
        }
    }

    fn disconnect(&self) {
        if let Some(mirror) = self.mirror.upgrade() {
            mirror.link.disconnect(self.side);
        }
    }

    fn timer(&self, runs: bool) {
        let mut timer = self.timer.lock();
        if let Some(timer) = timer.take() {
            timer.abort();
        }
        let Some(mirror) = self.mirror.upgrade().filter(|_| runs) else {
            return;
        };
        let (side, weak) = (self.side, self.mirror.clone());
        let waiting = mirror.runtime.spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(mirror) = weak.upgrade() {
                mirror.event(side, Event::TimeOut);
            }
        });
        *timer = Some(waiting.abort_handle());
    }

    fn ask_to_go_on_alone(&self, number: u64) {
        if let Some(mirror) = self.mirror.upgrade() {
            mirror.tell_lease(Told::WantsAlone(number));
        }
    }

    fn report(&self, report: Report) {
        if let Some(mirror) = self.mirror.upgrade() {
            // The task that listens ends with the mirror.
            let _ = mirror.reports.send((self.side, report));
        }
    }
}

const fn at(side: MirrorSide) -> usize {
    match side {
        MirrorSide::First => 0,
        MirrorSide::Second => 1,
    }
}

impl Running {
    /// A mirror without ends yet. Nobody may write either volume before its end is there.
    pub(crate) fn new(
        state: State,
        folder: PathBuf,
        volumes: [Option<Arc<ServedVolume>>; 2],
        news: UnboundedSender<News>,
        runtime: &tokio::runtime::Handle,
    ) -> Arc<Self> {
        let link = match state.record().remote() {
            Some(_) => Way::Peer(Arc::new(Line::default())),
            None => Way::Here(Link::new()),
        };
        let (reports, said) = unbounded_channel();
        let running = Arc::new(Self {
            id: state.record().id,
            folder,
            state: Mutex::new(state),
            ends: RwLock::default(),
            volumes,
            link,
            reports,
            news,
            changed: watch::Sender::new(0),
            behind: Mutex::new(Some(Instant::now())),
            tasks: Mutex::default(),
            rpos: Mutex::default(),
            lag: Lag::default(),
            released: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            access: Mutex::default(),
            lease: Mutex::default(),
            attaching: Mutex::default(),
            turning: tokio::sync::Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            catching_up: tokio::sync::Mutex::default(),
            owes_reservations: AtomicBool::new(false),
            runtime: runtime.clone(),
        });
        let mut tasks = Vec::new();
        if let Way::Here(link) = &running.link {
            let link = Arc::clone(link);
            let connecting = async move { link.keep_connected().await };
            tasks.push(runtime.spawn(connecting).abort_handle());
            for side in [MirrorSide::First, MirrorSide::Second] {
                let (mirror, Way::Here(link)) = (Arc::downgrade(&running), &running.link) else {
                    continue;
                };
                let delivering = deliver(mirror, Arc::clone(link), side);
                tasks.push(runtime.spawn(delivering).abort_handle());
            }
        }
        let looking = asynchronous::keep_schedule(Arc::downgrade(&running), running.changes());
        tasks.push(runtime.spawn(looking).abort_handle());
        let listening = listen(Arc::downgrade(&running), said);
        tasks.push(runtime.spawn(listening).abort_handle());
        *running.tasks.lock() = tasks;
        running.update(|_| {});
        running
    }

    pub(crate) fn id(&self) -> MirrorId {
        self.id
    }

    /// Looks at what is known, at one moment.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        let consistent = self.is_target_consistent();
        let source_consistent = self.is_source_consistent();
        let mut state = self.state.lock();
        state.set_source_consistent(source_consistent);
        if let Some(consistent) = consistent {
            state.set_target_consistent(consistent);
        }
        look(&state)
    }

    /// Whether the end that isn't the source has an image; `None`: nobody can say.
    fn is_target_consistent(&self) -> Option<bool> {
        let target = self.state.lock().record().source.opposite();
        Some(self.end(target)?.has_image())
    }

    /// For how long the target hasn't had everything.
    pub(crate) fn behind(&self) -> Option<Duration> {
        self.behind.lock().map(|since| since.elapsed())
    }

    /// Whether a volume here is one of its ends. Waits for nobody.
    pub(crate) fn has_volume(&self, name: &str) -> bool {
        let mut volumes = self.volumes.iter().flatten();
        volumes.any(|it| &**it.name() == name)
    }

    pub(crate) fn end(&self, side: MirrorSide) -> Option<End> {
        self.ends.read().get(at(side))?.clone()
    }

    /// Rung at each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until it is so, but not for longer than that: what takes longer is told by what the mirror shows.
    pub(crate) async fn until(
        &self,
        within: Duration,
        is_so: impl Fn(&State) -> bool + Send + Sync,
    ) {
        let mut changes = self.changes();
        let so = async {
            while !self.look(&is_so) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(within, so).await;
    }

    /// The end that is here, if the other one isn't.
    pub(crate) fn local(&self) -> Option<(MirrorSide, &Arc<ServedVolume>)> {
        let side = self.state.lock().record().remote()?.0.opposite();
        Some((side, self.volumes.get(at(side))?.as_ref()?))
    }

    /// The same, for who looks at the state already.
    pub(super) fn volume_of(&self, state: &State) -> Option<(MirrorSide, &Arc<ServedVolume>)> {
        let side = state.record().remote()?.0.opposite();
        Some((side, self.volumes.get(at(side))?.as_ref()?))
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::SeqCst)
    }

    pub(crate) const fn turning(&self) -> &tokio::sync::Mutex<()> {
        &self.turning
    }

    pub(crate) const fn telling(&self) -> &tokio::sync::Mutex<()> {
        &self.telling
    }

    pub(crate) const fn catching_up(&self) -> &tokio::sync::Mutex<()> {
        &self.catching_up
    }

    /// Whether the other end doesn't know of all reservations.
    pub(crate) fn owes_reservations(&self) -> bool {
        self.owes_reservations.load(Ordering::SeqCst)
    }

    /// Says so, or that it does.
    pub(crate) fn set_owes_reservations(&self, owes: bool) {
        if self.owes_reservations.swap(owes, Ordering::SeqCst) != owes {
            self.has_changed();
        }
    }

    /// The connection with the end at a peer.
    pub(crate) fn line(&self) -> Option<Arc<Line>> {
        match &self.link {
            Way::Here(_) => None,
            Way::Peer(line) => Some(Arc::clone(line)),
        }
    }

    /// Whether the end here is the source, and nobody else has what is written now.
    pub(crate) fn is_alone(&self) -> bool {
        let end = self.local().and_then(|(side, _)| self.end(side));
        end.is_some_and(|end| end.facts().is_alone)
    }

    /// The end here finds out whether it goes on alone, if that is what it is to do, as if a host had written.
    pub(crate) fn settle(&self) {
        let goes_on = self.look(|state| state.record().on_failure == OnFailure::Continue);
        let end = self.local().and_then(|(side, _)| self.end(side));
        if let Some(end) = end.filter(|_| goes_on) {
            end.settle();
        }
    }

    /// The end here, for one connection with a peer; `None`: it isn't open, or both are here.
    pub(crate) fn door(self: &Arc<Self>) -> Option<Arc<dyn LinkEnd>> {
        Some(Arc::new(self.line()?.door(self)?))
    }

    /// There is a connection with a peer, or there isn't any more.
    pub(super) fn line_changed(&self) {
        self.has_changed();
    }

    /// The folder of an end.
    pub(crate) fn folder_of(folder: &std::path::Path, side: MirrorSide) -> PathBuf {
        folder.join(match side {
            MirrorSide::First => "first",
            MirrorSide::Second => "second",
        })
    }

    /// Opens an end over its volume, before anybody can see that. Blocks.
    pub(crate) fn attach(
        self: &Arc<Self>,
        ends: &Ends,
        side: MirrorSide,
        store: &Arc<Volume>,
    ) -> Result<(), String> {
        let (which, on_failure) = self.which(side);
        let alone = Alone {
            on_failure,
            after_restart: self.line().is_none(),
        };
        let house = Side {
            side,
            mirror: Arc::downgrade(self),
            timer: Mutex::default(),
        };
        let folder = Self::folder_of(&self.folder, side);
        let opened = ends.open(&folder, which, alone, store, house);
        let end = match opened {
            Ok(end) => end,
            Err(reason) => {
                let problem = format!("its end of the mirror can't be opened: {reason}");
                self.update(|state| state.closed(side, problem.clone()));
                self.has_changed();
                return Err(problem);
            }
        };
        end.ask_before_alone(self.look(|state| state.record().is_automatic()));
        end.limit_resync(self.look(|state| state.record().resync_limit));
        let facts = end.facts();
        let role = facts.role;
        // What was changed of reservations while nobody else had anything isn't known elsewhere, nor here after a restart.
        if facts.is_alone {
            self.owes_reservations.store(true, Ordering::SeqCst);
        }
        if let Some(place) = self.ends.write().get_mut(at(side)) {
            *place = Some(end);
        }
        if let Some(rpo) = self.rpos.lock().get_mut(at(side)) {
            // As every end begins.
            *rpo = None;
        }
        let todo = self.update(|state| state.opened(side, role));
        self.set_rpos();
        self.perform(todo);
        self.link.arrives(side);
        if self.look(State::waits) {
            self.wait_for_peer();
        }
        self.has_changed();
        Ok(())
    }

    fn which(&self, side: MirrorSide) -> (Which, Policy) {
        let state = self.state.lock();
        let on_failure = match state.record().on_failure {
            OnFailure::Continue => Policy::Continue,
            OnFailure::Halt => Policy::Halt,
        };
        (which(state.record(), side), on_failure)
    }

    /// Changes what is known, and asks the ends for what follows.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State) -> Vec<Do>) {
        let todo = self.update(change);
        self.set_rpos();
        self.perform(todo);
        self.has_changed();
    }

    /// Changes what is known, and who may write, at once: nobody sees one without the other.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let changed = change(&mut state);
        state.show_restoring();
        if self.released.load(Ordering::SeqCst) {
            return changed;
        }
        // One disk at two daemons has access states instead: what initiators take for read-only they don't use later.
        if state.record().remote().is_none() {
            for (side, volume) in [MirrorSide::First, MirrorSide::Second]
                .into_iter()
                .zip(&self.volumes)
            {
                // What hosts are kept away from is what they will write again.
                if let Some(volume) = volume
                    && !state.is_closed_to_hosts(side)
                {
                    volume.unit().set_write_protected(!state.is_writable(side));
                }
            }
            self.close_to_hosts(&state);
        }
        self.move_hosts(&state);
        changed
    }

    /// Sends hosts to where the source is. Away from here at once; to here when that is durable as well.
    fn move_hosts(&self, state: &State) {
        let (Some(access), Some((remote, _))) = (state.access(), state.record().remote()) else {
            return;
        };
        if self.access.lock().replace(access) == Some(access) {
            return;
        }
        let volume = self
            .volumes
            .get(at(remote.opposite()))
            .and_then(Option::as_ref);
        if let Some(volume) = volume.filter(|_| access != Access::Active) {
            volume.unit().lead_transition(SharedRole::Target.accesses());
        }
        let _ = self.news.send(News::Access(self.id));
    }

    /// What hosts may do with the volume here, if the other one isn't.
    pub(crate) fn access(&self) -> Option<Access> {
        self.state.lock().access()
    }

    /// Whether hosts use the volume here rather than the other one, or will when it is ready.
    pub(crate) fn serves_hosts(&self) -> bool {
        let state = self.state.lock();
        let Some((remote, _)) = state.record().remote() else {
            return false;
        };
        let side = remote.opposite();
        match state.role(side) {
            _ if state.is_restoring() => state.record().serving() == side,
            Some(role) => role == tidelock_mirror::generation::Role::Source && !state.is_fenced(),
            None => state.record().serving() == side,
        }
    }

    /// Shows hosts what they may do, if it is that still: what isn't any more would be seen otherwise.
    pub(crate) fn show_access(&self, access: Access, show: &dyn Fn()) {
        let state = self.state.lock();
        if state.access() == Some(access) && !self.released.load(Ordering::SeqCst) {
            show();
        }
    }

    /// There is a connection with the end at a peer.
    pub(super) fn sees(&self, is_source: bool) {
        self.lag_begins_anew();
        self.change(|state| state.seen(is_source));
        let _ = self.news.send(News::Seen(self.id));
    }

    /// There is none any more.
    pub(super) fn unseen(&self) {
        self.update(State::unseen);
    }

    /// A source that waits for the other end does so for a while, if it went on without it before.
    fn wait_for_peer(self: &Arc<Self>) {
        let mirror = Arc::downgrade(self);
        let waiting = async move {
            tokio::time::sleep(COMING_BACK).await;
            let Some(mirror) = mirror.upgrade() else {
                return;
            };
            let is_alone = mirror.is_alone();
            mirror.change(|state| {
                state.waited(is_alone);
                Vec::new()
            });
        };
        let waiting = self.runtime.spawn(waiting).abort_handle();
        self.tasks.lock().push(waiting);
    }

    fn perform(&self, todo: Vec<Do>) {
        for it in todo {
            match it {
                Do::Wish(_, Wish::HandOver(peer)) if self.is_automatic() => {
                    self.tell_lease(Told::HandOver(peer));
                }
                // Who is the source is decided by who has the place.
                Do::Wish(_, Wish::TakeOver(_)) if self.is_automatic() => {}
                Do::Wish(side, wish) => {
                    tracing::info!(mirror = %self.id, ?side, ?wish, "an end is asked for");
                    self.event(side, Event::Wish(wish));
                    if matches!(wish, Wish::Release(_) | Wish::GiveUp | Wish::Promote) {
                        self.link.is_fine();
                    }
                }
                Do::TakeBack(..) => {
                    let _ = self.news.send(News::TakeBack { mirror: self.id });
                }
            }
        }
    }

    /// There is something for an end here: it is brought at once where nobody holds a lock.
    fn brings(&self, side: MirrorSide) {
        match &self.link {
            Way::Here(link) if is_on_an_engine() => self.bring(link, side),
            Way::Here(link) => link.ring(side),
            Way::Peer(_) => {}
        }
    }

    /// Brings an end what there is for it. If there is no end, nothing comes that is of this connection.
    fn bring(&self, link: &Link, side: MirrorSide) {
        link.bring(side, |incoming| {
            let Some(end) = self.end(side) else {
                return;
            };
            let peer = end.peer();
            end.event(match incoming {
                Incoming::Connected => Event::Connected(peer),
                Incoming::Disconnected => Event::Disconnected(peer),
                Incoming::Received(message) => Event::Received(peer, message),
            });
        });
    }

    pub(super) fn event(&self, side: MirrorSide, event: Event) {
        if let Some(end) = self.end(side) {
            end.event(event);
        }
    }

    /// Whoever waits is told.
    pub(super) fn has_changed(&self) {
        let in_step = self.state.lock().is_in_step();
        let mut behind = self.behind.lock();
        match in_step {
            true => *behind = None,
            false => drop(behind.get_or_insert_with(Instant::now)),
        }
        drop(behind);
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
        let _ = self.news.send(News::Changed(self.id));
    }

    fn heard(self: &Arc<Self>, side: MirrorSide, report: &Report) {
        match report {
            Report::DiskFailed | Report::Misbehaved(..) | Report::Halted => {
                tracing::error!(mirror = %self.id, ?side, ?report, "mirror");
            }
            Report::Lost(_) | Report::Alone | Report::Refused(..) => {
                tracing::warn!(mirror = %self.id, ?side, ?report, "mirror");
            }
            Report::Met(_, verdict) if verdict.needs_operator() => {
                tracing::error!(mirror = %self.id, ?side, ?verdict, "the ends of a mirror don't agree");
            }
            _ => tracing::info!(mirror = %self.id, ?side, ?report, "mirror"),
        }
        if matches!(
            report,
            Report::InStep(_) | Report::Following(_) | Report::CutConfirmed(_)
        ) {
            self.link.is_fine();
        }
        self.change(|state| state.report(side, report));
        self.part_if_asynchronous(side, report);
        if matches!(report, Report::InStep(_) | Report::Met(..)) {
            // A source that was just started says nothing before it has met the other end.
            let _ = self.news.send(News::Seen(self.id));
        }
    }

    /// Whether an end isn't open, or has failed, and its volume can be used.
    pub(crate) fn can_recover(&self) -> bool {
        let state = self.state.lock();
        [MirrorSide::First, MirrorSide::Second]
            .into_iter()
            .zip(&self.volumes)
            .any(|(side, volume)| {
                let store = volume.as_ref().and_then(|it| it.store());
                state.problem(side).is_some() && store.is_some_and(|it| it.is_fenced().is_none())
            })
    }

    /// An end whose disk has failed is opened anew, now that its volume may be used again. Blocks.
    pub(crate) fn reattach(self: &Arc<Self>, ends: &Ends) -> Result<(), String> {
        // Nobody else does the same meanwhile.
        let _attaching = self.attaching.lock();
        let sides = [MirrorSide::First, MirrorSide::Second];
        let mut refused = Ok(());
        for (side, volume) in sides.into_iter().zip(&self.volumes) {
            let failed = self.state.lock().problem(side).is_some();
            if failed
                && let Some(volume) = volume
                && let Err(reason) = self.reattach_end(ends, side, volume)
            {
                refused = Err(reason);
            }
        }
        refused
    }

    fn reattach_end(
        self: &Arc<Self>,
        ends: &Ends,
        side: MirrorSide,
        volume: &ServedVolume,
    ) -> Result<(), String> {
        let name = volume.name();
        let Some(store) = volume.store() else {
            let problem = volume.problem().unwrap_or_default();
            return Err(format!("volume {name} isn't ready: {problem}"));
        };
        if let Some(fence) = store.is_fenced() {
            let what = fence.what;
            return Err(format!(
                "volume {name} is fenced ({what}): check it, then `tidelock volume unfence {name}`"
            ));
        }
        self.close_end(side);
        self.attach(ends, side, &store)
    }

    /// Why a volume can't be used, or its end.
    pub(crate) fn problem(&self, side: MirrorSide) -> Option<String> {
        let (problem, role) = {
            let state = self.state.lock();
            (state.problem(side).map(str::to_owned), state.role(side))
        };
        problem.or_else(|| match (self.volumes.get(at(side))?, role) {
            (None, _) => self.line()?.problem(),
            (Some(_), Some(_)) => None,
            (Some(volume), None) => volume.problem(),
        })
    }

    fn close_end(&self, side: MirrorSide) {
        self.link.leaves(side);
        let end = self.ends.write().get_mut(at(side)).and_then(Option::take);
        if let Some(end) = end {
            end.close();
        }
    }

    /// Ends it: first the source, so that the target has all that was acknowledged. Blocks.
    pub(crate) fn close(&self) {
        // The place stays this end's until its lease is over: it may be back before.
        drop(self.lease.lock().take());
        let source = self.state.lock().record().serving();
        // Between the two the target must not take the source for lost.
        for side in [source, source.opposite()] {
            self.close_end(side);
        }
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }

    /// Deletes the snapshots that only its ends needed, which are closed. Blocks.
    pub(crate) fn remove_hidden(&self, has: impl Fn(&str, Id) -> bool) {
        let sides = [MirrorSide::First, MirrorSide::Second];
        for (side, volume) in sides.into_iter().zip(&self.volumes) {
            if let Some(volume) = volume
                && let Some(store) = volume.store()
            {
                let (Which { me, .. }, _) = self.which(side);
                Images::remove_all(&store, me, |id| has(volume.name(), id));
            }
        }
    }

    /// Lets people have what an operator has dropped, if the resync that drops it isn't over. Blocks.
    pub(crate) fn keep_dropped(
        &self,
        keep: impl Fn(&str, Id) -> Result<(), String>,
    ) -> Result<(), String> {
        let sides = [MirrorSide::First, MirrorSide::Second];
        for (side, volume) in sides.into_iter().zip(&self.volumes) {
            if let Some(volume) = volume
                && let Some(store) = volume.store()
            {
                let (Which { me, .. }, _) = self.which(side);
                for id in Images::dropped(&store, me) {
                    keep(volume.name(), id)?;
                }
            }
        }
        Ok(())
    }

    /// Whoever had to wait for it may write both volumes.
    pub(crate) fn release_volumes(&self) {
        // What an end has still said changes nothing after that.
        let _state = self.state.lock();
        self.released.store(true, Ordering::SeqCst);
        drop(self.lease.lock().take());
        for volume in self.volumes.iter().flatten() {
            volume.unit().set_write_protected(false);
            volume.gate().lift();
        }
    }
}

/// Gives an end what comes to it and wasn't brought at once.
async fn deliver(mirror: Weak<Running>, link: Arc<Link>, side: MirrorSide) {
    loop {
        link.rung(side).await;
        let Some(mirror) = mirror.upgrade() else {
            break;
        };
        mirror.bring(&link, side);
    }
}

/// Listens to the ends.
async fn listen(mirror: Weak<Running>, mut said: UnboundedReceiver<(MirrorSide, Report)>) {
    while let Some((side, report)) = said.recv().await {
        let Some(mirror) = mirror.upgrade() else {
            break;
        };
        mirror.heard(side, &report);
    }
}

/// Who an end is in the protocol of mirrors.
pub(crate) fn which(record: &Mirror, side: MirrorSide) -> Which {
    let node = |side| NodeId(record.end(side).node.as_u128());
    Which {
        mirror: Mirrored(record.id.0.as_u128()),
        me: node(side),
        peer: node(side.opposite()),
    }
}
