//! The response fence of task management in a session with several connections: the answer to a
//! function that ends tasks goes out when the initiator has acknowledged what was said before on the
//! other connections (RFC 7143 §4.2.2.3, §4.2.3.3), so that no response of an ended task arrives
//! after it.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Session;
use super::connection::ConnectionId;
use super::event::TaskManagementResponse;
use crate::serial::SerialNumber;

/// How long an answer waits: a connection that acknowledges nothing for so long must not keep task
/// management on the others from coming to an end.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer that waits.
#[derive(Debug)]
pub(super) struct Fenced {
    on: ConnectionId,
    initiator_task_tag: u32,
    response: TaskManagementResponse,
    /// What has to be acknowledged on which connection.
    waits_for: SmallVec<[(ConnectionId, SerialNumber); 2]>,
    until: Instant,
}

impl Session {
    /// Answers a function, now or when what was said before has arrived.
    pub(super) fn answer_behind_fence(
        &mut self,
        on: ConnectionId,
        initiator_task_tag: u32,
        response: TaskManagementResponse,
    ) {
        let waits_for: SmallVec<[_; 2]> = self
            .connections
            .open()
            .filter(|connection| connection.id != on && !connection.is_acknowledged())
            .map(|connection| (connection.id, connection.stat_sn()))
            .collect();
        if waits_for.is_empty() {
            return self.answer_function(on, initiator_task_tag, response);
        }
        for (other, _) in &waits_for {
            // An answer brings an ExpStatSN.
            self.send_nop_in(*other, true);
        }
        self.fenced.push(Fenced {
            on,
            initiator_task_tag,
            response,
            waits_for,
            until: self.now + PATIENCE,
        });
    }

    /// Sends the answers that have nothing left to wait for.
    pub(super) fn release_fences(&mut self) {
        let mut at = 0;
        while let Some(fenced) = self.fenced.get(at) {
            let waits = fenced.waits_for.iter().any(|(id, stat_sn)| {
                self.connections
                    .open()
                    .any(|it| it.id == *id && it.acknowledged().is_before(*stat_sn))
            });
            if waits && self.now < fenced.until {
                at += 1;
                continue;
            }
            let fenced = self.fenced.remove(at);
            self.answer_function(fenced.on, fenced.initiator_task_tag, fenced.response);
        }
    }

    pub(super) fn fence_timeout(&self) -> Option<Instant> {
        self.fenced.iter().map(|fenced| fenced.until).min()
    }
}
