//! How a command ends: status, sense data and data-in.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::sense::{Sense, SenseFormat};
use crate::status::Status;

/// Payload in order, as the pieces in which it arrived or was read; sharing, never copying.
pub type DataPieces = SmallVec<[Bytes; 2]>;

/// The end of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status (SAM-6).
    pub status: Status,
    /// Sense data as it goes on the wire, without a length in front; empty unless the status is
    /// CHECK CONDITION.
    pub sense: Bytes,
    /// Data for the initiator, already cut to the CDB's allocation length.
    pub data_in: DataPieces,
    /// The number of bytes that the CDB asked to move, in whichever direction: the transport's
    /// residual count is this against the expected data transfer length.
    pub transfer_length: u64,
    /// The transport delivers it after all replies before it and before all after it to the same nexus
    /// (RFC 7143 §4.2.2.3.4): it tells of tasks that were aborted.
    pub response_fence: bool,
}

impl Reply {
    /// GOOD with nothing to transfer.
    #[must_use]
    pub fn good() -> Self {
        Self::with_status(Status::GOOD)
    }

    /// GOOD after `transfer_length` bytes of data-out.
    #[must_use]
    pub fn written(transfer_length: u64) -> Self {
        Self {
            transfer_length,
            ..Self::good()
        }
    }

    /// GOOD with data-in in pieces.
    #[must_use]
    pub fn data(data_in: DataPieces) -> Self {
        let transfer_length = data_in
            .iter()
            .map(|piece| u64::try_from(piece.len()).unwrap_or(u64::MAX))
            .sum();
        Self {
            data_in,
            transfer_length,
            ..Self::good()
        }
    }

    /// GOOD with parameter data, cut to the `allocation_length` of the CDB (SPC-5): bytes
    /// that don't fit are left out, which is not an error.
    #[must_use]
    pub fn parameter_data(data: impl Into<Bytes>, allocation_length: u32) -> Self {
        let mut data = data.into();
        data.truncate(usize::try_from(allocation_length).unwrap_or(usize::MAX));
        let mut pieces = DataPieces::new();
        if !data.is_empty() {
            pieces.push(data);
        }
        Self::data(pieces)
    }

    /// CHECK CONDITION with `sense`.
    #[must_use]
    pub fn check_condition(sense: &Sense, format: SenseFormat) -> Self {
        Self {
            sense: sense.encode(format),
            ..Self::with_status(Status::CHECK_CONDITION)
        }
    }

    /// A status that has neither sense nor data.
    #[must_use]
    pub fn with_status(status: Status) -> Self {
        Self {
            status,
            sense: Bytes::new(),
            data_in: DataPieces::new(),
            transfer_length: 0,
            response_fence: false,
        }
    }

    /// The same reply, behind a response fence if `fence`.
    #[must_use]
    pub fn fenced_if(self, fence: bool) -> Self {
        Self {
            response_fence: self.response_fence || fence,
            ..self
        }
    }

    /// The same reply to a CDB that asked to move `transfer_length` bytes.
    #[must_use]
    pub fn of_transfer(self, transfer_length: u64) -> Self {
        Self {
            transfer_length,
            ..self
        }
    }
}
