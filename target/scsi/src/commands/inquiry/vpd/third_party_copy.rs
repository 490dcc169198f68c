//! The Third-party Copy VPD page (SPC-5): what the copy manager can do.

use crate::config::BlockSize;
use crate::copy::{
    DATA_SEGMENT_GRANULARITY, DESCRIPTOR_TYPES, MAX_CONCURRENT_COPIES, MAX_CSCDS,
    MAX_DESCRIPTORS_LENGTH, MAX_RANGES, MAX_ROD_BYTES, MAX_SEGMENT_LENGTH, MAX_SEGMENTS, rod,
};
use crate::opcodes::{THIRD_PARTY_COPY_IN, THIRD_PARTY_COPY_OUT, entries};

/// THIRD-PARTY COPY DESCRIPTOR TYPE.
const BLOCK_DEVICE_ROD_LIMITS: u16 = 0x0000;
const SUPPORTED_COMMANDS: u16 = 0x0001;
const PARAMETER_DATA: u16 = 0x0004;
const SUPPORTED_DESCRIPTORS: u16 = 0x0008;
const SUPPORTED_CSCD_IDS: u16 = 0x000c;
const ROD_TOKEN_FEATURES: u16 = 0x0106;
const GENERAL_COPY_OPERATIONS: u16 = 0x8001;

/// The descriptors, in ascending order of their types.
pub(super) fn body(block_size: BlockSize) -> Vec<u8> {
    [
        descriptor(
            BLOCK_DEVICE_ROD_LIMITS,
            &block_device_rod_limits(block_size),
        ),
        descriptor(SUPPORTED_COMMANDS, &supported_commands()),
        descriptor(PARAMETER_DATA, &parameter_data()),
        descriptor(SUPPORTED_DESCRIPTORS, &counted(&DESCRIPTOR_TYPES)),
        descriptor(SUPPORTED_CSCD_IDS, &[0, 2, 0xff, 0xff]),
        descriptor(ROD_TOKEN_FEATURES, &rod_token_features()),
        descriptor(GENERAL_COPY_OPERATIONS, &general_copy_operations()),
    ]
    .concat()
}

/// One third-party copy descriptor, padded to a multiple of four bytes.
fn descriptor(kind: u16, parameters: &[u8]) -> Vec<u8> {
    let length = parameters.len().next_multiple_of(4);
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
    bytes.extend(parameters);
    bytes.resize(4 + length, 0);
    bytes
}

/// `list` with its length in one byte before it.
fn counted(list: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(list.len()).unwrap_or(0)];
    bytes.extend(list);
    bytes
}

/// The service actions of both operation codes, from the one table.
fn supported_commands() -> Vec<u8> {
    let lists = [THIRD_PARTY_COPY_OUT, THIRD_PARTY_COPY_IN].map(|operation_code| {
        let actions: Vec<u8> = entries(operation_code)
            .filter_map(|entry| u8::try_from(entry.service_action?).ok())
            .collect();
        [vec![operation_code], counted(&actions)].concat()
    });
    counted(&lists.concat())
}

/// SBC-4, "Block Device ROD Limits descriptor".
fn block_device_rod_limits(block_size: BlockSize) -> Vec<u8> {
    let mut bytes = vec![0; 6];
    bytes.extend(MAX_RANGES.to_be_bytes());
    bytes.extend(rod::MAX_TIMEOUT.to_be_bytes());
    bytes.extend(rod::DEFAULT_TIMEOUT.to_be_bytes());
    bytes.extend((MAX_ROD_BYTES >> block_size.shift()).to_be_bytes());
    bytes.extend((rod::OPTIMAL_ROD_BYTES >> block_size.shift()).to_be_bytes());
    bytes
}

/// REMOTE TOKENS is 0h: only tokens of this device. The types are not listed: that would promise ROD
/// CSCD descriptors.
fn rod_token_features() -> Vec<u8> {
    const BLOCK_FEATURES: [u8; 4] = [0, 0, 0, 0x2c];
    let mut bytes = vec![0; 12];
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(rod::MAX_TIMEOUT.to_be_bytes());
    bytes.extend(rod::MAX_TIMEOUT.to_be_bytes());
    bytes.resize(42, 0);
    bytes.extend(48_u16.to_be_bytes());
    bytes.extend(BLOCK_FEATURES);
    bytes.extend([0; 4]);
    bytes.extend(MAX_ROD_BYTES.to_be_bytes());
    for _ in 0..3 {
        bytes.extend(rod::OPTIMAL_ROD_BYTES.to_be_bytes());
    }
    bytes.resize(44 + 48, 0);
    bytes
}

fn parameter_data() -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(MAX_CSCDS.to_be_bytes());
    bytes.extend(MAX_SEGMENTS.to_be_bytes());
    bytes.extend(MAX_DESCRIPTORS_LENGTH.to_be_bytes());
    // MAXIMUM INLINE DATA LENGTH: there is none.
    bytes.extend([0; 4]);
    bytes.resize(0x1c, 0);
    bytes
}

fn general_copy_operations() -> Vec<u8> {
    let copies = u32::from(MAX_CONCURRENT_COPIES).to_be_bytes();
    let mut bytes = [copies, copies, MAX_SEGMENT_LENGTH.to_be_bytes()].concat();
    bytes.push(DATA_SEGMENT_GRANULARITY);
    bytes.resize(0x20, 0);
    bytes
}
