//! Any byte stream as PDUs: the same however it is cut into chunks, within the limits, and each PDU's
//! header fields survive being written and read again.

use bytes::Bytes;
use tidelock_iscsi::framing::{Decoder, FramingLimits};
use tidelock_iscsi::pdu::additional_headers::AdditionalHeaders;
use tidelock_iscsi::pdu::async_message::AsyncMessage;
use tidelock_iscsi::pdu::data_in::DataIn;
use tidelock_iscsi::pdu::data_out::DataOut;
use tidelock_iscsi::pdu::login_request::LoginRequest;
use tidelock_iscsi::pdu::logout_request::LogoutRequest;
use tidelock_iscsi::pdu::logout_response::LogoutResponse;
use tidelock_iscsi::pdu::nop_in::NopIn;
use tidelock_iscsi::pdu::nop_out::NopOut;
use tidelock_iscsi::pdu::r2t::R2t;
use tidelock_iscsi::pdu::reject::Reject;
use tidelock_iscsi::pdu::scsi_command::ScsiCommand;
use tidelock_iscsi::pdu::scsi_response::ScsiResponse;
use tidelock_iscsi::pdu::task_management_request::TaskManagementRequest;
use tidelock_iscsi::pdu::task_management_response::TaskManagementResponse;
use tidelock_iscsi::pdu::text_request::TextRequest;
use tidelock_iscsi::pdu::text_response::TextResponse;
use tidelock_iscsi::pdu::{RawPdu, opcode};
use tidelock_iscsi::transmit::TxQueue;

use crate::input::Input;
use crate::wire::{decode, drain};

/// Header: which digests, the limits, how the stream is cut. Then the stream.
pub fn check(input: &[u8]) {
    let mut input = Input(input);
    let flags = input.byte();
    let (header_digest, data_digest) = (flags & 1 != 0, flags & 2 != 0);
    let limits = FramingLimits {
        max_data_segment: u32::from(input.u16()),
        max_ahs: u16::from(input.byte()) * 4,
    };
    let chunk = usize::from(input.byte()) + 1;
    let stream = input.0;
    let decoder = || {
        let mut decoder = Decoder::new(limits);
        decoder.set_digests(header_digest, data_digest);
        decoder
    };
    let (pdus, error) = decode(&mut decoder(), stream, stream.len());
    let (in_chunks, same_error) = decode(&mut decoder(), stream, chunk);
    assert_eq!(error, same_error);
    assert_eq!(pdus.len(), in_chunks.len());
    pdus.iter()
        .zip(&in_chunks)
        .for_each(|(whole, cut)| assert_same(whole, cut));
    for pdu in &pdus {
        assert!(pdu.data.len() as u64 <= u64::from(limits.max_data_segment));
        assert!(pdu.ahs.len() <= usize::from(limits.max_ahs));
        let _ = AdditionalHeaders::parse(&pdu.ahs);
        let _ = LoginRequest::parse(&pdu.bhs);
        headers_survive(pdu);
    }
    sent_and_received(pdus, chunk);
}

fn assert_same(left: &RawPdu, right: &RawPdu) {
    assert_eq!(left.bhs, right.bhs);
    assert_eq!(left.ahs, right.ahs);
    assert_eq!(left.data.to_contiguous(), right.data.to_contiguous());
}

macro_rules! survives {
    ($pdu:expr, $($type:ident),+) => {
        match opcode(&$pdu.bhs) {
            $($type::OPCODE => {
                let fields = $type::parse(&$pdu.bhs);
                let bhs = fields.encode($pdu.data.len());
                assert_eq!($type::parse(&bhs), fields);
                assert_eq!(bhs[5..8], $pdu.bhs[5..8], "DataSegmentLength");
            })+
            _ => {}
        }
    };
}

fn headers_survive(pdu: &RawPdu) {
    survives!(
        pdu,
        NopOut,
        ScsiCommand,
        TaskManagementRequest,
        TextRequest,
        DataOut,
        LogoutRequest,
        NopIn,
        ScsiResponse,
        TaskManagementResponse,
        TextResponse,
        DataIn,
        LogoutResponse,
        R2t,
        AsyncMessage,
        Reject
    );
}

/// What goes through our queue and a peer's decoder arrives as it was, with and without digests.
fn sent_and_received(pdus: Vec<RawPdu>, chunk: usize) {
    for (header_digest, data_digest) in [(false, false), (true, true), (true, false), (false, true)]
    {
        let mut queue = TxQueue::new();
        queue.set_digests(header_digest, data_digest);
        let mut decoder = Decoder::new(FramingLimits {
            max_data_segment: 0xff_ffff,
            max_ahs: 0,
        });
        decoder.set_digests(header_digest, data_digest);
        let sent: Vec<RawPdu> = pdus.iter().map(without_ahs).collect();
        for pdu in &sent {
            queue.push_pieces(&pdu.bhs, pdu.data.pieces().cloned());
        }
        let stream = drain(&mut queue, chunk);
        let (received, error) = decode(&mut decoder, &stream, chunk);
        assert_eq!(error, None);
        assert_eq!(sent.len(), received.len());
        sent.iter()
            .zip(&received)
            .for_each(|(sent, received)| assert_same(sent, received));
    }
}

/// We never send additional headers.
fn without_ahs(pdu: &RawPdu) -> RawPdu {
    let mut pdu = pdu.clone();
    pdu.bhs[4] = 0;
    pdu.ahs = Bytes::new();
    pdu
}
