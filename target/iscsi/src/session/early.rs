//! PDUs that came ahead of their turn wait here until the missing CmdSNs are there (RFC 7143
//! §4.2.2.1). With one connection that is rare; the number of PDUs and of bytes is limited.

use std::collections::VecDeque;

use super::connection::ConnectionId;
use crate::pdu::RawPdu;

/// The most bytes of data that PDUs may hold while they wait, when there is one connection and
/// nothing that gets lost is sent again.
pub(super) const EARLY_BYTES_MAX: usize = 1_024 * 1_024;

/// What is known of a CmdSN.
#[derive(Debug)]
enum Slot {
    Missing,
    Arrived(Box<Waiting>),
    /// To be taken as received: a task management function has ended it (RFC 7143 §11.6.1).
    Void,
}

/// A PDU that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The connection that it came on.
    pub(super) on: ConnectionId,
    pub(super) pdu: RawPdu,
}

impl Waiting {
    fn len(&self) -> usize {
        self.pdu.data.len() + self.pdu.ahs.len()
    }
}

/// What follows once a CmdSN was dealt with.
#[derive(Debug)]
pub(super) enum Next {
    /// The next CmdSN hasn't come.
    Wait,
    /// It is this PDU's turn.
    Deliver(Box<Waiting>),
    /// The next CmdSN counts as received, and there is nothing to do for it.
    Skip,
}

/// The waiting PDUs by their distance from ExpCmdSN.
#[derive(Debug, Default)]
pub(super) struct EarlyPdus {
    slots: VecDeque<Slot>,
    bytes: usize,
}

