//! What a connection keeps at ErrorRecoveryLevel 1 and above until the initiator has acknowledged it
//! by ExpStatSN: responses as they were sent, and for SCSI commands their data-in (RFC 7143 §4.2.2.2,
//! §11.16). Sends nothing.

use std::collections::VecDeque;

use bytes::Bytes;

use super::data_in::Cut;
use super::residual::Residual;
use super::task::TaskInfo;
use crate::pdu::{Bhs, DataSegment};
use crate::serial::SerialNumber;

/// Responses that one connection keeps at most: an initiator that acknowledges nothing gets its
/// oldest ones forgotten, and can't ask for them any more.
pub(super) const RETAINED_MAX: usize = 4_096;

/// The answer to a SCSI command, complete enough to be sent again.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) info: TaskInfo,
    pub(super) status: u8,
    /// Sense data without its length.
    pub(super) sense: Bytes,
    pub(super) residual: Residual,
    pub(super) read_residual: Residual,
    /// The status goes with the last Data-In (RFC 7143 §11.7.3).
    pub(super) collapsed: bool,
    /// R2Ts that were sent.
    pub(super) r2t_count: u32,
    /// Of the last R-Data SNACK; 0: there was none.
    pub(super) snack_tag: u32,
    /// StatSN of the status, once it has gone out.
    pub(super) stat_sn: Option<SerialNumber>,
    /// How the data is cut since it was last cut.
    pub(super) cut: Cut,
    /// DataSN of the first Data-In that isn't acknowledged, and where it begins.
    pub(super) acknowledged: (u32, u32),
    /// Data from there on; empty if it could not be kept.
    pub(super) data: DataSegment,
    /// Target Transfer Tag of Data-Ins that ask for an acknowledgement (RFC 7143 §11.7.4).
    pub(super) acknowledgement_tag: u32,
}

impl Answered {
    /// Whether all data that isn't acknowledged is still there.
    pub(super) fn is_complete(&self) -> bool {
        self.data.len() == (self.cut.end - self.acknowledged.1) as usize
    }

    /// The initiator has all Data-In PDUs before that DataSN: their data is no longer needed. False
    /// if there is no such PDU.
    pub(super) fn acknowledge(&mut self, data_sn: u32) -> bool {
        let (first, start) = self.acknowledged;
        if data_sn < first {
            return false;
        }
        let Some(offset) = self.cut.offset_of(data_sn) else {
            return false;
        };
        let complete = self.is_complete();
        self.acknowledged = (data_sn, offset);
        if complete {
            let _ = self.data.split_to((offset - start) as usize);
        }
        true
    }

    /// Cuts what isn't acknowledged anew, for an initiator that takes other lengths (RFC 7143
    /// §11.16.3).
    pub(super) fn cut_again(&mut self, max_segment: u32) {
        let (first_sn, start) = self.acknowledged;
        self.cut = Cut {
            first_sn,
            start,
            max_segment,
            ..self.cut
        };
    }

    /// Bytes at `offset`; `None` if they aren't there any more.
    pub(super) fn piece(&self, offset: u32, length: u32) -> Option<DataSegment> {
        let skip = offset.checked_sub(self.acknowledged.1)? as usize;
        if !self.is_complete() {
            return None;
        }
        let mut rest = self.data.clone();
        let _ = rest.split_to(skip);
        Some(rest.split_to(length as usize))
    }
}

/// What stands behind a StatSN.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Anything but the end of a SCSI command, as it was sent.
    Pdu { bhs: Bhs, data: Bytes },
    /// The end of a SCSI command.
    Answer(Box<Answered>),
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Pdu { data, .. } => data.len(),
            Self::Answer(answered) => answered.data.len(),
        }
    }
}

/// What a connection keeps, oldest first.
#[derive(Debug, Default)]
pub(super) struct Retained {
    list: VecDeque<(SerialNumber, Kept)>,
    bytes: usize,
}

