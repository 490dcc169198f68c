//! The iSCSI conditions that end a command with CHECK CONDITION, and their sense data (RFC 7143
//! §11.4.7.2). The only place in this crate that knows sense data.

use bytes::Bytes;

/// SCSI status GOOD (SAM-5 §5.3).
pub(super) const GOOD: u8 = 0x00;
/// SCSI status CHECK CONDITION (SAM-5 §5.3).
pub(super) const CHECK_CONDITION: u8 = 0x02;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Data that nobody asked for, and that the negotiated parameters don't allow.
    UnexpectedUnsolicitedData,
    /// Less or more data than FirstBurstLength or an R2T allow.
    IncorrectAmountOfData,
    /// Data was lost on the way: a DataSN is missing (RFC 7143 §7.9).
    ProtocolServiceCrcError,
    /// Data was to be sent again that isn't there any more.
    SnackRejected,
}

impl Condition {
    /// ABORTED COMMAND in fixed format (SPC-4 §4.5.3).
    pub(super) fn sense(self) -> Bytes {
        static UNEXPECTED_UNSOLICITED_DATA: [u8; 18] = fixed(0x0c, 0x0c);
        static INCORRECT_AMOUNT_OF_DATA: [u8; 18] = fixed(0x0c, 0x0d);
        static PROTOCOL_SERVICE_CRC_ERROR: [u8; 18] = fixed(0x47, 0x05);
        static SNACK_REJECTED: [u8; 18] = fixed(0x11, 0x13);
        Bytes::from_static(match self {
            Self::UnexpectedUnsolicitedData => &UNEXPECTED_UNSOLICITED_DATA,
            Self::IncorrectAmountOfData => &INCORRECT_AMOUNT_OF_DATA,
            Self::ProtocolServiceCrcError => &PROTOCOL_SERVICE_CRC_ERROR,
            Self::SnackRejected => &SNACK_REJECTED,
        })
    }
}

const fn fixed(code: u8, qualifier: u8) -> [u8; 18] {
    [
        0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0,
    ]
}
