//! The bytes of a journal. Knows no files. Little-endian; checksums are CRC32C.

use bytes::{Buf, Bytes};
use tidelock_mirror::association::{Durable, JournalEntry};
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::stored::{decode_durable, decode_entry, encode_durable, encode_entry};

/// What is written at once, and aligned to it.
pub(super) const PAGE: u64 = 4096;
const PAGE_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"TDLMJRNL";
const VERSION: u32 = 1;
/// Bytes of the header that have a meaning, with their checksum.
const HEADER_BYTES: usize = 92;
const BATCH_MAGIC: [u8; 4] = *b"TDLB";
/// Bytes before those of a batch.
const BATCH_HEADER_BYTES: usize = 24;

/// What a journal is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mirror) struct Identity {
    pub(in crate::mirror) mirror: MirrorId,
    pub(in crate::mirror) me: NodeId,
    /// Bytes of the volume, and of a region.
    pub(in crate::mirror) volume_bytes: u64,
    pub(in crate::mirror) region_bytes: u64,
}

/// A new journal.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) nonce: u128,
    /// The headers of the halves.
    pub(super) first: Vec<u8>,
    pub(super) second: Vec<u8>,
    /// The first batch.
    pub(super) state: Vec<u8>,
    /// Where it ends in each half.
    pub(super) end: u64,
    /// Bytes of a half.
    pub(super) half: u64,
}

/// A journal with this state and room for changes; `None`: there are no random numbers.
pub(super) fn image(identity: Identity, durable: &Durable, room: u64) -> Option<Image> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).ok()?;
    let nonce = u128::from_le_bytes(nonce);
    let state = batch(nonce, 0, &encode_durable(durable));
    let end = PAGE + state.len() as u64;
    let half = end + room.next_multiple_of(PAGE);
    Some(Image {
        nonce,
        first: header(identity, nonce, half, 0),
        second: header(identity, nonce, half, 1),
        state,
        end,
        half,
    })
}

fn header(identity: Identity, nonce: u128, half: u64, number: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PAGE_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(identity.mirror.0.to_le_bytes());
    bytes.extend(identity.me.0.to_le_bytes());
    bytes.extend(identity.volume_bytes.to_le_bytes());
    bytes.extend(identity.region_bytes.to_le_bytes());
    bytes.extend(half.to_le_bytes());
    bytes.extend(nonce.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.resize(PAGE_BYTES, 0);
    bytes
}

/// Some bytes as a batch: whole pages.
pub(super) fn batch(nonce: u128, number: u64, content: &[u8]) -> Vec<u8> {
    let whole = (BATCH_HEADER_BYTES + content.len()).next_multiple_of(PAGE_BYTES);
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend(BATCH_MAGIC);
    bytes.extend(number.to_le_bytes());
    bytes.extend((content.len() as u64).to_le_bytes());
    bytes.extend(checksum(nonce, &bytes, content).to_le_bytes());
    bytes.extend(content);
    bytes.resize(whole, 0);
    bytes
}

/// Of another journal's batch it is another one.
fn checksum(nonce: u128, header: &[u8], content: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&nonce.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, header), content)
}

/// Changes, one after the other.
pub(super) fn changes(entries: &[JournalEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = encode_entry(entry);
        bytes.extend((entry.len() as u64).to_le_bytes());
        bytes.extend(entry);
    }
    bytes
}

/// What a journal has.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) identity: Identity,
    pub(super) durable: Durable,
    /// One of the copies lacks more than what may have been under way.
    pub(super) copies_differ: bool,
}

