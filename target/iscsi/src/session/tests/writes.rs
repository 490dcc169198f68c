//! Data-Out: immediate, unsolicited and solicited (RFC 7143 §4.2.5.2, §11.7, §11.8).

use super::*;

const UNEXPECTED: [u8; 2] = [0x0c, 0x0c];
const INCORRECT_AMOUNT: [u8; 2] = [0x0c, 0x0d];
const CRC_ERROR: [u8; 2] = [0x47, 0x05];

fn unsolicited(tag: u32, data_sn: u32, buffer_offset: u32, last: bool) -> DataOut {
    DataOut {
        last,
        initiator_task_tag: tag,
        target_transfer_tag: RESERVED_TAG,
        data_sn,
        buffer_offset,
        ..DataOut::default()
    }
}

fn answer(r2t: &R2t, data_sn: u32, buffer_offset: u32, last: bool) -> DataOut {
    DataOut {
        last,
        lun: r2t.lun,
        initiator_task_tag: r2t.initiator_task_tag,
        target_transfer_tag: r2t.target_transfer_tag,
        data_sn,
        buffer_offset,
        ..DataOut::default()
    }
}

#[test]
fn immediate_data_is_all_that_a_short_write_needs() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(512, &pattern(512), true);
    initiator.session.request_data(task, 512);
    assert_eq!(initiator.expect_data(task), pattern(512));
    initiator.expect_quiet();
    initiator.session.respond(task, good(512));
    let expected = ScsiResponse {
        initiator_task_tag: tag,
        stat_sn: SerialNumber(FIRST_STAT_SN),
        exp_cmd_sn: SerialNumber(FIRST_CMD_SN).next(),
        max_cmd_sn: SerialNumber(FIRST_CMD_SN).plus(8),
        ..ScsiResponse::default()
    };
    assert_eq!(initiator.expect_response(), (expected, Bytes::new()));
}

#[test]
fn immediate_unsolicited_and_solicited_data_come_together_in_one_event() {
    let mut initiator = Initiator::new();
    let data = pattern(9_000);
    let (tag, task) = initiator.write(9_000, &data[..1_000], false);
    initiator.session.request_data(task, 9_000);
    initiator.expect_quiet();
    initiator.data_out(unsolicited(tag, 0, 1_000, false), &data[1_000..1_500]);
    initiator.expect_quiet();
    initiator.data_out(unsolicited(tag, 1, 1_500, true), &data[1_500..2_048]);
    for (r2t_sn, from, to) in [(0, 2_048, 6_144), (1, 6_144, 9_000)] {
        let r2t = initiator.expect_r2t();
        initiator.expect_quiet();
        assert_eq!(
            (r2t.r2t_sn, r2t.initiator_task_tag, r2t.lun),
            (r2t_sn, tag, LUN)
        );
        assert_eq!(r2t.buffer_offset as usize, from);
        assert_eq!(r2t.desired_data_transfer_length as usize, to - from);
        let middle = from + 1_024;
        let header = answer(&r2t, 0, r2t.buffer_offset, false);
        initiator.data_out(header, &data[from..middle]);
        initiator.expect_quiet();
        let header = answer(&r2t, 1, r2t.buffer_offset + 1_024, true);
        initiator.data_out(header, &data[middle..to]);
    }
    assert_eq!(initiator.expect_data(task), data);
    initiator.session.respond(task, good(9_000));
    let (response, _) = initiator.expect_response();
    assert_eq!(response.exp_data_sn, 2, "two R2Ts were sent");
}

