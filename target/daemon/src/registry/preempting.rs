//! Ending the tasks of hosts that were preempted: in all sessions, on all reactors. Knows nothing of reservations.

use std::sync::Arc;
use std::time::Duration;

use tidelock_scsi::{NexusId, UnitAttention};
use tokio::sync::oneshot;

use super::ServedVolume;
use crate::connection::management::PATIENCE;
use crate::directory::Directory;

/// How long to wait before looking again whether a step of a copy has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Tasks that were told to end.
#[derive(Debug)]
#[must_use = "whoever preempts waits for the tasks of the others"]
pub(crate) struct Ending {
    nexuses: Vec<NexusId>,
    waiters: Vec<oneshot::Receiver<bool>>,
}

/// Asks the sessions of those nexuses to end their tasks and then to tell of it. The commands of the session that asks
/// are its own business: PREEMPT AND ABORT itself is one of them.
pub(crate) fn ask_to_end(
    nexuses: Vec<NexusId>,
    volume: &ServedVolume,
    directory: &Directory,
    asks: Option<u64>,
) -> Ending {
    let waiters = match nexuses.is_empty() {
        true => Vec::new(),
        false => {
            let chosen = |id| Some(id) != asks && nexuses.contains(&NexusId(id));
            let attention = UnitAttention::RegistrationsPreempted;
            directory.abort_tasks_where(volume.name(), attention, chosen)
        }
    };
    Ending { nexuses, waiters }
}

impl Ending {
    /// Waits until no task of those nexuses has I/O running any more, but not for ever: false then.
    pub(crate) async fn have_ended(self, volume: &Arc<ServedVolume>) -> bool {
        let ended = async {
            let mut all = true;
            for waiter in self.waiters {
                // A session that ended instead of answering has no tasks either.
                all &= waiter.await.unwrap_or(true);
            }
            // Copies that they sent to other logical units read and write this one as well.
            let copies = volume.unit().earlier_third_parties();
            while !self.nexuses.is_empty() && !copies.have_ended() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            all
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap_or(false)
    }
}
