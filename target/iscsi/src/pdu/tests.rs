//! Layouts, checked against bytes written out by hand, and both directions against each other.

use proptest::prelude::*;

use super::*;
use crate::serial::SerialNumber;

/// Byte `i` is `i`, but for the first eight.
fn counting(first: [u8; 8]) -> Bhs {
    let mut bhs: Bhs = std::array::from_fn(|at| u8::try_from(at).unwrap());
    bhs[..8].copy_from_slice(&first);
    bhs
}

const LUN: [u8; 8] = [8, 9, 10, 11, 12, 13, 14, 15];
const WORD_16: u32 = 0x1011_1213;
const WORD_20: u32 = 0x1415_1617;
const SN_24: SerialNumber = SerialNumber(0x1819_1a1b);
const SN_28: SerialNumber = SerialNumber(0x1c1d_1e1f);
const SN_32: SerialNumber = SerialNumber(0x2021_2223);
const WORD_36: u32 = 0x2425_2627;
const WORD_40: u32 = 0x2829_2a2b;
const WORD_44: u32 = 0x2c2d_2e2f;

#[test]
fn a_scsi_command_is_laid_out_as_in_11_3() {
    let command = scsi_command::ScsiCommand::parse(&counting([0x41, 0xa2, 2, 3, 4, 5, 6, 7]));
    let expected = scsi_command::ScsiCommand {
        immediate: true,
        last: true,
        read: false,
        write: true,
        attribute: 2,
        lun: LUN,
        initiator_task_tag: WORD_16,
        expected_data_transfer_length: WORD_20,
        cmd_sn: SN_24,
        exp_stat_sn: SN_28,
        cdb: std::array::from_fn(|at| u8::try_from(at + 32).unwrap()),
    };
    assert_eq!(command, expected);
}

#[test]
fn a_data_out_is_laid_out_as_in_11_7() {
    let data = data_out::DataOut::parse(&counting([0x05, 0x80, 0, 0, 0, 5, 6, 7]));
    let expected = data_out::DataOut {
        last: true,
        lun: LUN,
        initiator_task_tag: WORD_16,
        target_transfer_tag: WORD_20,
        exp_stat_sn: SN_28,
        data_sn: WORD_36,
        buffer_offset: WORD_40,
    };
    assert_eq!(data, expected);
}

#[test]
fn a_data_in_is_laid_out_as_in_11_7() {
    let data = data_in::DataIn {
        last: true,
        acknowledge: false,
        overflow: false,
        underflow: true,
        has_status: true,
        status: 3,
        lun: LUN,
        initiator_task_tag: WORD_16,
        target_transfer_tag: WORD_20,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
        data_sn: WORD_36,
        buffer_offset: WORD_40,
        residual_count: WORD_44,
    };
    assert_eq!(
        data.encode(0x05_0607),
        counting([0x25, 0x83, 0, 3, 0, 5, 6, 7])
    );
}

#[test]
fn a_scsi_response_is_laid_out_as_in_11_4() {
    let response = scsi_response::ScsiResponse {
        bidirectional_read_overflow: true,
        bidirectional_read_underflow: false,
        overflow: false,
        underflow: true,
        response: 1,
        status: 2,
        initiator_task_tag: WORD_16,
        snack_tag: WORD_20,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
        exp_data_sn: WORD_36,
        bidirectional_read_residual_count: WORD_40,
        residual_count: WORD_44,
    };
    let mut expected = counting([0x21, 0x92, 1, 2, 0, 0, 0, 20]);
    expected[8..16].fill(0);
    assert_eq!(response.encode(20), expected);
}

