//! What the volume of a mirror here amounts to, for the daemon that has the other one: a checksum of each piece, so that
//! the two can be compared without sending either.

use std::sync::Arc;

use tidelock_catalog::{MirrorId, Peer};
use tidelock_replication::Volume;

use super::asking::Digests;
use super::operations::refuse;
use super::{ChangeError, Mirrors, Registry};

/// What may be asked for at a time: pieces, and bytes.
const PIECES_MAX: u64 = 4_096;
const BYTES_MAX: u64 = 16 << 20;
/// What is read at a time.
const READ: u64 = 1 << 20;

impl Registry {
    /// The checksums of a part of a volume here.
    pub(super) async fn digest(
        &self,
        peer: &Peer,
        mirror: MirrorId,
        offset: u64,
        length: u64,
        piece: u64,
    ) -> Result<Digests, ChangeError> {
        let running = self.mirror_of_peer(peer, mirror)?;
        let (_, served) = running
            .local()
            .ok_or_else(|| refuse("both ends of that mirror are here".into()))?;
        let store = served
            .store()
            .ok_or_else(|| refuse(format!("volume {} isn't ready", served.name())))?;
        let end = offset.checked_add(length);
        let is_possible = end.is_some_and(|end| end <= store.size())
            && length <= BYTES_MAX
            && (512..=READ).contains(&piece)
            && length.div_ceil(piece) <= PIECES_MAX;
        if !is_possible {
            return Err(refuse(format!(
                "no checksums can be had of {length} bytes from {offset} on in pieces of {piece}"
            )));
        }
        let digests = digests(&self.mirrors, &store, offset, length, piece).await;
        Ok(Digests {
            digests: digests.map_err(refuse)?,
        })
    }
}

/// A CRC32C of each piece of a part of a volume.
pub(super) async fn digests(
    mirrors: &Mirrors,
    store: &Arc<Volume>,
    offset: u64,
    length: u64,
    piece: u64,
) -> Result<Vec<u32>, String> {
    let ends = mirrors.ends()?;
    let mut digests = Vec::new();
    let step = READ / piece * piece;
    let mut at = 0;
    while at < length {
        let wanted = step.min(length - at);
        let bytes = ends.read(store, offset + at, wanted).await?;
        let size = usize::try_from(piece).unwrap_or(usize::MAX);
        digests.extend(bytes.chunks(size).map(crc32c::crc32c));
        at += wanted;
    }
    Ok(digests)
}