/// There is no room: the connection has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl EarlyPdus {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Keeps a PDU that is `distance` CmdSNs ahead of ExpCmdSN; a second one with the same CmdSN is
    /// ignored. All together may have `most` bytes. The caller has checked that it is inside the
    /// window.
    pub(super) fn keep(
        &mut self,
        most: usize,
        distance: u32,
        on: ConnectionId,
        pdu: &RawPdu,
    ) -> Result<(), Full> {
        let Some(slot) = self.slot(distance) else {
            return Err(Full);
        };
        if !matches!(slot, Slot::Missing) {
            return Ok(());
        }
        let mut pdu = pdu.clone();
        // A copy, so that a small PDU doesn't keep a large receive buffer while it waits.
        pdu.detach();
        let waiting = Waiting { on, pdu };
        let length = waiting.len();
        *slot = Slot::Arrived(Box::new(waiting));
        self.bytes += length;
        if self.bytes > most { Err(Full) } else { Ok(()) }
    }

    /// Takes the CmdSN at that distance as received; a PDU that waits there is dropped and returned.
    pub(super) fn void(&mut self, distance: u32) -> Option<Box<Waiting>> {
        let slot = self.slot(distance)?;
        let Slot::Arrived(waiting) = std::mem::replace(slot, Slot::Void) else {
            return None;
        };
        self.bytes -= waiting.len();
        Some(waiting)
    }

    /// Takes those of the next `distance` CmdSNs as received that haven't come. The caller has checked
    /// that they are inside the window.
    pub(super) fn plug(&mut self, distance: u32) {
        for ahead in 0..distance {
            if let Some(slot @ Slot::Missing) = self.slot(ahead) {
                *slot = Slot::Void;
            }
        }
    }

    /// A connection has gone: what came on it and waits is as good as never received. Its initiator
    /// may send it again.
    pub(super) fn forget(&mut self, on: ConnectionId) {
        for slot in &mut self.slots {
            if let Slot::Arrived(waiting) = slot
                && waiting.on == on
            {
                self.bytes -= waiting.len();
                *slot = Slot::Missing;
            }
        }
        if self.slots.iter().all(|slot| matches!(slot, Slot::Missing)) {
            self.slots.clear();
        }
    }

    /// The waiting PDUs with their distance from ExpCmdSN.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &RawPdu)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(distance, slot)| match slot {
                Slot::Arrived(waiting) => Some((distance, &waiting.pdu)),
                Slot::Missing | Slot::Void => None,
            })
    }

    /// ExpCmdSN has gone one up: what is known of the new one?
    pub(super) fn step(&mut self) -> Next {
        self.slots.pop_front();
        self.next()
    }

    /// What is known of ExpCmdSN itself.
    pub(super) fn next(&mut self) -> Next {
        let next = match self.slots.front_mut() {
            None => Next::Wait,
            Some(slot) => match std::mem::replace(slot, Slot::Missing) {
                Slot::Missing => Next::Wait,
                Slot::Void => Next::Skip,
                Slot::Arrived(waiting) => {
                    self.bytes -= waiting.len();
                    Next::Deliver(waiting)
                }
            },
        };
        if self.slots.iter().all(|slot| matches!(slot, Slot::Missing)) {
            self.slots.clear();
        }
        next
    }

    fn slot(&mut self, distance: u32) -> Option<&mut Slot> {
        let index = usize::try_from(distance).ok()?;
        while self.slots.len() <= index {
            self.slots.push_back(Slot::Missing);
        }
        self.slots.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pdu::DataSegment;

    fn pdu(mark: u8, data: usize) -> RawPdu {
        RawPdu {
            bhs: [mark; 48],
            ahs: Bytes::new(),
            data: DataSegment::from(Bytes::from(vec![mark; data])),
        }
    }

    fn delivered(next: Next) -> Option<u8> {
        match next {
            Next::Deliver(waiting) => Some(waiting.pdu.bhs[0]),
            Next::Wait | Next::Skip => None,
        }
    }

    #[test]
    fn pdus_come_out_in_order_once_the_gap_is_filled() {
        let mut early = EarlyPdus::default();
        early
            .keep(EARLY_BYTES_MAX, 2, ConnectionId::LEADING, &pdu(2, 0))
            .unwrap();
        early
            .keep(EARLY_BYTES_MAX, 1, ConnectionId::LEADING, &pdu(1, 0))
            .unwrap();
        early
            .keep(EARLY_BYTES_MAX, 4, ConnectionId::LEADING, &pdu(4, 0))
            .unwrap();
        assert_eq!(delivered(early.step()), Some(1));
        assert_eq!(delivered(early.step()), Some(2));
        assert!(matches!(early.step(), Next::Wait));
        assert!(!early.is_empty());
        assert_eq!(delivered(early.step()), Some(4));
        assert!(early.is_empty());
    }

    #[test]
    fn the_first_of_two_pdus_with_one_number_counts() {
        let mut early = EarlyPdus::default();
        early
            .keep(EARLY_BYTES_MAX, 1, ConnectionId::LEADING, &pdu(1, 10))
            .unwrap();
        early
            .keep(EARLY_BYTES_MAX, 1, ConnectionId::LEADING, &pdu(9, 10))
            .unwrap();
        assert_eq!(delivered(early.step()), Some(1));
    }

    #[test]
    fn a_void_number_is_skipped_and_its_pdu_dropped() {
        let mut early = EarlyPdus::default();
        early
            .keep(EARLY_BYTES_MAX, 1, ConnectionId::LEADING, &pdu(1, 10))
            .unwrap();
        assert_eq!(early.void(1).unwrap().pdu.bhs[0], 1);
        assert_eq!(early.bytes, 0);
        assert!(early.void(0).is_none());
        assert!(matches!(early.next(), Next::Skip));
        assert!(matches!(early.step(), Next::Skip));
        assert!(matches!(early.step(), Next::Wait));
        assert!(early.is_empty());
    }

    #[test]
    fn data_that_waits_is_limited() {
        let mut early = EarlyPdus::default();
        early
            .keep(
                EARLY_BYTES_MAX,
                1,
                ConnectionId::LEADING,
                &pdu(1, EARLY_BYTES_MAX),
            )
            .unwrap();
        assert_eq!(
            early.keep(EARLY_BYTES_MAX, 2, ConnectionId::LEADING, &pdu(2, 1)),
            Err(Full)
        );
    }
}
