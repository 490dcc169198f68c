//! What an initiator can make a session keep is limited.

use super::*;

#[test]
fn stalled_writes_that_are_aborted_leave_nothing_behind() {
    let mut initiator = Initiator::new();
    initiator.session.set_data_credit(1);
    let (_, stalled) = initiator.write(4_096, &[], true);
    initiator.session.request_data(stalled, 4_096);
    initiator.expect_r2t();
    for _ in 0..1_000 {
        let cmd_sn = initiator.cmd_sn;
        let (tag, task) = initiator.write(4_096, &[], false);
        initiator.session.request_data(task, 4_096);
        let abort = ManagementPdu {
            immediate: true,
            function: 1,
            lun: LUN,
            referenced_task_tag: tag,
            ref_cmd_sn: SerialNumber(cmd_sn),
            ..ManagementPdu::default()
        };
        initiator.management(abort);
        initiator.expect_abort();
        let event = initiator.expect_management();
        initiator
            .session
            .task_management_done(event.tag, TaskManagementResponse::FunctionComplete);
        initiator.expect_management_response();
        initiator.expect_quiet();
    }
    assert_eq!(initiator.session.outstanding(), 1);
    assert!(initiator.session.ended.len() <= 256);
    assert_eq!(initiator.session.credit.waiting_len(), 0);
}

#[test]
fn small_pieces_of_large_writes_keep_no_receive_buffer_alive() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.write(2_048, &[], false);
    initiator.session.request_data(task, 2_048);
    let chunk = pattern(65_536);
    for data_sn in 0..100 {
        let header = DataOut {
            initiator_task_tag: tag,
            target_transfer_tag: RESERVED_TAG,
            data_sn,
            buffer_offset: data_sn * 10,
            ..DataOut::default()
        };
        let data = DataSegment::from(chunk.slice(..10));
        let pdu = RawPdu {
            bhs: header.encode(10),
            ahs: Bytes::new(),
            data,
        };
        initiator
            .session
            .handle_pdu(ConnectionId::LEADING, pdu, initiator.now);
    }
    assert!(chunk.is_unique());
}

#[test]
fn tasks_and_slots_never_outnumber_the_window() {
    let mut initiator = Initiator::new();
    for round in 0..100 {
        let (_, task) = initiator.read(512);
        assert!(task.index() < 8, "{round}");
        if round % 8 == 7 {
            initiator.session.abort_lun(LUN);
            while initiator.session.poll_event().is_some() {}
            // The window is told by whatever comes next.
            let (tag, urgent) = (initiator.tag(), true);
            let nop = NopOut {
                immediate: urgent,
                initiator_task_tag: tag,
                ..NopOut::default()
            };
            initiator.send(nop.encode(0), &[]);
            initiator.receive().unwrap();
        }
    }
}

#[test]
fn pdus_that_wait_for_their_turn_keep_no_receive_buffer_alive() {
    let mut initiator = Initiator::new();
    let chunk = pattern(65_536);
    let mut command = write_command(1_024, true);
    command.cmd_sn = SerialNumber(FIRST_CMD_SN.wrapping_add(1));
    command.initiator_task_tag = 1;
    let data = DataSegment::from(chunk.slice(..100));
    let pdu = RawPdu {
        bhs: command.encode(100),
        ahs: Bytes::new(),
        data,
    };
    initiator
        .session
        .handle_pdu(ConnectionId::LEADING, pdu, initiator.now);
    assert!(chunk.is_unique());
}

#[test]
fn a_slot_forgets_its_last_task() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.read(512);
    initiator.session.respond(task, good(0));
    initiator.expect_response();
    // Ended by its own data before the shell hears of it: there is nothing to abort.
    let tag = initiator.command(write_command(100_000, true), &pattern(2_049));
    initiator.expect_aborted_command(tag, [0x0c, 0x0d]);
    initiator.expect_quiet();
}
