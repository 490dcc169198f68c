//! Basic header segments, their numbers, and digests.

/// Bytes of a basic header segment (RFC 7143 §11.2.1).
pub const HEADER: usize = 48;
pub type Header = [u8; HEADER];

pub const NOP_OUT: u8 = 0x40;
pub const SCSI_COMMAND: u8 = 0x01;
pub const LOGIN_REQUEST: u8 = 0x43;
pub const DATA_OUT: u8 = 0x05;
pub const LOGOUT_REQUEST: u8 = 0x46;
pub const NOP_IN: u8 = 0x20;
pub const SCSI_RESPONSE: u8 = 0x21;
pub const LOGIN_RESPONSE: u8 = 0x23;
pub const DATA_IN: u8 = 0x25;
pub const LOGOUT_RESPONSE: u8 = 0x26;
pub const R2T: u8 = 0x31;
/// The tag of no task, and of no transfer.
pub const NO_TAG: u32 = u32::MAX;

pub fn put(header: &mut Header, at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

pub fn put_number(header: &mut Header, at: usize, number: u32) {
    put(header, at, &number.to_be_bytes());
}

pub fn put_length(header: &mut Header, length: usize) {
    put(header, 5, &(length as u32).to_be_bytes()[1..]);
}

pub fn number(header: &Header, at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// DataSegmentLength.
pub fn length(header: &Header) -> usize {
    u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize
}

/// Whether one serial number is behind another (RFC 1982).
pub fn is_behind(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

/// Castagnoli's polynomial, for each byte.
const TABLE: [u32; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = sum >> 1 ^ 0x82f6_3b78 & (sum & 1).wrapping_neg();
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)])
}
