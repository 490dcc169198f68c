//! What must hold for any copy operation whatsoever: it reaches nothing outside its logical units,
//! leaves no gap, and takes a bounded number of steps.

use crate::copy::{
    Chunk, CopyEnd, CopyFailure, CopyJob, CopySide, MAX_RANGES, MAX_ROD_BYTES, MAX_SEGMENT_LENGTH,
    MAX_SEGMENTS, RodToken, RodTokenProblem, Transfer,
};
use crate::nexus::LuNexus;
use crate::opcodes::Class;
use crate::plan::{Extent, Operation, Outcome};
use crate::unit::LogicalUnit;

/// Carries out a copy on `unit` alone, without moving data; `choice` says what goes wrong and how
/// large the steps are.
pub(super) fn outcome(unit: &LogicalUnit, nexus: &LuNexus, job: &CopyJob, choice: u8) -> Outcome {
    if choice.is_multiple_of(16) {
        return Outcome::NotReady;
    }
    match (0..job.segments()).try_for_each(|segment| process(unit, nexus, job, segment, choice)) {
        Ok(()) => Outcome::Done,
        Err(failure) => Outcome::CopyFailed(Box::new(failure)),
    }
}

fn process(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    job: &CopyJob,
    segment: u16,
    choice: u8,
) -> Result<(), CopyFailure> {
    job.begin_segment(segment);
    if job.is_aborted() {
        return Err(CopyFailure::aborted(segment));
    }
    for (side, class) in [
        (CopySide::Source, Class::MediumRead),
        (CopySide::Destination, Class::MediumWrite),
    ] {
        let here = match job.end(segment, side)? {
            CopyEnd::OwnUnit => true,
            CopyEnd::Named(designation) => unit.is_named(designation),
        };
        if !here {
            return Err(job.unreachable(segment, side));
        }
        unit.check_third_party(nexus.info(), class)
            .map_err(|refusal| job.refused(segment, side, refusal))?;
        if choice % 16 == 1 {
            let refusal = unit.third_party_refusal(class, Extent::default(), Outcome::Busy);
            return Err(job.refused(segment, side, refusal).with_residual(7));
        }
    }
    let end = unit.copy_endpoint();
    if let Some(transfer) = job.transfer(segment, end, end)? {
        check_transfer(unit, &transfer, u64::from(choice | 1) << 12);
        job.written(transfer.length());
    }
    job.count_operation();
    Ok(())
}

/// The steps lie inside the unit and cover the transfer, in either direction.
fn check_transfer(unit: &LogicalUnit, transfer: &Transfer, most: u64) {
    let capacity = unit.blocks() << unit.config().block_size.shift();
    let block = u64::from(unit.config().block_size.bytes());
    let length = transfer.length();
    assert!(length > 0 && length <= u64::from(MAX_SEGMENT_LENGTH) && length.is_multiple_of(block));
    for backwards in [false, true] {
        let mut done = 0;
        while let Some(Chunk {
            read,
            skip,
            take,
            write,
        }) = transfer.chunk(done, most, backwards)
        {
            assert!(write.length > 0 && write.length <= most);
            assert!(read.length <= most + block && skip + take <= read.length);
            assert!(take <= write.length && take > 0);
            for extent in [read, write] {
                assert!(extent.end() <= capacity, "outside: {extent:?}");
                assert!(extent.offset.is_multiple_of(block) && extent.length.is_multiple_of(block));
            }
            done += write.length;
        }
        assert_eq!(done, length);
        assert_eq!(transfer.residual(done, unit.config().block_size), 0);
    }
}

/// The operations of the copy manager are bounded, and whole blocks where they name blocks.
pub(super) fn check(operation: &Operation, check_extent: impl Fn(&Extent)) {
    let ranges = match operation {
        Operation::Copy { job } => return assert!(job.segments() <= MAX_SEGMENTS),
        Operation::PopulateToken { wish } => &wish.ranges,
        Operation::WriteUsingToken { job } => &job.ranges,
        _ => return,
    };
    assert!(ranges.len() <= usize::from(MAX_RANGES));
    ranges.iter().for_each(check_extent);
    assert!(ranges.iter().map(|range| range.length).sum::<u64>() <= MAX_ROD_BYTES);
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| range.offset);
    let apart = |pair: &[Extent]| matches!(pair, [a, b] if a.end() <= b.offset);
    assert!(sorted.windows(2).all(apart), "{ranges:?}");
}

/// How making or using a token goes, as `choice` says.
pub(super) fn token_outcome(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    operation: &Operation,
    choice: u8,
) -> Outcome {
    let failed = |failure| Outcome::CopyFailed(Box::new(failure));
    match (operation, choice % 8) {
        (_, 0) => Outcome::NotReady,
        (Operation::PopulateToken { .. }, 1) => failed(CopyFailure::no_token()),
        (Operation::PopulateToken { .. }, _) => Outcome::TokenMade(RodToken::new(
            unit.config(),
            &nexus.info().target_port,
            choice.into(),
            512,
            &[choice; _],
        )),
        (_, 1) => failed(CopyFailure::token(RodTokenProblem::Cancelled)),
        (_, 2) => failed(CopyFailure::offset_into_rod()),
        (_, 3) => failed(CopyFailure::underrun(choice.into())),
        (_, 4) => {
            let refusal =
                unit.third_party_refusal(Class::MediumRead, Extent::default(), Outcome::Busy);
            failed(CopyFailure::refused(CopySide::Source, refusal))
        }
        (Operation::WriteUsingToken { job }, _) => {
            job.written(job.ranges.iter().map(|range| range.length).sum());
            Outcome::Done
        }
        _ => Outcome::Done,
    }
}