/// What is durable by the bytes of a journal, or what is wrong with them.
pub(super) fn recover(bytes: &[u8]) -> Result<Found, String> {
    let bytes = Bytes::copy_from_slice(bytes);
    let half = bytes.len() / 2;
    let (first, second) = (bytes.slice(..half), bytes.slice(half..));
    let (identity, nonce) = read_header(&first, bytes.len(), 0)?;
    if read_header(&second, bytes.len(), 1)? != (identity, nonce) {
        return Err("the two halves of the mirror's journal aren't of one journal".to_owned());
    }
    let (ours, theirs) = (batches(nonce, &first), batches(nonce, &second));
    let copies_differ = ours.len().abs_diff(theirs.len()) > 1;
    let longer = if ours.len() < theirs.len() {
        theirs
    } else {
        ours
    };
    let mut longer = longer.into_iter();
    let state = longer
        .next()
        .ok_or("both copies of the state in the mirror's journal are damaged")?;
    let mut durable = decode_durable(state).map_err(|it| it.to_string())?;
    for mut changes in longer {
        while !changes.is_empty() {
            durable.apply(&next_change(&mut changes)?);
        }
    }
    Ok(Found {
        identity,
        durable,
        copies_differ,
    })
}

fn next_change(changes: &mut Bytes) -> Result<JournalEntry, String> {
    let short = || "a change in the mirror's journal is cut off".to_owned();
    let length = changes.try_get_u64_le().map_err(|_| short())?;
    let length = usize::try_from(length).ok();
    let length = length.filter(|it| *it <= changes.len()).ok_or_else(short)?;
    decode_entry(changes.split_to(length)).map_err(|it| it.to_string())
}

fn read_header(half: &Bytes, file_bytes: usize, number: u32) -> Result<(Identity, u128), String> {
    let wrong = |what: &str| Err(format!("this isn't the whole journal of a mirror: {what}"));
    let Some(header) = half.get(..HEADER_BYTES) else {
        return wrong("it is too short");
    };
    let (mut fields, mut crc) = header.split_at(HEADER_BYTES - 4);
    if crc32c::crc32c(fields) != crc.get_u32_le() {
        return wrong("its header is damaged");
    }
    let magic = fields.copy_to_bytes(MAGIC.len());
    if *magic != MAGIC {
        return wrong("it is something else");
    }
    let version = fields.get_u32_le();
    if version != VERSION {
        return wrong(&format!(
            "it has version {version}, and version {VERSION} is known"
        ));
    }
    if fields.get_u32_le() != number {
        return wrong("a half of it is in the wrong place");
    }
    let identity = Identity {
        mirror: MirrorId(fields.get_u128_le()),
        me: NodeId(fields.get_u128_le()),
        volume_bytes: fields.get_u64_le(),
        region_bytes: fields.get_u64_le(),
    };
    let half_bytes = fields.get_u64_le();
    let nonce = fields.get_u128_le();
    if half_bytes.checked_mul(2) != Some(file_bytes as u64) {
        return wrong("it doesn't have the length that it was given");
    }
    Ok((identity, nonce))
}

/// The batches of a half, up to the first one that isn't whole.
fn batches(nonce: u128, half: &Bytes) -> Vec<Bytes> {
    let mut batches = Vec::new();
    let mut at = PAGE_BYTES;
    while let Some(batch) = half.get(at..)
        && let Some(content) = content(nonce, batches.len() as u64, batch)
    {
        let from = at + BATCH_HEADER_BYTES;
        batches.push(half.slice(from..from + content));
        at += (BATCH_HEADER_BYTES + content).next_multiple_of(PAGE_BYTES);
    }
    batches
}

/// How many bytes a batch has, if it is whole.
fn content(nonce: u128, number: u64, batch: &[u8]) -> Option<usize> {
    let (mut header, rest) = batch.split_at_checked(BATCH_HEADER_BYTES)?;
    let covered = header.get(..BATCH_HEADER_BYTES - 4)?;
    let magic = header.copy_to_bytes(BATCH_MAGIC.len());
    let is_next = header.get_u64_le() == number;
    let length = usize::try_from(header.get_u64_le()).ok()?;
    let content = rest.get(..length)?;
    let is_whole = header.get_u32_le() == checksum(nonce, covered, content);
    (*magic == BATCH_MAGIC && is_next && is_whole).then_some(length)
}
