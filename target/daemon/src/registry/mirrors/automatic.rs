//! Automatic failover of mirrors between two daemons, as far as the catalog, the other daemon and an operator have to do with
//! it: how it is turned on and off, and how a target becomes the source that has got its place. When that is so is the
//! lease's task's to know (`mirrors/lease.rs`).
//!
//! It is on at the target before it is on at the source, and off at the target before it is off at the source; and a source
//! that is on is the one that the store knows. So a target never takes the place of one that doesn't keep to the rules.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidelock_catalog::{
    Command, Elsewhere, Mirror, MirrorEnd, MirrorFailover, MirrorId, MirrorMode, Peer,
};
use tidelock_mirror::id::{MirrorId as Mirrored, NodeId};
use tidelock_mirror::lease::{Answer, Request, Seen, Standing};
use uuid::Uuid;

use super::asking::{Ask, Done};
use super::operations::{refuse, wait};
use super::roles::check_no_conflict;
use super::{ChangeError, Mirrors, Registry, Running};
use crate::failover::{Etcd, Settings};
use crate::mirrors::lease::Told;
use crate::mirrors::post::Post;
use crate::mirrors::state::{Place, State};

/// Who is to let hosts use the target of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverChange {
    /// The name of a volume in it, or its id.
    pub mirror: String,
    /// Who.
    pub failover: MirrorFailover,
    /// Though the other daemon or the store can't be told.
    pub force: bool,
}

/// What one daemon tells the other one: how long a lease is, or that there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Terms {
    pub(super) lease_ms: Option<u64>,
}

/// It is done; and what had to be left in the store.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Turned {
    pub(super) left: Option<String>,
}

/// The keys of a mirror, as an operator's word changes them.
struct Store {
    etcd: Etcd,
    within: Duration,
}

