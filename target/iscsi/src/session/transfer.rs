//! The data-out of one task: which sequences are open, what may still come, and what to solicit next
//! (RFC 7143 §4.2.5.2, §11.7, §11.8). Pure bookkeeping: sends nothing.

use std::collections::VecDeque;
use std::time::Instant;

use smallvec::SmallVec;

use super::assembly::Assembly;
use super::condition::Condition;
use super::loss::SEQUENCE_TIMEOUT;
use crate::pdu::DataSegment;
use crate::pdu::data_out::DataOut;

/// How often data of one task is asked for again before the task ends.
const RECOVERIES_MAX: u16 = 64;

/// Data-out of a task, from the first byte to the last.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    assembly: Assembly,
    /// Unsolicited Data-Out PDUs are coming.
    unsolicited: Option<Sequence>,
    /// R2Ts that aren't answered in full, oldest first.
    solicited: SmallVec<[Solicited; 1]>,
    /// How many bytes the shell wants; 0 until it says so.
    requested: u32,
    /// How far R2Ts were sent.
    solicited_to: u32,
    /// R2TSN of the next R2T: also how many were sent.
    next_r2t_sn: u32,
    /// R2Ts may be sent.
    granted: bool,
    /// What came isn't wanted any more.
    discarding: bool,
    /// No more R2Ts are sent.
    halted: bool,
    failure: Option<Condition>,
    /// What was lost of sequences that were given up, to be asked for again: offsets from, to.
    lost: VecDeque<(u32, u32)>,
    /// R2Ts that were given up. It may be the R2T that was lost: then the initiator asks for it, and
    /// answers no later one before.
    gave_up: Vec<Solicitation>,
    /// The sequence of unsolicited data was given up: what comes of it is ignored.
    gave_up_unsolicited: bool,
    /// How often something was lost.
    recoveries: u16,
    /// When data came last, or was asked for last, while losses are made good.
    moved: Option<Instant>,
}

/// A sequence of Data-Out PDUs: offsets from `start` to `end`.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    start: u32,
    end: u32,
    received: u32,
    next_data_sn: u32,
    /// It may end before `end` without harm.
    may_be_short: bool,
}

#[derive(Clone, Copy, Debug)]
struct Solicited {
    r2t_sn: u32,
    sequence: Sequence,
}

impl Solicited {
    fn solicitation(&self) -> Solicitation {
        let Sequence { start, end, .. } = self.sequence;
        Solicitation {
            r2t_sn: self.r2t_sn,
            offset: start,
            length: end - start,
        }
    }
}

/// What an R2T asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation {
    pub(super) r2t_sn: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// Limits that were negotiated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_burst_length: u32,
    pub(super) max_outstanding_r2t: usize,
    pub(super) data_pdu_in_order: bool,
    /// The time, if what is lost is asked for again: at ErrorRecoveryLevel 1 and above.
    pub(super) recovers: Option<Instant>,
}

/// What a Data-Out PDU does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// There is no such sequence, or it has ended.
    NoSequence,
    /// Offset or length are outside the sequence, out of order or used before.
    WrongPlace,
    /// A DataSN was left out or repeated.
    DataSn,
    /// The sequence ended before everything was there.
    Short,
}

