//! What an end does for an asynchronous peer, and with snapshots: the schedule of cuts, and who takes them.

use tidelock_mirror::association::{Action, Event, Mode, Outcome, Wish};
use tidelock_mirror::epochs::Settings;
use tidelock_mirror::id::NodeId;

use super::{End, State};
use crate::mirror::cutting::{Behind, Cuts, Cutting, Look};
use crate::mirror::error::EndError;
use crate::mirror::images::SnapshotOperation;

impl End {
    /// From now on hosts don't wait for this peer, which is sent cuts so that it is never further behind than this; or
    /// they do. To be said after each opening, before the peer is met. There is one asynchronous peer at most.
    ///
    /// # Errors
    /// There are no snapshots to make cuts of.
    pub fn set_asynchronous(&self, peer: NodeId, rpo: Option<Settings>) -> Result<(), EndError> {
        if rpo.is_some() && self.images.is_none() {
            return Err(EndError::Config {
                what: "a volume that can't have snapshots has no asynchronous mirrors",
            });
        }
        let mut state = self.state.lock();
        if state.closed {
            return Ok(());
        }
        let had_one = state.core.keeper().record().lineage.generations().len() > 1;
        match (rpo, &mut state.cutting) {
            (None, cutting) => *cutting = None,
            (Some(settings), Some(cutting)) if cutting.peer == peer => cutting.set(settings),
            (Some(settings), cutting) => *cutting = Some(Cutting::new(peer, settings, had_one)),
        }
        let mode = match rpo {
            Some(_) => Mode::Asynchronous,
            None => Mode::Synchronous,
        };
        state.core.handle(Event::Wish(Wish::SetMode(peer, mode)));
        self.proceed(state);
        Ok(())
    }

    /// Makes a cut if one is due. `None`: there is no asynchronous peer.
    pub fn look_at_schedule(&self) -> Option<Look> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let cutting = state.cutting.as_mut()?;
        let peer = cutting.peer;
        let (is_due, look) = cutting.look();
        if is_due {
            state.core.handle(Event::CutDue(peer));
            self.proceed(state);
        }
        Some(look)
    }

    /// From now on cuts are made only when they are asked for, until whoever wanted that says that they may be made when they are due as
    /// well.
    pub fn stop_cuts(&self, stopped: bool) {
        if let Some(cutting) = &mut self.state.lock().cutting {
            cutting.stop(stopped);
        }
    }

    /// Makes a cut, whether one is due or not. It is taken as soon as no write is on its way to the disk, before any that
    /// comes later; not while another one is being sent.
    pub fn cut_now(&self) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if let Some(peer) = state.cutting.as_ref().map(|it| it.peer) {
            state.core.handle(Event::CutDue(peer));
            self.proceed(state);
        }
    }

    /// Which cuts the asynchronous peer has; `None`: there is no such peer.
    #[must_use]
    pub fn cuts(&self) -> Option<Cuts> {
        Some(self.state.lock().cutting.as_ref()?.cuts())
    }

    /// How far an asynchronous peer is behind.
    pub fn behind(&self, peer: NodeId) -> Option<Behind> {
        self.state.lock().behind(peer)
    }

    pub(super) fn snapshot(&self, operation: SnapshotOperation) {
        match (&self.images, operation.answered()) {
            (Some(images), _) => images.perform(&self.me, operation),
            // A resync that isn't finished, of an end that had snapshots once.
            (None, Some(operation)) => self.done(operation, Outcome::Failed),
            (None, None) => {}
        }
    }
}

impl State {
    pub(super) fn behind(&self, peer: NodeId) -> Option<Behind> {
        let cutting = self.cutting.as_ref().filter(|it| it.peer == peer)?;
        Some(cutting.behind())
    }

    /// What the schedule of cuts has to know.
    pub(super) fn note(&mut self, action: &Action) {
        let Some(cutting) = &mut self.cutting else {
            return;
        };
        match action {
            Action::Write {
                command: Some(_),
                data,
                ..
            } => cutting.written(data.len()),
            Action::TakeCut(_, generation) => cutting.freezes(*generation),
            Action::Report(report) => cutting.hears(report),
            _ => {}
        }
    }
}
