//! CmdSN: order, window, immediate delivery (RFC 7143 §4.2.2.1).

use super::*;

fn numbered(cmd_sn: u32, tag: u32) -> Bhs {
    CommandPdu {
        last: true,
        initiator_task_tag: tag,
        cmd_sn: SerialNumber(cmd_sn),
        ..CommandPdu::default()
    }
    .encode(0)
}

fn order(initiator: &mut Initiator) -> Vec<u32> {
    let mut order = Vec::new();
    while let Some(event) = initiator.session.poll_event() {
        match event {
            Event::Command(command) => order.push(command.cmd_sn.wrapping_sub(FIRST_CMD_SN)),
            other => panic!("{other:?}"),
        }
    }
    order
}

#[test]
fn commands_that_arrive_out_of_order_are_delivered_in_order() {
    let mut initiator = Initiator::new();
    for (ahead, delivered) in [
        (2, vec![]),
        (1, vec![]),
        (4, vec![]),
        (0, vec![0, 1, 2]),
        (5, vec![]),
        (3, vec![3, 4, 5]),
    ] {
        initiator.send(numbered(FIRST_CMD_SN.wrapping_add(ahead), ahead + 1), &[]);
        assert_eq!(order(&mut initiator), delivered, "after {ahead}");
    }
}

#[test]
fn duplicates_and_numbers_outside_the_window_are_silently_ignored() {
    let mut initiator = Initiator::new();
    for ahead in [8, 100, u32::MAX, 1 << 31] {
        initiator.send(numbered(FIRST_CMD_SN.wrapping_add(ahead), 1), &[]);
        initiator.expect_quiet();
    }
    initiator.send(numbered(FIRST_CMD_SN, 1), &[]);
    assert_eq!(order(&mut initiator), [0]);
    initiator.send(numbered(FIRST_CMD_SN, 2), &[]);
    initiator.send(numbered(FIRST_CMD_SN.wrapping_add(2), 3), &[]);
    initiator.send(numbered(FIRST_CMD_SN.wrapping_add(2), 4), &[]);
    initiator.expect_quiet();
    initiator.send(numbered(FIRST_CMD_SN.wrapping_add(1), 5), &[]);
    assert_eq!(order(&mut initiator), [1, 2]);
    initiator.expect_quiet();
}

#[test]
fn the_window_is_full_with_as_many_tasks_as_were_allowed_and_opens_with_each_response() {
    let mut initiator = Initiator::new();
    let tasks: Vec<_> = (0..8).map(|_| initiator.read(512).1).collect();
    initiator.send(numbered(initiator.cmd_sn, 900), &[]);
    initiator.expect_quiet();
    initiator.session.respond(tasks[3], good(0));
    let (response, _) = initiator.expect_response();
    assert_eq!(response.exp_cmd_sn, SerialNumber(initiator.cmd_sn));
    assert_eq!(response.max_cmd_sn, SerialNumber(initiator.cmd_sn));
    initiator.read(512);
    assert_eq!(initiator.session.outstanding(), 8);
}

#[test]
fn a_window_that_was_closed_and_widened_is_told_in_a_nop_in() {
    let mut initiator = Initiator::new();
    for _ in 0..8 {
        initiator.read(512);
    }
    initiator.session.set_command_window(4);
    initiator.expect_quiet();
    initiator.session.set_command_window(20);
    match initiator.receive() {
        Some(Seen::Nop(nop, _)) => {
            assert_eq!(
                (nop.initiator_task_tag, nop.target_transfer_tag),
                (u32::MAX, u32::MAX)
            );
            assert_eq!(nop.max_cmd_sn, SerialNumber(initiator.cmd_sn).plus(11));
        }
        other => panic!("{other:?}"),
    }
    initiator.session.set_command_window(30);
    initiator.expect_quiet();
}