#[test]
fn as_many_r2ts_are_outstanding_as_were_negotiated() {
    let parameters = Parameters {
        max_outstanding_r2t: 3,
        ..parameters()
    };
    let mut initiator = Initiator::with(config(parameters));
    let data = pattern(20_000);
    let (_, task) = initiator.write(20_000, &[], true);
    initiator.session.request_data(task, 20_000);
    let mut open: VecDeque<_> = (0..3).map(|_| initiator.expect_r2t()).collect();
    initiator.expect_quiet();
    while let Some(r2t) = open.pop_front() {
        let from = r2t.buffer_offset as usize;
        let to = from + r2t.desired_data_transfer_length as usize;
        initiator.data_out(answer(&r2t, 0, r2t.buffer_offset, true), &data[from..to]);
        open.extend(match initiator.receive() {
            Some(Seen::R2t(r2t)) => Some(r2t),
            None => None,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(initiator.expect_data(task), data);
}

#[test]
fn r2ts_may_be_answered_in_any_order() {
    let parameters = Parameters {
        max_outstanding_r2t: 2,
        data_pdu_in_order: false,
        data_sequence_in_order: false,
        ..parameters()
    };
    let mut initiator = Initiator::with(config(parameters));
    let data = pattern(8_192);
    let (_, task) = initiator.write(8_192, &[], true);
    initiator.session.request_data(task, 8_192);
    let (first, second) = (initiator.expect_r2t(), initiator.expect_r2t());
    initiator.data_out(answer(&second, 0, 6_000, false), &data[6_000..8_192]);
    initiator.data_out(answer(&second, 1, 4_096, true), &data[4_096..6_000]);
    initiator.data_out(answer(&first, 0, 1_024, false), &data[1_024..4_096]);
    initiator.expect_quiet();
    initiator.data_out(answer(&first, 1, 0, true), &data[..1_024]);
    assert_eq!(initiator.expect_data(task), data);
}

#[test]
fn only_what_is_asked_for_is_solicited_and_delivered() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.write(10_000, &[], true);
    initiator.session.request_data(task, 512);
    let r2t = initiator.expect_r2t();
    assert_eq!(
        (r2t.buffer_offset, r2t.desired_data_transfer_length),
        (0, 512)
    );
    initiator.data_out(answer(&r2t, 0, 0, true), &pattern(512));
    assert_eq!(initiator.expect_data(task).len(), 512);
    initiator.session.respond(task, good(512));
    let (response, _) = initiator.expect_response();
    assert!(response.underflow);
    assert_eq!(response.residual_count, 10_000 - 512);
}

#[test]
fn more_than_the_initiator_has_is_never_asked_for() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.write(200, &pattern(200), true);
    initiator.session.request_data(task, 512);
    assert_eq!(initiator.expect_data(task), pattern(200));
    initiator.session.respond(task, good(512));
    let (response, _) = initiator.expect_response();
    assert!(response.overflow);
    assert_eq!(response.residual_count, 312);
}

#[test]
fn asking_for_nothing_makes_nothing_happen() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.write(512, &[], true);
    initiator.session.request_data(task, 0);
    initiator.expect_quiet();
    let (_, task) = initiator.read(512);
    initiator.session.request_data(task, 512);
    initiator.expect_quiet();
}

#[test]
fn data_that_was_not_negotiated_ends_the_command_before_the_shell_hears_of_it() {
    let cases = [
        (
            Parameters {
                immediate_data: false,
                ..parameters()
            },
            512,
            true,
        ),
        (
            Parameters {
                initial_r2t: true,
                ..parameters()
            },
            0,
            false,
        ),
    ];
    for (parameters, immediate, last) in cases {
        let mut initiator = Initiator::with(config(parameters));
        let tag = initiator.command(write_command(1_024, last), &pattern(immediate));
        if !last {
            initiator.expect_quiet();
            initiator.data_out(unsolicited(tag, 0, 0, false), &pattern(500));
            initiator.expect_quiet();
            initiator.data_out(unsolicited(tag, 1, 500, true), &pattern(524));
        }
        initiator.expect_aborted_command(tag, UNEXPECTED);
        initiator.expect_quiet();
        initiator.read(0);
    }
}

#[test]
fn a_read_that_carries_data_is_ended() {
    let mut initiator = Initiator::new();
    let command = CommandPdu {
        last: true,
        read: true,
        expected_data_transfer_length: 512,
        ..CommandPdu::default()
    };
    let tag = initiator.command(command, &pattern(512));
    initiator.expect_aborted_command(tag, UNEXPECTED);
    let (_, task) = initiator.write(512, &pattern(512), true);
    initiator.session.request_data(task, 512);
    assert_eq!(
        initiator.expect_data(task).len(),
        512,
        "the slot is as good as new"
    );
}

#[test]
fn more_immediate_data_than_first_burst_or_command_allow_is_an_incorrect_amount() {
    let mut initiator = Initiator::new();
    let tag = initiator.command(write_command(100_000, true), &pattern(2_049));
    initiator.expect_aborted_command(tag, INCORRECT_AMOUNT);
    let tag = initiator.command(write_command(511, true), &pattern(512));
    initiator.expect_aborted_command(tag, INCORRECT_AMOUNT);
    initiator.expect_quiet();
}

#[test]
fn unsolicited_data_short_of_first_burst_length_is_an_incorrect_amount() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(4_096, &[], false);
    initiator.session.request_data(task, 4_096);
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(2_047));
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_aborted_command(tag, INCORRECT_AMOUNT);
}

