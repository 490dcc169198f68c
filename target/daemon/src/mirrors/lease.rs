//! The task of a mirror whose ends fail over by themselves: it tells the rules ([`Holder`]) how the end here stands, and does
//! what they say. Knows the store by its requests, and nothing of how the source is changed.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tidelock_catalog::{MirrorFailover, MirrorSide};
use tidelock_mirror::association::{Event as EndEvent, Wish};
use tidelock_mirror::generation::Role;
use tidelock_mirror::id::NodeId;
use tidelock_mirror::lease::{
    Action, Answer, Event, Holder, Place, Report, Request, RequestId, Settings as Times, Unanswered,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::News;
use super::end::Which;
use super::gate::{Gate, now_ms};
use super::running::{Running, which};
use super::state::{Place as Shown, State};
use crate::failover::{AskError, Etcd, Settings};

/// The task, for as long as this is there.
#[derive(Debug)]
pub(super) struct Lease {
    told: UnboundedSender<Told>,
    task: AbortHandle,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// Hosts wait for a peer that is away, for the so many-th time.
    WantsAlone(u64),
    /// The source here is to hand over, when the peer may have its place.
    HandOver(NodeId),
    /// The end here isn't the source after all.
    NotPromoted,
    /// An operator has made the end here the source, whatever it lacks.
    Forced,
}

impl Running {
    /// The ends fail over by themselves from now on, or since before the daemon was started.
    pub(crate) fn keep_lease(self: &Arc<Self>, settings: Option<Arc<Settings>>, runtime: &Handle) {
        let Some((side, _)) = self.local() else {
            return;
        };
        if let Some(end) = self.end(side) {
            end.ask_before_alone(true);
        }
        let begun = match settings {
            Some(settings) => {
                let (told, said) = unbounded_channel();
                let which = self.look(|state| which(state.record(), side));
                let task = keep(Arc::downgrade(self), (side, which), settings, said);
                let task = runtime.spawn(task).abort_handle();
                Some(Lease { told, task })
            }
            None => {
                let why = "the configuration has no section [failover] any more: add it, or leave failover to an operator";
                self.update(|state| state.set_place(Shown::Closed(why.to_owned())));
                None
            }
        };
        *self.lease.lock() = begun;
        self.has_changed();
    }

    /// They don't any more: an operator does.
    pub(crate) fn drop_lease(&self) {
        drop(self.lease.lock().take());
        let Some((side, volume)) = self.local() else {
            return;
        };
        // The task may be in the middle of something, and isn't heard any more after this.
        self.update(|state| {
            state.set_failover(MirrorFailover::Manual);
            volume.gate().lift();
        });
        if let Some(end) = self.end(side) {
            end.ask_before_alone(false);
        }
        self.has_changed();
    }

    fn limit_gate(&self, until_ms: u64) {
        let limit = |state: &mut State| {
            let is_kept = state.record().is_automatic() && !self.is_released();
            if let Some((_, volume)) = self.volume_of(state).filter(|_| is_kept) {
                volume.gate().limit(until_ms);
            }
        };
        self.update(limit);
    }

    pub(crate) fn is_automatic(&self) -> bool {
        self.look(|state| state.record().is_automatic())
    }

    pub(crate) fn tell_lease(&self, told: Told) {
        if let Some(lease) = &*self.lease.lock() {
            // It ends with this.
            let _ = lease.told.send(told);
        }
    }

    fn set_place(&self, place: Shown) {
        if self.update(|state| state.set_place(place)) {
            self.has_changed();
        }
    }

    fn set_trouble(&self, trouble: Option<String>) {
        if self.update(|state| state.set_trouble(trouble)) {
            self.has_changed();
        }
    }

    /// How the end here stands, and whether it may be made the source.
    fn standing(&self, side: MirrorSide) -> (Place, bool) {
        let may = self.look(State::may_be_promoted);
        let failed = self.look(|state| state.problem(side).is_some());
        match self.end(side).filter(|_| !failed).map(|end| end.place()) {
            // One that can't be used is no source, and gives its place up.
            None => (Place::target(), false),
            Some(facts) => {
                let place = Place {
                    role: facts.role,
                    required: facts.required.into_iter().collect(),
                    // Who doesn't know of the reservations of hosts isn't to take over by itself.
                    in_step: match self.owes_reservations() {
                        true => BTreeSet::new(),
                        false => facts.in_step.into_iter().collect(),
                    },
                };
                (place, may && facts.has_image)
            }
        }
    }
}

type Asking =
    Pin<Box<dyn Future<Output = (Etcd, RequestId, Result<Answer, AskError>)> + Send + 'static>>;

/// See the module.
struct Keeping {
    side: MirrorSide,
    which: Which,
    within: Duration,
    holder: Holder,
    place: Place,
    may_promote: bool,
    /// Who is handed over to as soon as that may take over.
    handover: Option<NodeId>,
    /// `None`: it is asked.
    etcd: Option<Etcd>,
    asking: Option<Asking>,
    /// Why there was no answer last.
    error: String,
}

async fn keep(
    mirror: Weak<Running>,
    (side, which): (MirrorSide, Which),
    settings: Arc<Settings>,
    mut told: UnboundedReceiver<Told>,
) {
    let Some(mut changes) = mirror.upgrade().map(|it| it.changes()) else {
        return;
    };
    let place = Place::target();
    let times = Times::new(settings.lease_ms);
    let mut keeping = Keeping {
        side,
        which,
        within: Duration::from_millis(settings.lease_ms / 5),
        holder: Holder::new(which.me, place.clone(), times, now_ms()),
        place,
        may_promote: false,
        handover: None,
        etcd: Some(Etcd::new(settings, which.mirror)),
        asking: None,
        error: String::new(),
    };
    let mut event = None;
    loop {
        let Some(running) = mirror.upgrade() else {
            break;
        };
        keeping.step(&running, event.take());
        drop(running);
        let due = keeping.due();
        event = tokio::select! {
            answered = answer(&mut keeping.asking) => Some(keeping.answered(answered)),
            Some(told) = told.recv() => keeping.told(told),
            changed = changes.changed() => match changed {
                Ok(()) => None,
                Err(_) => break,
            },
            () = due => Some(Event::Tick),
        };
    }
}

async fn answer(asking: &mut Option<Asking>) -> (Etcd, RequestId, Result<Answer, AskError>) {
    let answered = match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    };
    *asking = None;
    answered
}

