//! What an end asks of its house.

use tidelock_mirror::association::Report;
use tidelock_mirror::id::{GenerationId, NodeId, OperationId};
use tidelock_mirror::link::Message;
use tidelock_mirror::region::Range;

/// What an end needs from its house. Called without any lock of the end, in the order of its actions, on whatever thread
/// brought the event. Nothing here may wait.
pub trait Shell: Send + Sync + 'static {
    /// Send it to a peer that was said to be connected. It has to arrive there behind that end's own `Connected`, and behind
    /// everything that was sent before: a queue in each direction, which begins with `Connected`, does.
    fn send(&self, peer: NodeId, message: Message);
    /// End the connection; the end needs no `Disconnected`. Connect again after a while. It is said behind what was to be
    /// done before, so there may be another connection by now: bring `Disconnected` for whichever is ended, which does
    /// no harm.
    fn disconnect(&self, peer: NodeId);
    /// Bring [`Event::TimeOut`](tidelock_mirror::association::Event::TimeOut) when the time is over that hosts may
    /// wait for a peer.
    fn start_timer(&self);
    /// Don't.
    fn stop_timer(&self);
    /// What an operator would want to know.
    fn report(&self, report: Report);
    /// Do something with snapshots of the volume. What has a number is answered later by
    /// [`End::done`](super::End::done), in any order.
    fn snapshot(&self, operation: SnapshotOperation);
}

/// What an end wants done with snapshots of its volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotOperation {
    /// Keep the content as it is now, durably, as the safety snapshot. An older one goes.
    TakeSnapshot(OperationId),
    /// The content becomes the safety snapshot, durably. That stays.
    RollBack(OperationId),
    /// The safety snapshot isn't needed any more, if there is one.
    DropSnapshot,
    /// The safety snapshot holds changes that the other end doesn't have: it is kept under a name of its own.
    KeepSnapshot,
    /// Keep the content as it is now, durably, as the cut of this generation, beside any others.
    TakeCut(OperationId, GenerationId),
    /// Read from a cut.
    ReadCut(OperationId, GenerationId, Range),
    /// A cut isn't needed any more. Reads of it that are under way may bring anything. Cuts of an earlier run go
    /// without being asked for.
    DropCut(GenerationId),
}