#[test]
fn immediate_commands_are_delivered_at_once_and_use_no_number_up() {
    let mut initiator = Initiator::new();
    initiator.send(numbered(FIRST_CMD_SN.wrapping_add(1), 800), &[]);
    let urgent = CommandPdu {
        immediate: true,
        last: true,
        ..CommandPdu::default()
    };
    initiator.command(urgent, &[]);
    let command = initiator.expect_command();
    assert!(command.immediate);
    initiator.session.respond(command.task, good(0));
    let (response, _) = initiator.expect_response();
    assert_eq!(response.exp_cmd_sn, SerialNumber(FIRST_CMD_SN));
    initiator.send(numbered(FIRST_CMD_SN, 801), &[]);
    assert_eq!(order(&mut initiator), [0, 1]);
}

#[test]
fn too_many_immediate_commands_are_rejected() {
    let mut initiator = Initiator::new();
    let urgent = CommandPdu {
        immediate: true,
        last: true,
        ..CommandPdu::default()
    };
    let mut tasks = Vec::new();
    for _ in 0..command::IMMEDIATE_TASKS_MAX {
        initiator.command(urgent, &[]);
        tasks.push(initiator.expect_command().task);
    }
    initiator.command(urgent, &[]);
    assert_eq!(initiator.expect_reject().0, 0x06);
    initiator.session.respond(tasks[0], good(0));
    initiator.expect_response();
    initiator.command(urgent, &[]);
    initiator.expect_command();
}

#[test]
fn a_tag_in_use_is_rejected_and_its_task_goes_on() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.read(512);
    initiator.next_tag = tag - 1;
    initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    assert_eq!(initiator.expect_reject().0, 0x07);
    initiator.session.respond(task, good(0));
    initiator.expect_response();
}

#[test]
fn unsolicited_data_of_a_command_whose_tag_was_in_use_stays_that_of_the_older_task() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(1_024, &[], false);
    initiator.next_tag = tag - 1;
    initiator.command(write_command(1_024, false), &[]);
    assert_eq!(initiator.expect_reject().0, 0x07);
    initiator.session.respond(task, good(0));
    initiator.expect_response();
    let header = DataOut {
        last: true,
        initiator_task_tag: tag,
        target_transfer_tag: RESERVED_TAG,
        ..DataOut::default()
    };
    initiator.data_out(header, &[]);
    initiator.expect_quiet();
    initiator.data_out(header, &[]);
    assert_eq!(
        initiator.expect_reject().0,
        0x09,
        "one sequence was announced by a task"
    );
}

#[test]
fn rejected_commands_use_their_number_up() {
    let mut initiator = Initiator::new();
    initiator.command(
        CommandPdu {
            last: true,
            attribute: 7,
            ..CommandPdu::default()
        },
        &[],
    );
    assert_eq!(initiator.expect_reject().0, 0x09);
    initiator.read(0);
    let reserved = CommandPdu {
        last: true,
        initiator_task_tag: RESERVED_TAG,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        ..CommandPdu::default()
    };
    initiator.cmd_sn = initiator.cmd_sn.wrapping_add(1);
    initiator.send(reserved.encode(0), &[]);
    assert_eq!(initiator.expect_reject().0, 0x09);
    initiator.read(0);
}

#[test]
fn malformed_additional_headers_are_rejected_with_the_whole_header() {
    let mut initiator = Initiator::new();
    let mut bhs = numbered(FIRST_CMD_SN, 5);
    bhs[4] = 1;
    let ahs = Bytes::from_static(&[0, 1, 9, 0]);
    let pdu = RawPdu {
        bhs,
        ahs: ahs.clone(),
        data: DataSegment::new(),
    };
    initiator
        .session
        .handle_pdu(ConnectionId::LEADING, pdu, initiator.now);
    assert_eq!(
        initiator.expect_reject(),
        (0x09, [&bhs[..], &ahs].concat().into())
    );
}

#[test]
fn too_much_data_ahead_of_a_missing_command_ends_the_session() {
    let mut initiator = Initiator::new();
    initiator.session.set_command_window(100);
    for ahead in 1..8 {
        let mut command = write_command(400_000, true);
        command.initiator_task_tag = ahead;
        command.cmd_sn = SerialNumber(FIRST_CMD_SN.wrapping_add(ahead));
        initiator.send(command.encode(300_000), &pattern(300_000));
    }
    assert_eq!(initiator.expect_close(), CloseReason::TooFarAhead);
}