impl Transfer {
    /// Makes it as good as new, for another task.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.assembly.clear();
        self.unsolicited = None;
        self.solicited.clear();
        self.requested = 0;
        self.solicited_to = 0;
        self.next_r2t_sn = 0;
        self.granted = false;
        self.discarding = false;
        self.halted = false;
        self.failure = None;
        self.lost.clear();
        self.gave_up.clear();
        self.gave_up_unsolicited = false;
        self.recoveries = 0;
        self.moved = None;
    }

    /// Takes immediate data: it is at most as long as the sequence of unsolicited data would be.
    pub(super) fn begin(&mut self, data: DataSegment, length: u32, expected: u32) {
        if length > 0 {
            // Nothing was there before, so that nothing can overlap.
            let _ = self.assembly.insert(0, data, length == expected);
        }
    }

    /// Unsolicited Data-Out PDUs will bring the bytes from `start` to `end`.
    pub(super) fn expect_unsolicited(
        &mut self,
        start: u32,
        end: u32,
        may_be_short: bool,
        recovers: Option<Instant>,
    ) {
        self.moved = recovers;
        self.unsolicited = Some(Sequence {
            start,
            end,
            received: 0,
            next_data_sn: 0,
            may_be_short,
        });
    }

    pub(super) fn has_unsolicited(&self) -> bool {
        self.unsolicited.is_some()
    }

    /// Whether PDUs of an announced sequence are still to come.
    pub(super) fn is_open(&self) -> bool {
        self.unsolicited.is_some() || !self.solicited.is_empty()
    }

    pub(super) fn r2t_count(&self) -> u32 {
        self.next_r2t_sn
    }

    pub(super) fn failure(&self) -> Option<Condition> {
        self.failure
    }

    /// The task will end with this condition once its open sequences have ended (RFC 7143 §11.17.1).
    pub(super) fn fail(&mut self, condition: Condition) {
        self.failure.get_or_insert(condition);
        self.assembly.clear();
        self.lost.clear();
        if self.is_hopeless() {
            // Their end may never come.
            self.unsolicited = None;
            self.solicited.clear();
        }
    }

    /// What the shell wants is settled otherwise: what still comes is swallowed.
    pub(super) fn discard(&mut self) {
        self.discarding = true;
        self.granted = false;
        self.requested = 0;
        self.assembly.clear();
        self.lost.clear();
        self.moved = None;
    }

    /// Nothing more is asked for: the task is about to end. What was asked for may come.
    pub(super) fn halt(&mut self) {
        self.halted = true;
    }

    /// Whether R2Ts aren't answered in full.
    pub(super) fn has_solicited(&self) -> bool {
        !self.solicited.is_empty()
    }

    /// The shell wants `length` bytes.
    pub(super) fn request(&mut self, length: u32) {
        if self.requested == 0 && !self.discarding {
            self.requested = length;
        }
    }

    /// How many bytes must be solicited; 0 while that isn't known or nothing is missing.
    pub(super) fn missing(&self) -> u32 {
        if self.unsolicited.is_some() || self.failure.is_some() || self.discarding || self.halted {
            return 0;
        }
        self.requested.saturating_sub(self.assembly.contiguous())
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted
    }

    /// R2Ts may be sent from now on.
    pub(super) fn grant(&mut self) {
        self.granted = true;
        self.solicited_to = self.assembly.contiguous();
    }

    /// The next R2T that is due, if any.
    pub(super) fn solicit(&mut self, limits: Limits) -> Option<Solicitation> {
        if !self.granted
            || self.halted
            || self.failure.is_some()
            || self.solicited.len() >= limits.max_outstanding_r2t
        {
            return None;
        }
        let (offset, length) = self.next_to_solicit(limits.max_burst_length)?;
        let r2t_sn = self.next_r2t_sn;
        let end = offset + length;
        let sequence = Sequence {
            start: offset,
            end,
            received: 0,
            next_data_sn: 0,
            may_be_short: false,
        };
        self.solicited.push(Solicited { r2t_sn, sequence });
        self.next_r2t_sn += 1;
        self.moved = limits.recovers;
        Some(Solicitation {
            r2t_sn,
            offset,
            length,
        })
    }

    /// Offset and length of the next R2T: what was lost before what was never asked for.
    fn next_to_solicit(&mut self, max_burst: u32) -> Option<(u32, u32)> {
        if let Some((from, to)) = self.lost.pop_front() {
            let length = (to - from).min(max_burst);
            if from + length < to {
                self.lost.push_front((from + length, to));
            }
            return Some((from, length));
        }
        let offset = self.solicited_to;
        let length = self.requested.saturating_sub(offset).min(max_burst);
        self.solicited_to = offset + length;
        (length > 0).then_some((offset, length))
    }

    /// R2Ts that were sent and that the initiator may not have, from R2TSN `first` on, `count` of
    /// them.
    pub(super) fn outstanding(&self, first: u32, count: u32) -> impl Iterator<Item = Solicitation> {
        let open = self.solicited.iter().map(Solicited::solicitation);
        let all = self.gave_up.iter().copied().chain(open);
        all.filter(move |it| it.r2t_sn >= first && it.r2t_sn - first < count)
    }

    /// A PDU of a sequence was lost: the sequence is given up, and what it hasn't brought is asked for
    /// again. `r2t` as for [`accept`](Self::accept); `last`: the PDU had the F bit. False if there is
    /// no such sequence.
    pub(super) fn lose(&mut self, r2t: Option<u8>, last: bool, now: Instant) -> bool {
        match r2t {
            None => {
                if self.unsolicited.take().is_none() {
                    return false;
                }
                self.gave_up_unsolicited = !last;
            }
            Some(low) => {
                let is_it = |open: &Solicited| open.r2t_sn.to_be_bytes()[3] == low;
                let Some(at) = self.solicited.iter().position(is_it) else {
                    return false;
                };
                let open = self.solicited.remove(at);
                self.miss(open);
            }
        }
        self.recoveries = self.recoveries.saturating_add(1);
        self.moved = Some(now);
        true
    }

    /// Gives all open sequences up: nothing has come for too long, or their connection is gone.
    pub(super) fn lose_all(&mut self, now: Instant) {
        if self.unsolicited.take().is_some() {
            self.gave_up_unsolicited = true;
        }
        for open in std::mem::take(&mut self.solicited) {
            self.miss(open);
        }
        self.recoveries = self.recoveries.saturating_add(1);
        self.moved = Some(now);
    }

    /// The task goes on over another connection, whose initiator expects the R2T with that R2TSN
    /// next; 0: the first one that isn't answered (RFC 7143 §7.2.2, §11.5.6).
    pub(super) fn resume(&mut self, exp_data_sn: u32, now: Instant) {
        let open = self.solicited.iter().map(|open| open.r2t_sn);
        let gave_up = self.gave_up.iter().map(|it| it.r2t_sn);
        let oldest = open.chain(gave_up).min().unwrap_or(self.next_r2t_sn);
        let recoveries = self.recoveries;
        self.lose_all(now);
        // Nothing of the old connection can arrive any more, and its end is nobody's failure.
        self.gave_up_unsolicited = false;
        self.gave_up.clear();
        self.recoveries = recoveries;
        let sent = exp_data_sn >= oldest && exp_data_sn <= self.next_r2t_sn;
        self.next_r2t_sn = if exp_data_sn > 0 && sent {
            exp_data_sn
        } else {
            oldest
        };
    }

    /// So much was lost that asking again is of no use.
    pub(super) fn is_hopeless(&self) -> bool {
        self.recoveries > RECOVERIES_MAX
    }

    /// When sequences that stand still are given up.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let moved = self
            .moved
            .filter(|_| self.is_open() && self.failure.is_none())?;
        moved.checked_add(SEQUENCE_TIMEOUT)
    }

    fn miss(&mut self, open: Solicited) {
        let sequence = open.sequence;
        self.gave_up.push(open.solicitation());
        let from = sequence.start + sequence.received;
        if from < sequence.end {
            self.lost.push_back((from, sequence.end));
        }
    }

    /// Takes a Data-Out PDU: `r2t` is the low byte of its R2TSN, `None` if it is unsolicited. After a
    /// violation the data is dropped; the sequence ends with its F bit all the same.
    pub(super) fn accept(
        &mut self,
        header: &DataOut,
        data: DataSegment,
        r2t: Option<u8>,
        limits: Limits,
    ) -> Result<(), Violation> {
        let recovers = limits.recovers.is_some();
        let at = match r2t {
            None => None,
            Some(low) => {
                let is_it = |open: &Solicited| open.r2t_sn.to_be_bytes()[3] == low;
                match self.solicited.iter().position(is_it) {
                    Some(at) => Some(at),
                    // It was given up, or answered twice.
                    None if recovers => return Ok(()),
                    None => return Err(Violation::NoSequence),
                }
            }
        };
        if at.is_none() && self.gave_up_unsolicited {
            self.gave_up_unsolicited = !header.last;
            return Ok(());
        }
        let sequence = match at {
            None => self.unsolicited.as_mut(),
            Some(at) => self.solicited.get_mut(at).map(|open| &mut open.sequence),
        };
        let sequence = sequence.ok_or(Violation::NoSequence)?;
        let length = u32::try_from(data.len()).map_err(|_| Violation::WrongPlace)?;
        if let Some(now) = limits.recovers {
            let ahead = header.data_sn.wrapping_sub(sequence.next_data_sn);
            if ahead >= 1 << 31 {
                // It has been there before.
                return Ok(());
            }
            if ahead > 0 {
                // One before it was lost (RFC 7143 §7.9).
                self.lose(r2t, header.last, now);
                return Ok(());
            }
            self.moved = limits.recovers;
        }
        let mut outcome = sequence.accept(header, length, limits.data_pdu_in_order);
        let end = sequence.end;
        if header.last {
            outcome = outcome.and_then(|()| sequence.finish());
            match at {
                None => self.unsolicited = None,
                Some(at) => drop(self.solicited.remove(at)),
            }
        }
        if self.failure.is_some() || self.discarding {
            // Whatever it is, it was dealt with.
            return Ok(());
        }
        outcome?;
        let whole = header.last && end >= self.requested;
        let inserted = self.assembly.insert(header.buffer_offset, data, whole);
        inserted.map_err(|_| Violation::WrongPlace)
    }

    /// Everything that the shell asked for, once it is there. From then on data is discarded.
    pub(super) fn take_complete(&mut self) -> Option<DataSegment> {
        if self.requested == 0
            || self.assembly.contiguous() < self.requested
            || !self.solicited.is_empty()
            || !self.lost.is_empty()
            || self.failure.is_some()
        {
            return None;
        }
        let data = self.assembly.take(self.requested);
        self.requested = 0;
        self.discarding = true;
        Some(data)
    }
}

impl Sequence {
    fn accept(&mut self, header: &DataOut, length: u32, in_order: bool) -> Result<(), Violation> {
        if header.data_sn != self.next_data_sn {
            return Err(Violation::DataSn);
        }
        self.next_data_sn = self.next_data_sn.wrapping_add(1);
        let offset = header.buffer_offset;
        let in_place = if in_order {
            offset == self.start + self.received
        } else {
            offset >= self.start
        };
        let end = offset.checked_add(length).ok_or(Violation::WrongPlace)?;
        if !in_place || end > self.end || length > self.end - self.start - self.received {
            return Err(Violation::WrongPlace);
        }
        self.received += length;
        Ok(())
    }

    fn finish(&self) -> Result<(), Violation> {
        if self.received == self.end - self.start || self.may_be_short {
            Ok(())
        } else {
            Err(Violation::Short)
        }
    }
}

#[cfg(test)]
mod tests;