impl Store {
    async fn look(&mut self) -> Result<Seen, String> {
        match self.etcd.ask(&Request::Look, self.within).await {
            Ok(Answer::Seen(seen)) => Ok(seen),
            Ok(other) => Err(format!(
                "etcd answers {other:?}, which is no answer to that"
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Nobody has the place from now on, and this is the standing, if it is still what was seen.
    async fn settle(&mut self, seen: &Seen, standing: Option<Standing>) -> Result<(), String> {
        let from = seen.revision;
        let settle = Request::Settle { standing, from };
        match self.etcd.ask(&settle, self.within).await {
            Ok(Answer::Done(_)) => Ok(()),
            Ok(_) => Err("somebody else has changed what it has of the mirror just now".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Nobody may take the place of this source, which the store knows from now on.
    async fn claim(&mut self, (me, own): (Uuid, &str)) -> Result<(), String> {
        let seen = self.look().await?;
        if let Some((holder, _)) = seen.holder {
            return Err(format!(
                "the end {holder} has the place of the source there: try again when its lease is over, in some seconds, or at \
                 that end, if hosts use it"
            ));
        }
        let standing = Standing {
            source: node(me),
            eligible: BTreeSet::new(),
        };
        let settled = self.settle(&seen, Some(standing)).await;
        settled.map_err(|error| format!("{own} can't be made known as the source: {error}"))
    }

    /// Nothing is known of the mirror any more.
    async fn forget(&mut self) -> Result<(), String> {
        let seen = self.look().await?;
        if seen.holder.is_none() && seen.standing.is_none() {
            return Ok(());
        }
        self.settle(&seen, None).await
    }
}

const fn node(node: Uuid) -> NodeId {
    NodeId(node.as_u128())
}

impl Mirrors {
    /// Where leases are kept up.
    fn lease_runtime(&self) -> Result<tokio::runtime::Handle, String> {
        let mut post = self.leases.lock();
        if let Some(post) = &*post {
            return Ok(post.handle().clone());
        }
        let begun = Post::new("leases").map_err(|error| error.to_string())?;
        let handle = begun.handle().clone();
        *post = Some(begun);
        Ok(handle)
    }

    /// Lets the ends of a mirror fail over by themselves, if that is wanted.
    pub(super) fn keep_lease(&self, running: &Arc<Running>) {
        if !running.is_automatic() {
            return;
        }
        match self.lease_runtime() {
            Ok(runtime) => running.keep_lease(self.failover.get().cloned(), &runtime),
            // Hosts aren't served from it then.
            Err(error) => tracing::error!(%error, "no thread can be begun for leases"),
        }
    }

    fn settings(&self) -> Result<&Arc<Settings>, ChangeError> {
        self.failover.get().ok_or_else(|| {
            refuse(
                "mirrors fail over by themselves where the configuration has a section [failover] alone, which names an etcd \
                 that both daemons reach: add it at both, and restart them"
                    .into(),
            )
        })
    }

    fn store(&self, mirror: MirrorId) -> Result<Store, ChangeError> {
        let settings = Arc::clone(self.settings()?);
        let within = Duration::from_millis(settings.lease_ms / 2);
        let mirror = Mirrored(mirror.0.as_u128());
        Ok(Store {
            etcd: Etcd::new(settings, mirror),
            within,
        })
    }

    /// What the other daemon is told of a mirror.
    pub(super) fn terms(&self, record: &Mirror) -> Terms {
        let settings = self.failover.get().filter(|_| record.is_automatic());
        Terms {
            lease_ms: settings.map(|it| it.lease_ms),
        }
    }
}

impl Registry {
    /// How the store of leases is reached, if it is; only once, before [`Self::load`].
    pub fn set_failover_store(&self, settings: Option<Settings>) {
        if let Some(settings) = settings
            && self.mirrors.failover.set(Arc::new(settings)).is_err()
        {
            tracing::error!("the store of leases was set already");
        }
    }

    /// Says who lets hosts use the target of a mirror; what had to be left in the store, if anything.
    ///
    /// # Errors
    /// The mirror, the configuration, the other daemon or the store stands against it; then nothing has changed.
    pub async fn set_mirror_failover(
        self: &Arc<Self>,
        change: FailoverChange,
    ) -> Result<Option<String>, ChangeError> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.set_failover_now(change).await });
        task.await
            .unwrap_or_else(|error| Err(ChangeError::Defect(error.to_string())))
    }

    async fn set_failover_now(
        self: &Arc<Self>,
        change: FailoverChange,
    ) -> Result<Option<String>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.mirror_named(&change.mirror)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        let record = running.look(|state| state.record().clone());
        let Some((remote, Elsewhere { peer, .. })) = record.remote() else {
            // The catalog says why.
            let set = Command::SetMirrorFailover {
                mirror: record.id,
                failover: change.failover,
            };
            (*self.catalog()).clone().apply(set)?;
            return Ok(None);
        };
        if running.look(State::is_source_here) {
            return self.turn(&running, change.failover, change.force).await;
        }
        let turn = Ask::TurnFailover {
            mirror: record.id.0,
            automatic: change.failover == MirrorFailover::Automatic,
            force: change.force,
        };
        let turned: Result<Turned, _> = self.mirrors.peers()?.ask(peer, &turn).await;
        let other = record.end(remote);
        match (turned, change.failover) {
            (Ok(Turned { left }), _) => Ok(left),
            (Err(error), MirrorFailover::Manual) if change.force && record.is_automatic() => {
                self.follow_failover(&running, MirrorFailover::Manual)
                    .await?;
                Ok(Some(format!(
                    "{other} doesn't know it ({error}): it keeps to its lease, and this end fails over by itself again when the \
                     two are connected"
                )))
            }
            (Err(error), MirrorFailover::Manual) => Err(refuse(format!(
                "{other} is the source, which does this: {error}. With --force (force=true) this end alone doesn't take over by \
                 itself any more"
            ))),
            (Err(error), MirrorFailover::Automatic) => Err(refuse(format!(
                "{other} is the source, which does this: {error}"
            ))),
        }
    }

    /// The same, where the source is.
    async fn turn(
        self: &Arc<Self>,
        running: &Arc<Running>,
        failover: MirrorFailover,
        force: bool,
    ) -> Result<Option<String>, ChangeError> {
        let _turn = running.turning().lock().await;
        let record = &running.look(|state| state.record().clone());
        match failover {
            MirrorFailover::Automatic => self.turn_on(record, running).await.map(|()| None),
            MirrorFailover::Manual if !record.is_automatic() => Ok(None),
            MirrorFailover::Manual => self.turn_off(record, running, force).await,
        }
    }

    /// A peer's operator says so.
    pub(super) async fn turn_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        automatic: bool,
        force: bool,
    ) -> Result<Turned, ChangeError> {
        let running = self.source_for_peer(peer, id)?;
        let failover = match automatic {
            true => MirrorFailover::Automatic,
            false => MirrorFailover::Manual,
        };
        let left = self.turn(&running, failover, force).await?;
        Ok(Turned { left })
    }

    async fn turn_on(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
    ) -> Result<(), ChangeError> {
        let lease_ms = Some(self.mirrors.settings()?.lease_ms);
        check_no_conflict(record, running)?;
        check_not_restoring(running)?;
        let set = Command::SetMirrorFailover {
            mirror: record.id,
            failover: MirrorFailover::Automatic,
        };
        (*self.catalog()).clone().apply(set)?;
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(());
        };
        let own = record.end(remote.opposite());
        let mut store = self.mirrors.store(record.id)?;
        if !record.is_automatic() {
            let claimed = store.claim((own.node, own.volume.as_str())).await;
            claimed.map_err(refuse)?;
        }
        let follow = Ask::FollowFailover {
            mirror: record.id.0,
            terms: Terms { lease_ms },
        };
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &follow).await;
        if let Err(error) = asked {
            // If it has done so all the same it can't take over what the store doesn't know.
            if !record.is_automatic()
                && let Err(error) = store.forget().await
            {
                tracing::warn!(mirror = %record.id, %error, keys = store.etcd.keys(), "keys of the mirror are left");
            }
            return Err(refuse(format!(
                "{} doesn't fail over by itself: {error}",
                record.end(remote)
            )));
        }
        self.follow_failover(running, MirrorFailover::Automatic)
            .await
    }