#[test]
fn unsolicited_data_of_a_short_write_may_be_completed_by_an_r2t() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(2_000, &[], false);
    initiator.session.request_data(task, 2_000);
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(1_000));
    let r2t = initiator.expect_r2t();
    assert_eq!(
        (r2t.buffer_offset, r2t.desired_data_transfer_length),
        (1_000, 1_000)
    );
}

#[test]
fn unsolicited_data_beyond_first_burst_length_is_rejected_and_ends_the_task() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(4_096, &[], false);
    initiator.session.request_data(task, 4_096);
    let header = unsolicited(tag, 0, 0, false);
    initiator.data_out(header, &pattern(2_049));
    assert_eq!(
        initiator.expect_reject(),
        (0x09, Bytes::copy_from_slice(&header.encode(2_049)))
    );
    initiator.expect_quiet();
    initiator.data_out(unsolicited(tag, 1, 2_049, true), &[]);
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_aborted_command(tag, INCORRECT_AMOUNT);
    initiator.session.respond(task, good(4_096));
    initiator.expect_quiet();
}

#[test]
fn a_data_sn_out_of_sequence_ends_the_task_when_its_data_is_in() {
    // (DataSN of the first PDU, of the second): repeated, left out, wrapped, reversed.
    for (first, second) in [(0, 0), (27, 28), (u32::MAX, 0), (1, 0), (0, 2)] {
        let mut initiator = Initiator::new();
        let (tag, task) = initiator.write(1_024, &[], true);
        initiator.session.request_data(task, 1_024);
        let r2t = initiator.expect_r2t();
        initiator.data_out(answer(&r2t, first, 0, false), &pattern(512));
        initiator.expect_quiet();
        initiator.data_out(answer(&r2t, second, 512, true), &pattern(512));
        assert_eq!(initiator.expect_abort(), task);
        initiator.expect_aborted_command(tag, CRC_ERROR);
        initiator.expect_quiet();
    }
}

#[test]
fn data_in_the_wrong_place_is_rejected_and_ends_the_task() {
    for (offset, length) in [(1, 100), (0, 1_025), (4_096, 10), (u32::MAX, 100)] {
        let mut initiator = Initiator::new();
        let (tag, task) = initiator.write(1_024, &[], true);
        initiator.session.request_data(task, 1_024);
        let r2t = initiator.expect_r2t();
        initiator.data_out(answer(&r2t, 0, offset, true), &pattern(length));
        assert_eq!(initiator.expect_reject().0, 0x09, "{offset} {length}");
        assert_eq!(initiator.expect_abort(), task);
        initiator.expect_aborted_command(tag, INCORRECT_AMOUNT);
    }
}

#[test]
fn a_burst_that_ends_too_early_is_an_incorrect_amount() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(1_024, &[], true);
    initiator.session.request_data(task, 1_024);
    let r2t = initiator.expect_r2t();
    initiator.data_out(answer(&r2t, 0, 0, true), &pattern(1_000));
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_aborted_command(tag, INCORRECT_AMOUNT);
}

#[test]
fn a_failing_task_waits_for_all_its_open_sequences() {
    let parameters = Parameters {
        max_outstanding_r2t: 2,
        ..parameters()
    };
    let mut initiator = Initiator::with(config(parameters));
    let (tag, task) = initiator.write(12_000, &[], true);
    initiator.session.request_data(task, 12_000);
    let (first, second) = (initiator.expect_r2t(), initiator.expect_r2t());
    initiator.data_out(answer(&first, 9, 0, true), &pattern(4_096));
    initiator.expect_quiet();
    initiator.data_out(answer(&second, 0, 4_096, true), &pattern(4_096));
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_aborted_command(tag, CRC_ERROR);
    initiator.expect_quiet();
}

#[test]
fn unsolicited_data_after_its_end_is_unexpected() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(4_096, &[], true);
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(512));
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_aborted_command(tag, UNEXPECTED);
}

#[test]
fn data_for_a_task_that_was_answered_is_swallowed() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(2_048, &[], false);
    initiator.session.respond(task, good(0));
    initiator.expect_response();
    initiator.data_out(unsolicited(tag, 0, 0, false), &pattern(1_024));
    initiator.data_out(unsolicited(tag, 1, 1_024, true), &pattern(1_024));
    initiator.expect_quiet();
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(1_024));
    assert_eq!(initiator.expect_reject().0, 0x09, "its data had ended");

    let (_, task) = initiator.write(1_024, &[], true);
    initiator.session.request_data(task, 1_024);
    let r2t = initiator.expect_r2t();
    initiator.session.respond(task, good(0));
    initiator.expect_response();
    initiator.data_out(answer(&r2t, 0, 0, true), &pattern(1_024));
    initiator.expect_quiet();
    let (_, again) = initiator.write(1_024, &[], true);
    initiator.session.request_data(again, 1_024);
    initiator.expect_r2t();
    initiator.data_out(answer(&r2t, 0, 0, true), &pattern(1_024));
    initiator.expect_quiet();
}

