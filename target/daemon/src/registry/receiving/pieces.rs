//! The stream itself: piece after piece into the head that nobody sees. Blocks.

use bytes::Bytes;
use tidelock_replication::stream::{Decoder, Event};
use tokio::sync::mpsc;

use super::{Coming, ReceiveError};
use crate::registry::changes::ChangeError;

/// Bytes after which what has come is made durable and noted down: so much at most comes twice.
const NOTE_BYTES: u64 = 16 << 20;

/// Takes in what is left of a stream of which the decoder has handed out the beginning. What has come is kept
/// whatever ends it.
pub(super) fn take_in(
    mut coming: Coming,
    mut decoder: Decoder,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<Coming, ChangeError> {
    let taken = coming.take_all(&mut decoder, &mut pieces);
    let noted = coming.note(decoder.resume(), taken.is_ok());
    taken?;
    noted?;
    Ok(coming)
}

impl Coming {
    fn take_all(
        &mut self,
        decoder: &mut Decoder,
        pieces: &mut mpsc::Receiver<Bytes>,
    ) -> Result<(), ChangeError> {
        let staging = *self.record.staging.as_bytes();
        let mut unnoted = 0;
        loop {
            while let Some(event) = decoder.next().map_err(ReceiveError::from)? {
                self.open.engine.import(staging, &event)?;
                if let Event::Data { data, .. } = &event {
                    unnoted += data.len() as u64;
                }
            }
            if unnoted > NOTE_BYTES {
                self.note(decoder.resume(), false)?;
                unnoted = 0;
            }
            match pieces.blocking_recv() {
                Some(piece) => decoder.feed(&piece),
                // Something behind the end would have been an error.
                None if decoder.is_complete() => return Ok(()),
                None => {
                    let position = decoder.resume().max(self.record.position);
                    return Err(ReceiveError::CutShort { position }.into());
                }
            }
        }
    }

    /// Makes durable what has come, then that it has come.
    fn note(&mut self, position: u64, complete: bool) -> Result<(), ChangeError> {
        self.open.engine.settle_all()?;
        let record = &mut self.record;
        record.complete |= complete;
        record.position = match record.complete {
            true => record.size_bytes,
            // One that was begun anew brings the same once more.
            false => record.position.max(position),
        };
        Ok(self.turn.keep(record)?)
    }
}
