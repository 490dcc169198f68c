//! What an end asks of its house.

use tidelock_mirror::association::Report;
use tidelock_mirror::id::NodeId;
use tidelock_mirror::link::Message;

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
    /// Hosts wait for a peer that is away, and it has to be asked whether it can take over by itself
    /// ([`End::ask_before_alone`](super::End::ask_before_alone)). Answered by
    /// [`Event::MayGoOnAlone`](tidelock_mirror::association::Event::MayGoOnAlone) of this number, if it can't.
    fn ask_to_go_on_alone(&self, number: u64);
    /// What an operator would want to know.
    fn report(&self, report: Report);
    /// Something is about to become durable in the journal, or has. On the thread that writes it, which waits until this
    /// returns: who looks at what a crash would leave does so here.
    fn journaling(&self) {}
}