#[test]
fn an_r2t_is_laid_out_as_in_11_8() {
    let r2t = r2t::R2t {
        lun: LUN,
        initiator_task_tag: WORD_16,
        target_transfer_tag: WORD_20,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
        r2t_sn: WORD_36,
        buffer_offset: WORD_40,
        desired_data_transfer_length: WORD_44,
    };
    assert_eq!(r2t.encode(0), counting([0x31, 0x80, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn task_management_is_laid_out_as_in_11_5_and_11_6() {
    let bhs = counting([0x42, 0x81, 0, 0, 0, 0, 0, 0]);
    let request = task_management_request::TaskManagementRequest::parse(&bhs);
    let expected = task_management_request::TaskManagementRequest {
        immediate: true,
        function: 1,
        lun: LUN,
        initiator_task_tag: WORD_16,
        referenced_task_tag: WORD_20,
        cmd_sn: SN_24,
        exp_stat_sn: SN_28,
        ref_cmd_sn: SN_32,
        exp_data_sn: WORD_36,
    };
    assert_eq!(request, expected);
    let response = task_management_response::TaskManagementResponse {
        response: 5,
        initiator_task_tag: WORD_16,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
    };
    let mut expected = counting([0x22, 0x80, 5, 0, 0, 0, 0, 0]);
    expected[8..16].fill(0);
    expected[20..24].fill(0);
    expected[36..].fill(0);
    assert_eq!(response.encode(0), expected);
}

#[test]
fn logout_is_laid_out_as_in_11_14_and_11_15() {
    let bhs = counting([0x46, 0x82, 0, 0, 0, 0, 0, 0]);
    let request = logout_request::LogoutRequest::parse(&bhs);
    let expected = logout_request::LogoutRequest {
        immediate: true,
        reason: 2,
        initiator_task_tag: WORD_16,
        cid: 0x1415,
        cmd_sn: SN_24,
        exp_stat_sn: SN_28,
    };
    assert_eq!(request, expected);
    let response = logout_response::LogoutResponse {
        response: 2,
        initiator_task_tag: WORD_16,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
        time2wait: 0x2829,
        time2retain: 0x2a2b,
    };
    let mut expected = counting([0x26, 0x80, 2, 0, 0, 0, 0, 0]);
    expected[8..16].fill(0);
    expected[20..24].fill(0);
    expected[36..40].fill(0);
    expected[44..].fill(0);
    assert_eq!(response.encode(0), expected);
}

#[test]
fn async_message_and_reject_are_laid_out_as_in_11_9_and_11_17() {
    let message = async_message::AsyncMessage {
        lun: LUN,
        initiator_task_tag: RESERVED_TAG,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
        async_event: 0x24,
        async_v_code: 0x25,
        parameter1: 0x2627,
        parameter2: 0x2829,
        parameter3: 0x2a2b,
    };
    let mut expected = counting([0x32, 0x80, 0, 0, 0, 0, 0, 0]);
    expected[16..20].fill(0xff);
    expected[20..24].fill(0);
    expected[44..].fill(0);
    assert_eq!(message.encode(0), expected);
    let reject = reject::Reject {
        reason: 9,
        initiator_task_tag: RESERVED_TAG,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
        data_sn: 0,
    };
    let mut expected = counting([0x3f, 0x80, 9, 0, 0, 0, 0, 48]);
    expected[8..16].fill(0);
    expected[16..20].fill(0xff);
    expected[20..24].fill(0);
    expected[36..].fill(0);
    assert_eq!(reject.encode(48), expected);
}

#[test]
fn nop_and_text_share_a_layout() {
    let bhs = counting([0x40, 0x80, 0, 0, 0, 0, 0, 0]);
    let nop = nop_out::NopOut::parse(&bhs);
    let expected = nop_out::NopOut {
        immediate: true,
        lun: LUN,
        initiator_task_tag: WORD_16,
        target_transfer_tag: WORD_20,
        cmd_sn: SN_24,
        exp_stat_sn: SN_28,
    };
    assert_eq!(nop, expected);
    let text = text_request::TextRequest::parse(&counting([0x44, 0x40, 0, 0, 0, 0, 0, 0]));
    assert!(text.immediate && text.text_continues && !text.last);
    assert_eq!(text.target_transfer_tag, WORD_20);
    let nop = nop_in::NopIn {
        lun: LUN,
        initiator_task_tag: WORD_16,
        target_transfer_tag: WORD_20,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
    };
    let mut expected = counting([0x20, 0x80, 0, 0, 0, 0, 0, 9]);
    expected[36..].fill(0);
    assert_eq!(nop.encode(9), expected);
    let text = text_response::TextResponse {
        last: true,
        text_continues: false,
        lun: LUN,
        initiator_task_tag: WORD_16,
        target_transfer_tag: WORD_20,
        stat_sn: SN_24,
        exp_cmd_sn: SN_28,
        max_cmd_sn: SN_32,
    };
    expected[0] = 0x24;
    assert_eq!(text.encode(9), expected);
}

macro_rules! both_directions {
    ($bhs:expr, $($pdu:ty),+) => {$(
        let read = <$pdu>::parse($bhs);
        let written = read.encode(0x01_0203);
        prop_assert_eq!(<$pdu>::parse(&written), read);
        prop_assert_eq!(opcode(&written), <$pdu>::OPCODE);
        prop_assert_eq!(&written[4..8], &[0, 1, 2, 3]);
    )+};
}

proptest! {
    #[test]
    fn a_segment_is_cut_where_it_should_be(
        lengths in prop::collection::vec(0_usize..20, 0..6),
        cut in 0_usize..120,
    ) {
        let whole: Vec<u8> = (0..251).cycle().take(lengths.iter().sum()).collect();
        let mut segment = DataSegment::new();
        let mut at = 0;
        for length in lengths {
            segment.push(Bytes::copy_from_slice(&whole[at..at + length]));
            at += length;
        }
        let cut_at = cut.min(whole.len());
        let mut front = segment.clone();
        front.truncate(cut);
        prop_assert_eq!(&front.to_contiguous()[..], &whole[..cut_at]);
        prop_assert_eq!(front.len(), cut_at);
        let split = segment.split_to(cut);
        prop_assert_eq!(&split.to_contiguous()[..], &whole[..cut_at]);
        prop_assert_eq!(&segment.to_contiguous()[..], &whole[cut_at..]);
        prop_assert_eq!(segment.len(), whole.len() - cut_at);
        prop_assert!(segment.pieces().all(|piece| !piece.is_empty()));
        segment.detach();
        prop_assert_eq!(&segment.to_contiguous()[..], &whole[cut_at..]);
    }

    #[test]
    fn what_is_written_reads_the_same(bytes in prop::collection::vec(any::<u8>(), BHS_LEN)) {
        let mut bhs: Bhs = bytes.try_into().unwrap();
        // Which of them is looked at is not for `parse` to say.
        bhs[0] &= 0x7f;
        both_directions!(
            &bhs,
            scsi_command::ScsiCommand,
            scsi_response::ScsiResponse,
            task_management_request::TaskManagementRequest,
            task_management_response::TaskManagementResponse,
            data_out::DataOut,
            data_in::DataIn,
            r2t::R2t,
            async_message::AsyncMessage,
            text_request::TextRequest,
            text_response::TextResponse,
            logout_request::LogoutRequest,
            logout_response::LogoutResponse,
            snack::Snack,
            reject::Reject,
            nop_out::NopOut,
            nop_in::NopIn
        );
    }
}