impl Keeping {
    /// Until there is something to do without anything having happened.
    fn due(&self) -> impl Future<Output = ()> + use<> {
        let wake_at = self.holder.wake_at();
        async move {
            match wake_at {
                Some(at) => {
                    let ms = at.saturating_sub(now_ms());
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                None => std::future::pending().await,
            }
        }
    }

    fn answered(
        &mut self,
        (etcd, id, answer): (Etcd, RequestId, Result<Answer, AskError>),
    ) -> Event {
        self.etcd = Some(etcd);
        let answer = answer.map_err(|error| {
            self.error = error.to_string();
            Unanswered
        });
        Event::Answered(id, answer)
    }

    fn told(&mut self, told: Told) -> Option<Event> {
        Some(match told {
            Told::WantsAlone(number) => Event::WantsAlone(number),
            Told::NotPromoted => Event::NotPromoted,
            Told::Forced => Event::Forced,
            Told::HandOver(peer) => {
                self.handover = Some(peer);
                return None;
            }
        })
    }

    /// How the end stands is told before anything else is: who asks to go on alone isn't in step with anybody, or isn't
    /// answered.
    fn step(&mut self, mirror: &Running, event: Option<Event>) {
        let (place, may_promote) = mirror.standing(self.side);
        if place != self.place {
            if place.role != self.place.role && self.holder.open_until().is_none() {
                mirror.set_place(Shown::Asked);
            }
            self.place = place.clone();
            self.handle(mirror, Event::Place(place));
        }
        if may_promote != self.may_promote {
            self.may_promote = may_promote;
            self.handle(mirror, Event::MayPromote(may_promote));
        }
        if let Some(event) = event {
            self.handle(mirror, event);
        }
        self.hand_over(mirror);
        self.come_back(mirror);
    }

    fn handle(&mut self, mirror: &Running, event: Event) {
        for action in self.holder.handle(event, now_ms()) {
            self.perform(mirror, action);
        }
    }

    fn perform(&mut self, mirror: &Running, action: Action) {
        match action {
            Action::Ask(id, request) => self.ask(id, request),
            Action::Open { until_ms } => {
                mirror.limit_gate(until_ms);
                mirror.set_place(Shown::Open);
            }
            Action::Close => {
                mirror.set_place(match self.place.role {
                    Role::Source => Shown::Closed("its lease is over".to_owned()),
                    Role::Target => Shown::Asked,
                });
                // Hosts have been sent away, so that it isn't a question of time.
                if let Some(gate) = gate(mirror) {
                    gate.lift();
                }
            }
            Action::GoOnAlone(number) => {
                mirror.event(self.side, EndEvent::MayGoOnAlone(number));
            }
            Action::Promote => {
                // The one that listens ends with the daemon.
                let _ = mirror.news.send(News::Promote(mirror.id()));
            }
            Action::Report(report) => self.report(mirror, report),
        }
    }

    fn ask(&mut self, id: RequestId, request: Request) {
        // One request is under way at a time.
        let Some(mut etcd) = self.etcd.take() else {
            return;
        };
        let within = self.within;
        self.asking = Some(Box::pin(async move {
            let answer = etcd.ask(&request, within).await;
            (etcd, id, answer)
        }));
    }

    fn report(&self, mirror: &Running, report: Report) {
        let id = mirror.id();
        match report {
            Report::Holding => {
                tracing::info!(mirror = %id, "the end here has the place of the source");
            }
            Report::Lost => {
                let why = format!("its lease wasn't kept up in time: {}", self.error);
                tracing::error!(mirror = %id, %why, "hosts aren't served any more");
                mirror.set_place(Shown::Closed(why));
            }
            Report::HeldBy(node) => {
                let why = format!("{} has the place of the source", self.name(mirror, node));
                tracing::warn!(mirror = %id, %why, "hosts aren't served");
                mirror.set_place(Shown::Closed(why));
            }
            Report::NotEligible(node) => {
                let why = format!(
                    "{} has been the source since, and has what isn't here",
                    self.name(mirror, node)
                );
                tracing::warn!(mirror = %id, %why, "hosts aren't served");
                mirror.set_place(Shown::Closed(why));
            }
            Report::Unanswered => {
                tracing::warn!(mirror = %id, error = %self.error, "the store of leases doesn't answer");
                mirror.set_trouble(Some(self.error.clone()));
                if self.holder.open_until().is_none() {
                    mirror.set_place(Shown::Closed(self.error.clone()));
                }
            }
            Report::Answering => {
                tracing::info!(mirror = %id, "the store of leases answers again");
                mirror.set_trouble(None);
            }
        }
    }

    fn name(&self, mirror: &Running, node: NodeId) -> String {
        let side = match node == self.which.peer {
            true => self.side.opposite(),
            false => self.side,
        };
        match node == self.which.peer || node == self.which.me {
            true => mirror.look(|state| state.record().end(side).to_string()),
            false => format!("an end {node} that isn't of this mirror"),
        }
    }

    /// Hands over as soon as the peer may have the place: otherwise nobody might be allowed to serve afterwards.
    fn hand_over(&mut self, mirror: &Running) {
        let Some(peer) = self.handover else {
            return;
        };
        let is_wanted = mirror.look(State::is_to_hand_over);
        let may = self.holder.is_eligible(peer);
        if !is_wanted || may {
            self.handover = None;
        }
        if is_wanted && may {
            mirror.event(self.side, EndEvent::Wish(Wish::HandOver(peer)));
        }
    }

    /// A command came after the time, though the lease goes on: whoever was late was this task.
    fn come_back(&self, mirror: &Running) {
        let Some(gate) = gate(mirror) else { return };
        let is_open = self.holder.open_until().is_some_and(|it| now_ms() < it);
        // What came late is forgotten only by who lets hosts come back.
        if is_open && gate.was_late() {
            mirror.set_place(Shown::Closed("its lease was kept up late".to_owned()));
            mirror.set_place(Shown::Open);
        }
    }
}

fn gate(mirror: &Running) -> Option<&Gate> {
    let (_, volume) = mirror.local()?;
    Some(volume.gate())
}
