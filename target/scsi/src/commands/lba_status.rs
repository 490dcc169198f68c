//! GET LBA STATUS (16) (SBC-4): which blocks are mapped.
//!
//! Descriptors are in blocks, the store's answer is in bytes: whatever is mapped in part is mapped,
//! and what the store doesn't know is reported as 0h, which stands for both.

use std::iter;

use crate::commands::{Effect, Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Extent, LbaExtent, Operation, Plan};
use crate::reply::Reply;
use crate::unit::LogicalUnit;

const ALLOCATION_LENGTH: usize = 10;
/// PARAMETER DATA LENGTH and four bytes that are zero: no report type was processed (RTP), and the
/// completion condition isn't indicated.
const HEADER: u32 = 8;
const DESCRIPTOR: u32 = 16;
/// Most descriptors of one answer: an initiator asks again behind the last one.
const MAX_DESCRIPTORS: u32 = 256;

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let extent = unit.extent_to_end(request.cdb.u64(2))?;
    let allocation_length = request.cdb.u32(ALLOCATION_LENGTH);
    if allocation_length == 0 {
        return Plan::reply(Reply::good());
    }
    if !unit.config().thin {
        // A fully provisioned unit has nothing but mapped blocks.
        return Plan::reply(report(unit, extent, allocation_length, &[]));
    }
    let most = most(allocation_length);
    let finish = Finish {
        extent,
        transfer_length: 0,
        effect: Effect::ReportsLbaStatus { allocation_length },
    };
    Ok(Plan::execute(Operation::LbaStatus { extent, most }, finish))
}

/// The parameter data, once the store has said what is mapped.
pub(crate) fn report(
    unit: &LogicalUnit,
    extent: Extent,
    allocation_length: u32,
    pieces: &[LbaExtent],
) -> Reply {
    let shift = unit.config().block_size.shift();
    let most = usize::try_from(most(allocation_length)).unwrap_or(usize::MAX);
    let runs = runs(extent, shift, pieces);
    let descriptors: Vec<_> = descriptors(extent.offset >> shift, &runs)
        .take(most)
        .flatten()
        .collect();
    let length = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
    let length = length.saturating_add(HEADER - 4);

    let mut data = length.to_be_bytes().to_vec();
    data.extend([0; 4]);
    data.extend(descriptors);
    Reply::parameter_data(data, allocation_length)
}

/// How many whole descriptors fit, at least one: there is always one to be had.
fn most(allocation_length: u32) -> u32 {
    (allocation_length.saturating_sub(HEADER) / DESCRIPTOR).clamp(1, MAX_DESCRIPTORS)
}

/// Blocks in a row that have the same status.
#[derive(Clone, Copy, Debug)]
struct Run {
    blocks: u64,
    mapped: bool,
}

/// Makes whole blocks of `pieces`, which start where `extent` does, and one of neighbours that are
/// alike. There is always a first run: without an answer, nothing is known of the whole extent.
fn runs(extent: Extent, shift: u32, pieces: &[LbaExtent]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::with_capacity(pieces.len());
    let mut byte = 0_u64;
    let mut block = 0_u64;
    for piece in pieces.iter().filter(|piece| piece.length > 0) {
        byte = byte.saturating_add(piece.length).min(extent.length);
        // A block in which the status changes belongs to the mapped side of it.
        let end = if piece.mapped {
            byte.div_ceil(1 << shift)
        } else {
            byte >> shift
        };
        let blocks = end.saturating_sub(block);
        if blocks == 0 {
            continue;
        }
        block = end;
        match runs.last_mut() {
            Some(last) if last.mapped == piece.mapped => last.blocks += blocks,
            _ => runs.push(Run {
                blocks,
                mapped: piece.mapped,
            }),
        }
    }
    if runs.is_empty() {
        runs.push(Run {
            blocks: extent.length >> shift,
            mapped: true,
        });
    }
    runs
}

/// LBA status descriptors of consecutive `runs` from `lba` on; a run that NUMBER OF LOGICAL BLOCKS
/// can't hold takes several.
fn descriptors(lba: u64, runs: &[Run]) -> impl Iterator<Item = [u8; 16]> {
    let pieces = runs.iter().flat_map(|run| {
        let mut rest = run.blocks;
        iter::from_fn(move || {
            let blocks = u32::try_from(rest).unwrap_or(u32::MAX);
            rest -= u64::from(blocks);
            (blocks > 0).then_some((blocks, run.mapped))
        })
    });
    pieces.scan(lba, |next, (blocks, mapped)| {
        let lba = *next;
        *next += u64::from(blocks);
        Some(descriptor(lba, blocks, mapped))
    })
}

/// One LBA status descriptor.
fn descriptor(lba: u64, blocks: u32, mapped: bool) -> [u8; 16] {
    /// Mapped, or unknown.
    const MAPPED: u8 = 0x0;
    const DEALLOCATED: u8 = 0x1;
    let status = if mapped { MAPPED } else { DEALLOCATED };
    let fields = u128::from(lba) << 64 | u128::from(blocks) << 32 | u128::from(status) << 24;
    fields.to_be_bytes()
}
