//! What a mirror whose hosts don't wait for the target needs of its house: that the ends know it, that cuts are made when
//! they are due, and that both daemons know how far the target is behind.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tidelock_catalog::{MirrorCompression, MirrorSide};
use tidelock_mirror::association::Report;
use tidelock_mirror::epochs::RpoState;
use tidelock_mirror::generation::Role;
use tokio::sync::watch;

use super::Running;
use crate::events::unix_ms;
use crate::mirrors::lag::Told;
use crate::mirrors::state::State;

/// How long ends that have parted for another mode may take to meet again.
const MEETING: Duration = Duration::from_secs(5);

const SIDES: [MirrorSide; 2] = [MirrorSide::First, MirrorSide::Second];

impl Running {
    /// Tells the ends how far behind their peers may be, where that isn't what they were told last.
    pub(super) fn set_rpos(&self) {
        let mut told = self.rpos.lock();
        let wanted = self.state.lock().rpo_ms();
        for (side, told) in SIDES.into_iter().zip(&mut *told) {
            if let Some(end) = self.end(side)
                && std::mem::replace(told, wanted) != wanted
            {
                end.set_rpo(wanted);
            }
        }
    }

    /// The ends copy so many bytes a second at most from now on.
    pub(crate) fn limit_resync(&self, limit: Option<u64>) {
        self.change(|state| {
            state.set_resync_limit(limit);
            Vec::new()
        });
        for end in SIDES.into_iter().filter_map(|side| self.end(side)) {
            end.limit_resync(limit);
        }
    }

    /// What the end here sends to a peer is compressed from now on, or isn't.
    pub(crate) fn set_compression(&self, compression: MirrorCompression) {
        self.change(|state| {
            state.set_compression(compression);
            Vec::new()
        });
        if let Some(line) = self.line() {
            line.compress(compression);
        }
    }

    /// Whoever has handed over to an end here gets every write, until the two meet again: they do so at once if hosts
    /// don't wait for it.
    pub(super) fn part_if_asynchronous(self: &Arc<Self>, side: MirrorSide, report: &Report) {
        let is_it = matches!(report, Report::InStep(_) | Report::Lost(_));
        let rpo_ms = self.look(|state| {
            let record = state.record();
            let serves = side == record.serving() && state.role(side) == Some(Role::Source);
            let rpo_ms = state.rpo_ms().filter(|_| serves);
            rpo_ms.filter(|_| record.remote().is_some())
        });
        if let (true, Some(_), Some(end)) = (is_it, rpo_ms, self.end(side)) {
            if matches!(report, Report::InStep(_)) {
                // Nothing has failed when they part.
                self.change(|state| {
                    state.switches();
                    Vec::new()
                });
            }
            end.set_rpo(rpo_ms);
        }
        if matches!(report, Report::Lost(_)) && self.look(State::is_switching) {
            let mirror = Arc::downgrade(self);
            self.runtime.spawn(async move {
                tokio::time::sleep(MEETING).await;
                if let Some(mirror) = mirror.upgrade()
                    && mirror.look(State::is_switching)
                {
                    mirror.change(|state| {
                        state.waited_for_switch();
                        Vec::new()
                    });
                }
            });
        }
    }

    /// Makes cuts that are due; when to look again, if anything is asynchronous.
    fn look_at_schedule(&self) -> Option<Duration> {
        let looks: Vec<_> = SIDES
            .into_iter()
            .filter_map(|side| self.end(side)?.look_at_schedule())
            .collect();
        for look in &looks {
            match look.rpo {
                Some(RpoState::Missed) => {
                    tracing::warn!(mirror = %self.id, "the target of a mirror is further behind than it should be");
                }
                Some(RpoState::Kept) => {
                    tracing::info!(mirror = %self.id, "the target of a mirror isn't too far behind any more");
                }
                None => continue,
            }
            self.has_changed();
        }
        self.tell_lag();
        looks.iter().map(|look| look.again).min()
    }

    /// Tells the daemon that has the target how far that is behind.
    fn tell_lag(&self) {
        let Some((side, _)) = self.local() else {
            return;
        };
        let is_source = self.look(|state| state.role(side) == Some(Role::Source));
        let behind = self.end(side).and_then(|end| end.behind());
        let Some(behind) = behind.filter(|_| is_source && self.is_connected()) else {
            return;
        };
        let told = Told {
            bytes: behind.lag.bytes,
            ms: behind.lag.ms,
            cut_unix_ms: behind.cut_at.map_or(0, unix_ms),
            rpo_kept: behind.rpo == RpoState::Kept,
        };
        if let Some(message) = self.lag.tells(told) {
            self.link.send(side, message);
        }
    }

    /// The daemon that has the source says how far the target here is behind.
    pub(in crate::mirrors) fn told_lag(&self, told: Told) {
        if self.lag.hears(told) {
            self.has_changed();
        }
    }

    /// How far the target here is behind the source at a peer, and how long ago that was told; `None`: nobody has said so.
    pub(crate) fn heard_lag(&self) -> Option<(Told, Duration)> {
        self.lag.heard()
    }

    /// Whether there is a connection with the end at a peer.
    pub(crate) fn is_connected(&self) -> bool {
        self.line().is_some_and(|line| line.problem().is_none())
    }

    /// There is another connection with the end at a peer.
    pub(super) fn lag_begins_anew(&self) {
        self.lag.begins_anew();
    }
}

/// Makes cuts when they are due.
pub(super) async fn keep_schedule(mirror: Weak<Running>, mut changes: watch::Receiver<u64>) {
    while let Some(again) = mirror.upgrade().map(|mirror| mirror.look_at_schedule()) {
        match again {
            Some(again) => tokio::time::sleep(again).await,
            None if changes.changed().await.is_err() => break,
            None => {}
        }
    }
}
