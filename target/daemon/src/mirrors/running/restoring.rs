//! What a mirror does while its source gets what its target has: hosts are kept away from the source, and what is left of a
//! restore that never ends is taken back. Which step comes when, the state says.

use std::sync::atomic::Ordering;

use tidelock_catalog::VolumeName;
use tidelock_replication::Id;
use tidelock_replication::mirror::Images;

use super::{MirrorSide, News, Running, SharedRole, State, Step, Which, at};

impl Running {
    /// Keeps hosts away from a source that is being restored, from its next command on, and lets them come back afterwards.
    pub(super) fn close_to_hosts(&self, state: &State) {
        let source = state.record().source;
        let is_closed = state.is_closed_to_hosts(source);
        if self.is_closed.swap(is_closed, Ordering::SeqCst) == is_closed {
            return;
        }
        if let Some(Some(volume)) = self.volumes.get(at(source)) {
            match is_closed {
                true => {
                    volume.gate().limit(0);
                    volume.unit().lead_transition(SharedRole::Target.accesses());
                }
                false => volume.gate().lift(),
            }
        }
        // They see it once its states are what they were.
        let _ = self.news.send(News::Access(self.id));
    }

    /// Shows hosts the volume again that they were kept away from, if both are here and it isn't closed to them.
    pub(crate) fn show_source(&self, show: impl Fn(&VolumeName)) {
        let state = self.state.lock();
        let record = state.record();
        if record.remote().is_none() && !state.is_closed_to_hosts(record.source) {
            show(&record.system().volume);
        }
    }

    /// Asks the ends for what comes next. What is left to be done says the answer.
    pub(crate) fn restore_step(&self) -> Step {
        let (step, todo) = self.update(State::restore_step);
        self.set_rpos();
        if !todo.is_empty() {
            self.perform(todo);
            self.has_changed();
        }
        step
    }

    /// Nothing has happened for a while: whoever looks is told if the peer is away.
    pub(crate) fn is_restoring_still(&self) {
        if self.update(State::restore_waited) {
            self.has_changed();
        }
    }

    /// Whether the source has an image. It always has, unless it is being restored and half of that is done, or nobody here
    /// can say.
    pub(super) fn is_source_consistent(&self) -> bool {
        let (source, is_restoring) = {
            let state = self.state.lock();
            (state.record().source, state.is_restoring())
        };
        !is_restoring || self.end(source).is_some_and(|end| end.has_image())
    }

    /// The end that gets what the other one has.
    fn receiver(&self) -> MirrorSide {
        let state = self.state.lock();
        match state.is_restoring() {
            true => state.record().source,
            false => state.record().source.opposite(),
        }
    }

    /// Whether the end that isn't the source goes back to an image when it is promoted, or the source that is restored when
    /// that is given up.
    pub(crate) fn goes_back(&self) -> bool {
        let receiver = self.receiver();
        self.end(receiver).is_some_and(|end| end.facts().goes_back)
    }

    /// Closes the end that goes back to an image, and lets the volume be what it was before it was overwritten. If the mirror
    /// isn't ended then the end is opened anew by who looks after mirrors. Blocks.
    pub(crate) fn take_back(&self, has: impl Fn(&str, Id) -> bool) -> Result<(), String> {
        let receiver = self.receiver();
        let Some(Some(volume)) = self.volumes.get(at(receiver)) else {
            return Ok(());
        };
        let Some(store) = volume.store() else {
            return Ok(());
        };
        self.close_end(receiver);
        self.update(|state| state.closed(receiver, "it was taken back to what it was".into()));
        let (Which { me, .. }, _) = self.which(receiver);
        Images::go_back(&store, me, |id| has(volume.name(), id))
    }
}