#[test]
fn the_unsolicited_data_of_a_rejected_command_is_swallowed() {
    let mut initiator = Initiator::new();
    let tag = initiator.command(
        CommandPdu {
            attribute: 7,
            ..write_command(2_000, false)
        },
        &[],
    );
    assert_eq!(initiator.expect_reject().0, 0x09);
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(2_000));
    initiator.expect_quiet();
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(2_000));
    assert_eq!(initiator.expect_reject().0, 0x09);
}

#[test]
fn a_tag_that_is_used_again_means_the_new_task() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(2_048, &[], false);
    initiator.session.respond(task, good(0));
    initiator.expect_response();
    initiator.next_tag = tag - 1;
    let (again, task) = initiator.write(2_048, &[], false);
    assert_eq!(again, tag);
    initiator.session.request_data(task, 2_048);
    initiator.data_out(unsolicited(tag, 0, 0, true), &pattern(2_048));
    assert_eq!(initiator.expect_data(task), pattern(2_048));
}

#[test]
fn transfer_tags_that_were_never_given_out_are_rejected() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(1_024, &[], true);
    initiator.session.request_data(task, 1_024);
    let r2t = initiator.expect_r2t();
    let wrong_slot = DataOut {
        target_transfer_tag: 0x0000_0abc,
        ..answer(&r2t, 0, 0, true)
    };
    initiator.data_out(wrong_slot, &pattern(1_024));
    assert_eq!(initiator.expect_reject().0, 0x09);
    let wrong_task = DataOut {
        initiator_task_tag: tag + 100,
        ..answer(&r2t, 0, 0, true)
    };
    initiator.data_out(wrong_task, &pattern(1_024));
    assert_eq!(initiator.expect_reject().0, 0x09);
    initiator.data_out(answer(&r2t, 0, 0, true), &pattern(1_024));
    assert_eq!(initiator.expect_data(task), pattern(1_024));
}

#[test]
fn a_write_without_f_and_w_is_rejected() {
    let mut initiator = Initiator::new();
    let command = CommandPdu {
        last: false,
        read: true,
        ..CommandPdu::default()
    };
    initiator.command(command, &[]);
    assert_eq!(initiator.expect_reject().0, 0x09);
    initiator.read(0);
}

#[test]
fn solicited_data_is_limited_by_credit_for_whole_tasks_in_order() {
    let mut initiator = Initiator::new();
    initiator.session.set_data_credit(10_000);
    let tasks: Vec<_> = (0..3).map(|_| initiator.write(6_000, &[], true)).collect();
    for (_, task) in &tasks {
        initiator.session.request_data(*task, 6_000);
    }
    let data = pattern(6_000);
    for (tag, task) in &tasks {
        for (from, to) in [(0, 4_096), (4_096, 6_000)] {
            let r2t = initiator.expect_r2t();
            initiator.expect_quiet();
            assert_eq!(
                (r2t.initiator_task_tag, r2t.buffer_offset as usize),
                (*tag, from)
            );
            initiator.data_out(answer(&r2t, 0, r2t.buffer_offset, true), &data[from..to]);
        }
        assert_eq!(initiator.expect_data(*task), data);
    }
    initiator.expect_quiet();
}

#[test]
fn a_task_larger_than_the_credit_goes_on_alone_and_an_ended_one_gives_it_back() {
    let mut initiator = Initiator::new();
    initiator.session.set_data_credit(1);
    let (_, large) = initiator.write(6_000, &[], true);
    let (_, waiting) = initiator.write(1_000, &[], true);
    let (tag, last) = initiator.write(1_000, &[], true);
    for task in [large, waiting, last] {
        initiator.session.request_data(task, 1_000);
    }
    initiator.expect_r2t();
    initiator.expect_quiet();
    initiator.session.respond(waiting, good(0));
    initiator.expect_response();
    initiator.session.respond(large, good(0));
    // Its R2T is sent as soon as the credit is back: before the response that gave it back.
    let r2t = initiator.expect_r2t();
    assert_eq!(r2t.initiator_task_tag, tag);
    initiator.expect_response();
    initiator.expect_quiet();
}
