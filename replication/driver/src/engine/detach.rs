//! Giving up on an operation that takes too long, or whose session is gone.

use super::Engine;
use super::command::{Asker, Stage};
use super::run::key_of;
use crate::op::VolumeFaultKind;

impl Engine {
    /// The owner gives an operation up: its outcome will not be polled. If it hasn't begun it never
    /// will. If it is a write that has begun, it can't be called back; until it has landed, every
    /// new operation on its volume, from any engine, is answered Busy, so that an old write never
    /// lands on top of a newer one. Unknown tokens are ignored.
    pub fn detach(&mut self, token: u64) {
        self.done.retain(|(done, _)| *done != token);
        // Linear, and rare: nothing on the hot path has to keep an index for it.
        let found = self
            .commands
            .iter()
            .find(|(_, command)| command.asker == Some(Asker::Owner(token)));
        let Some(key) = found.map(|(key, _)| key) else {
            return;
        };
        if self.detach_mirrored(key) {
            return;
        }
        let waits_for_room = self.is_waiting_for_room(key);
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        // What waits for room has nothing under way, and has taken nothing.
        let stage = if waits_for_room {
            Stage::New
        } else {
            command.stage
        };
        match stage {
            Stage::New => {
                self.for_memory.retain(|waiting| *waiting != key);
                self.for_scratch.retain(|waiting| *waiting != key);
                self.for_room.retain(|waiting| *waiting != key);
                self.to_go_on.retain(|waiting| *waiting != key);
                self.for_place
                    .retain(|request| key_of(request.tag) != Some(key));
                if let Some(command) = self.commands.get_mut(key) {
                    command.asker = None;
                    if let Some(carrier) = &mut command.carrier {
                        carrier.drop_requests();
                    }
                }
                self.finish(key, VolumeFaultKind::Busy.into());
            }
            Stage::Issued => {
                command.asker = None;
                if command.changes() {
                    command.holds_off = true;
                    command.volume.write_detached();
                }
            }
            // Its data has landed; only the flush is awaited.
            Stage::Syncing => command.asker = None,
        }
    }
}