impl Retained {
    /// Bytes of data that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a response; `most` bytes of data are kept for all of them together. For what is too
    /// much, the oldest lose their data.
    pub(super) fn keep(&mut self, stat_sn: SerialNumber, kept: Kept, most: usize) {
        self.bytes += kept.bytes();
        self.list.push_back((stat_sn, kept));
        if self.list.len() > RETAINED_MAX
            && let Some((_, gone)) = self.list.pop_front()
        {
            self.bytes -= gone.bytes();
        }
        self.limit(most);
    }

    /// Lets data of the oldest go until there is no more than `most` bytes.
    pub(super) fn limit(&mut self, most: usize) {
        if self.bytes <= most {
            return;
        }
        let mut index = 0;
        while self.bytes > most {
            let Some((_, kept)) = self.list.get_mut(index) else {
                return;
            };
            let length = kept.bytes();
            match kept {
                Kept::Answer(answered) => {
                    self.bytes -= length;
                    answered.data = DataSegment::new();
                    index += 1;
                }
                Kept::Pdu { .. } if length > 0 => {
                    self.bytes -= length;
                    self.list.remove(index);
                }
                Kept::Pdu { .. } => index += 1,
            }
        }
    }

    /// The initiator has everything before `exp_stat_sn`.
    #[inline]
    pub(super) fn acknowledge(&mut self, exp_stat_sn: SerialNumber) {
        while let Some((stat_sn, kept)) = self.list.front() {
            if !stat_sn.is_before(exp_stat_sn) {
                return;
            }
            self.bytes -= kept.bytes();
            self.list.pop_front();
        }
    }

    /// The answers to SCSI commands.
    pub(super) fn answers(&self) -> impl Iterator<Item = &Answered> {
        self.list.iter().filter_map(|(_, kept)| match kept {
            Kept::Answer(answered) => Some(&**answered),
            Kept::Pdu { .. } => None,
        })
    }

    /// Works on the answer for which `which` holds; the bytes that it keeps are counted again.
    pub(super) fn with_answer<T>(
        &mut self,
        which: impl Fn(&Answered) -> bool,
        work: impl FnOnce(SerialNumber, &mut Answered) -> T,
    ) -> Option<T> {
        let found = self.list.iter_mut().find_map(|(stat_sn, kept)| match kept {
            Kept::Answer(answered) if which(answered) => Some((*stat_sn, answered)),
            _ => None,
        });
        let (stat_sn, answered) = found?;
        let before = answered.data.len();
        let outcome = work(stat_sn, answered);
        self.bytes = self.bytes - before + answered.data.len();
        Some(outcome)
    }

    /// What is kept from `first` on, `count` of them.
    pub(super) fn run(
        &self,
        first: SerialNumber,
        count: u32,
    ) -> impl Iterator<Item = (SerialNumber, &Kept)> {
        self.list
            .iter()
            .filter(move |(stat_sn, _)| !stat_sn.is_before(first) && stat_sn.since(first) < count)
            .map(|(stat_sn, kept)| (*stat_sn, kept))
    }

    /// The oldest StatSN that is kept.
    pub(super) fn oldest(&self) -> Option<SerialNumber> {
        Some(self.list.front()?.0)
    }

    /// Forgets the answer to the task with that tag: the tag means another one from now on, so that
    /// the initiator has the answer.
    pub(super) fn forget(&mut self, initiator_task_tag: u32) {
        let at = self.list.iter().position(|(_, kept)| {
            matches!(kept, Kept::Answer(answered)
                if answered.info.initiator_task_tag == initiator_task_tag)
        });
        if let Some((_, gone)) = at.and_then(|at| self.list.remove(at)) {
            self.bytes -= gone.bytes();
        }
    }

    /// Gives everything up, and the answers to SCSI commands to the caller.
    pub(super) fn into_answers(self) -> impl Iterator<Item = Answered> {
        self.list.into_iter().filter_map(|(_, kept)| match kept {
            Kept::Answer(answered) => Some(*answered),
            Kept::Pdu { .. } => None,
        })
    }
}
