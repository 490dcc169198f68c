//! Ending a ring: closing its descriptor doesn't stop operations that have begun, so their memory
//! must outlive them.

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use io_uring::{opcode, types};

use super::{BlockIo, CANCEL, UringIo};

/// How long operations under way may take to finish.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 4000 });
/// How long they have after they were cancelled.
const AFTER_CANCEL: Duration = Duration::from_secs(1);

impl UringIo {
    /// Waits for all operations; whether all have ended.
    fn drain(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            self.submit();
            while self.next_completion().is_some() {}
            if self.slots.is_empty() {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let left = types::Timespec::from(left);
            // Times out or is interrupted: the loop looks again.
            let wait = types::SubmitArgs::new().timespec(&left);
            let _ = self.ring.submitter().submit_with_args(1, &wait);
        }
    }

    fn cancel_all(&mut self) {
        let entry = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
        self.queue_entry(&entry.user_data(CANCEL));
    }
}

impl Drop for UringIo {
    fn drop(&mut self) {
        let drained = self.drain(PATIENCE) || {
            self.cancel_all();
            self.drain(AFTER_CANCEL)
        };
        if !drained {
            // The kernel still reads and writes their memory: leak it, and the ring with it.
            tracing::error!(
                operations = self.slots.len(),
                "file operations are stuck: the engine ends without them"
            );
            return;
        }
        // SAFETY: dropped here and nowhere else, and not used afterwards; the kernel has let go of
        // every slot.
        unsafe {
            ManuallyDrop::drop(&mut self.ring);
            ManuallyDrop::drop(&mut self.slots);
        }
    }
}
