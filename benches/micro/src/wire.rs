//! PDUs, text and digests.

use bytes::{Bytes, BytesMut};
use tidelock_iscsi::digest::data_digest;
use tidelock_iscsi::framing::{Decoder, FramingLimits};
use tidelock_iscsi::pdu::RawPdu;
use tidelock_iscsi::pdu::data_in::DataIn;
use tidelock_iscsi::pdu::data_out::DataOut;
use tidelock_iscsi::pdu::scsi_command::ScsiCommand;
use tidelock_iscsi::text::TextPairs;
use tidelock_iscsi::transmit::TxQueue;

/// A decoder, and the bytes of one PDU.
pub struct Incoming {
    decoder: Decoder,
    stream: Bytes,
    rx: BytesMut,
}

fn incoming(stream: Bytes, digests: bool) -> Incoming {
    let limits = FramingLimits {
        max_data_segment: 262_144,
        max_ahs: 1_020,
    };
    let mut decoder = Decoder::new(limits);
    decoder.set_digests(digests, digests);
    let rx = BytesMut::with_capacity(2 * stream.len());
    Incoming {
        decoder,
        stream,
        rx,
    }
}

fn sent(bhs: &[u8; 48], data: Bytes, digests: bool) -> Bytes {
    let mut queue = TxQueue::new();
    queue.set_digests(digests, digests);
    queue.push(*bhs, data);
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let used = queue.io_slices(&mut slices);
    let pieces: Vec<u8> = slices[..used]
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    pieces.into()
}

/// A SCSI Command with READ(16) in it.
#[must_use]
pub fn a_command() -> Incoming {
    let fields = ScsiCommand {
        last: true,
        read: true,
        expected_data_transfer_length: 4_096,
        cdb: [0x88, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 8, 0, 0],
        ..ScsiCommand::default()
    };
    incoming(sent(&fields.encode(0), Bytes::new(), false), false)
}

/// A Data-Out of 8 KiB, with both digests.
#[must_use]
pub fn data_with_digests() -> Incoming {
    let data = Bytes::from(vec![0x5a; 8_192]);
    incoming(sent(&DataOut::default().encode(8_192), data, true), true)
}

/// Receives the PDU and reads its fields.
///
/// # Panics
/// It isn't whole: a defect of the bench.
pub fn decode(incoming: &mut Incoming) -> (RawPdu, ScsiCommand) {
    incoming.rx.extend_from_slice(&incoming.stream);
    let decoded = incoming.decoder.decode(&mut incoming.rx);
    let pdu = decoded.expect("it is well-formed").expect("it is whole");
    let fields = ScsiCommand::parse(&pdu.bhs);
    (pdu, fields)
}

/// A transmit queue and a buffer of 4 KiB that was read.
#[must_use]
pub fn outgoing() -> (TxQueue, Bytes) {
    (TxQueue::new(), Bytes::from(vec![0x5a; 4_096]))
}

/// Queues a Data-In with status, and takes it off again as sent.
pub fn encode((queue, data): &mut (TxQueue, Bytes)) -> usize {
    let fields = DataIn {
        last: true,
        has_status: true,
        initiator_task_tag: 7,
        target_transfer_tag: u32::MAX,
        ..DataIn::default()
    };
    queue.push(fields.encode(data.len()), data.clone());
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let used = queue.io_slices(&mut slices);
    let bytes = slices[..used].iter().map(|slice| slice.len()).sum();
    queue.consume(bytes);
    bytes
}

/// What open-iscsi offers at its login.
#[must_use]
pub fn login_keys() -> Vec<u8> {
    [
        "HeaderDigest=CRC32C,None",
        "DataDigest=None",
        "DefaultTime2Wait=2",
        "DefaultTime2Retain=0",
        "IFMarker=No",
        "OFMarker=No",
        "ErrorRecoveryLevel=0",
        "InitialR2T=No",
        "ImmediateData=Yes",
        "MaxBurstLength=16776192",
        "FirstBurstLength=262144",
        "MaxOutstandingR2T=1",
        "MaxConnections=1",
        "DataPDUInOrder=Yes",
        "DataSequenceInOrder=Yes",
        "MaxRecvDataSegmentLength=262144",
    ]
    .join("\0")
    .into_bytes()
}

/// Reads keys and writes them again.
///
/// # Panics
/// They aren't well-formed: a defect of the bench.
#[must_use]
pub fn text(keys: &[u8]) -> Bytes {
    TextPairs::parse(keys)
        .expect("they are well-formed")
        .encode()
}

/// Data of `length` bytes.
#[must_use]
pub fn data(length: usize) -> Bytes {
    Bytes::from(vec![0xa5; length])
}

/// The digest of one data segment.
#[must_use]
pub fn digest(data: &Bytes) -> [u8; 4] {
    data_digest([data])
}
