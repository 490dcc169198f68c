//! Finding out whether a source has to go on without its peer, when no host writes; and what the scribe tells the house.

use tidelock_mirror::association::Event;
use tidelock_mirror::id::CommandId;

use super::End;

impl End {
    /// Flushes as a host would that doesn't wait for it. Of a source whose peer is away it follows what follows from any
    /// command of a host: it goes on alone after a while, or waits, as its rules are. Nothing is added where a command waits
    /// already, which leads to the same.
    pub fn settle(&self) {
        let mut state = self.state.lock();
        if state.closed || !state.core.is_idle() {
            return;
        }
        // Nobody is told of the end of a command that nobody has brought.
        let command = CommandId(state.next_command);
        state.next_command += 1;
        state.core.handle(Event::Flush { command });
        self.proceed(state);
    }

    /// The scribe is about to make something durable, or has.
    pub(in crate::mirror) fn journaling(&self) {
        self.shell.journaling();
    }
}
