//! An end whose peers may take over by themselves: how it stands with them, and that it asks before it goes on without them.

use tidelock_mirror::generation::Standing;
use tidelock_mirror::id::NodeId;

use super::End;
use crate::mirror::facts::PlaceFacts;

impl End {
    /// Whether a source asks before it goes on without its peers, from now on. It doesn't when it is opened.
    pub fn ask_before_alone(&self, asks: bool) {
        self.handle(|core| core.ask_before_alone(asks));
    }

    /// How it stands with its peers, at one moment.
    #[must_use]
    pub fn place(&self) -> PlaceFacts {
        let state = self.state.lock();
        let keeper = state.core.keeper();
        let record = keeper.record();
        let is_in_step = |peer: &NodeId| *keeper.standing(*peer) == Standing::InStep;
        let peers = state.core.known_peers().map(|(peer, _)| peer);
        PlaceFacts {
            role: record.role,
            required: record.holders.iter().copied().collect(),
            in_step: peers.filter(is_in_step).collect(),
            has_image: state.core.has_image(),
        }
    }
}