    async fn turn_off(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        force: bool,
    ) -> Result<Option<String>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(None);
        };
        let (own, other) = (record.end(remote.opposite()), record.end(remote));
        let follow = Ask::FollowFailover {
            mirror: record.id.0,
            terms: Terms { lease_ms: None },
        };
        let told: Result<Done, _> = match self.mirrors.peers() {
            Ok(peers) => peers
                .ask(&elsewhere.peer, &follow)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let forgotten = match told {
            // What the store has matters to nobody any more.
            Ok(Done {}) => None,
            Err(_) => Some(self.forget_unless_taken(record, other).await),
        };
        match (&told, &forgotten) {
            (Err(untold), Some(Err(left))) if !force => {
                return Err(refuse(format!(
                    "neither {other} ({untold}) nor the store ({left}) can be told: that end may take over by itself when it \
                     reaches the store. Make sure that it doesn't; --force (force=true) turns it off here alone"
                )));
            }
            _ => {}
        }
        self.follow_failover(running, MirrorFailover::Manual)
            .await?;
        let left = match forgotten {
            Some(forgotten) => forgotten,
            None => self.forget_mirror(record.id).await,
        };
        let left = left.err().map(|error| {
            let keys = self.mirrors.store(record.id).map(|it| it.etcd.keys());
            let keys = keys.unwrap_or_else(|_| "its two keys".to_owned());
            format!("left in etcd: {keys} ({error})")
        });
        let untold = told.err().map(|error| {
            format!(
                "{other} doesn't know it yet ({error}); it is told when it is connected with {own}"
            )
        });
        let all: Vec<String> = left.into_iter().chain(untold).collect();
        Ok((!all.is_empty()).then(|| all.join("; ")))
    }

    async fn forget_unless_taken(&self, record: &Mirror, other: &MirrorEnd) -> Result<(), String> {
        let store = self.mirrors.store(record.id);
        let mut store = store.map_err(|error| error.to_string())?;
        let seen = store.look().await?;
        let theirs = node(other.node);
        if seen.holder.is_some_and(|(it, _)| it == theirs) {
            return Err(format!(
                "{other} has the place of the source, and hosts use it"
            ));
        }
        // Without a lease it is the source all the same, and serves hosts as soon as it is back.
        if seen.standing.as_ref().is_some_and(|it| it.source == theirs) {
            return Err(format!("{other} has become the source"));
        }
        store.settle(&seen, None).await
    }

    /// Takes what the store has of a mirror away, of which nobody makes use any more.
    pub(super) async fn forget_mirror(&self, mirror: MirrorId) -> Result<(), String> {
        let store = self.mirrors.store(mirror);
        store.map_err(|error| error.to_string())?.forget().await
    }

    /// Before a mirror with a peer is made that fails over by itself.
    pub(super) async fn claim(
        &self,
        mirror: MirrorId,
        own: (Uuid, &str),
    ) -> Result<(), ChangeError> {
        let mut store = self.mirrors.store(mirror)?;
        store.claim(own).await.map_err(refuse)
    }

    /// A word that the other end knows becomes durable here, and is kept to.
    pub(super) async fn follow_failover(
        self: &Arc<Self>,
        running: &Arc<Running>,
        failover: MirrorFailover,
    ) -> Result<(), ChangeError> {
        let running = Arc::clone(running);
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            if failover == MirrorFailover::Automatic {
                check_not_restoring(&running)?;
            }
            let mirror = running.id();
            let was = running.is_automatic();
            let set = Command::SetMirrorFailover { mirror, failover };
            let (catalog, changes) = this.save(&writer, set).await?;
            this.install(catalog, &changes, None);
            match failover {
                MirrorFailover::Automatic if !was => {
                    running.update(|state| state.set_failover(failover));
                    this.mirrors.keep_lease(&running);
                }
                MirrorFailover::Manual if was => running.drop_lease(),
                _ => {}
            }
            Ok(changes)
        })
        .await
        .map(drop)
    }

    /// The daemon of the source says whether the ends fail over by themselves.
    pub(super) async fn follow_terms(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        terms: Terms,
    ) -> Result<(), ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        let (record, is_source) =
            running.look(|state| (state.record().clone(), state.is_source_here()));
        if terms.lease_ms.is_none() {
            // Also one that isn't served just now: without leases it would be.
            if is_source {
                return Err(refuse("the end there is the source: do it there".into()));
            }
            return self.follow_failover(&running, MirrorFailover::Manual).await;
        }
        if is_source {
            return Err(refuse("the end there is the source as well".into()));
        }
        if record.mode != MirrorMode::Synchronous {
            return Err(refuse("the mirror isn't synchronous there".into()));
        }
        if let Some((remote, _)) = record.remote() {
            self.check_terms(id, terms, record.end(remote).node).await?;
        }
        self.follow_failover(&running, MirrorFailover::Automatic)
            .await
    }

    /// Whether the store that this daemon reaches is the one in which a peer has claimed the place of the source.
    pub(super) async fn check_terms(
        &self,
        mirror: MirrorId,
        terms: Terms,
        source: Uuid,
    ) -> Result<(), ChangeError> {
        let settings = self.mirrors.settings()?;
        let ours = settings.lease_ms;
        if terms.lease_ms != Some(ours) {
            return Err(refuse(format!(
                "its leases have {} s here, and others there: give both the same lease_seconds in [failover]",
                ours / 1_000
            )));
        }
        let mut store = self.mirrors.store(mirror)?;
        let seen = store.look().await.map_err(refuse)?;
        match seen.standing {
            Some(standing) if standing.source == node(source) => Ok(()),
            _ => Err(refuse(
                "the etcd that it reaches doesn't know the mirror: give both daemons the same etcd and the same prefix in \
                 [failover]"
                    .into(),
            )),
        }
    }

    /// The end here has got the place of the source.
    pub(super) async fn promote_by_lease(self: &Arc<Self>, mirror: MirrorId) {
        let Some(running) = self.mirrors.get(mirror) else {
            return;
        };
        let of = Arc::clone(&running);
        let promoted = self
            .detached(async move |this| {
                let writer = this.writer.lock().await;
                let words = of.look(State::words_of_promotion);
                let words = words.ok_or_else(|| {
                    refuse("it isn't a target any more that may be made the source".into())
                })?;
                let changes = this.keep_words(&writer, mirror, words).await?;
                tracing::warn!(%mirror, "the source is gone: the end here becomes it");
                of.change(|state| state.promote(words));
                drop(writer);
                wait(&of).await?;
                Ok(changes)
            })
            .await;
        if let Err(error) = promoted {
            tracing::error!(%mirror, %error, "the end here has the place of the source, and can't become it");
            running.tell_lease(Told::NotPromoted);
        }
    }

    /// Before a mirror is ended here alone: the other end must not take over by itself what isn't its mirror any more.
    pub(super) async fn leave_failover(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        force: bool,
    ) -> Result<(), ChangeError> {
        let has_to = force && running.is_automatic() && running.look(State::is_source_here);
        match has_to {
            true => self.turn_off(record, running, false).await.map(drop),
            false => Ok(()),
        }
    }

    /// A mirror is no more: neither is what the store has of it.
    pub(super) async fn forget_ended(&self, record: &Mirror) {
        if record.is_automatic()
            && let Err(error) = self.forget_mirror(record.id).await
        {
            tracing::warn!(mirror = %record.id, %error, "keys in etcd of a mirror that was detached are left");
        }
    }

    /// Before a target is made the source by force: whether the other end serves hosts, as far as the store knows.
    pub(super) async fn check_not_served(&self, record: &Mirror) -> Result<(), ChangeError> {
        let Some((remote, _)) = record.remote() else {
            return Ok(());
        };
        let Ok(mut store) = self.mirrors.store(record.id) else {
            return Ok(());
        };
        let other = record.end(remote);
        let holder = store.look().await.ok().and_then(|it| it.holder);
        if holder.is_some_and(|(it, _)| it == node(other.node)) {
            return Err(refuse(format!(
                "{other} has the place of the source by its lease, and hosts use it: wait until the two are in step, and fail over \
                 then, which loses nothing; if it is gone, its lease is over in some seconds"
            )));
        }
        Ok(())
    }
}

/// Whether the source here may hand over now: the store has to know first that the other end may have its place.
pub(super) fn check_handing_over(running: &Running) -> Result<(), ChangeError> {
    let problem = running.look(|state| match state.place() {
        None => None,
        Some(Place::Open) => state.trouble().map(str::to_owned),
        Some(Place::Asked) => {
            Some("it isn't known yet whether the end there may serve hosts".into())
        }
        Some(Place::Closed(why)) => Some(why.clone()),
    });
    match problem {
        None => Ok(()),
        Some(problem) => Err(refuse(format!(
            "roles change by the leases in etcd, and now they can't: {problem}. Try again when they can, or leave failover to an \
             operator (`tidelock mirror set-failover VOLUME manual`)"
        ))),
    }
}

/// A target that gives what it has must not take over by itself.
fn check_not_restoring(running: &Running) -> Result<(), ChangeError> {
    match running.look(State::is_restoring) {
        false => Ok(()),
        true => Err(refuse(
            "the source of the mirror is being restored, and it must not fail over by itself meanwhile: try again when that is \
             over"
                .into(),
        )),
    }
}
