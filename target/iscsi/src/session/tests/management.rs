//! Task management (RFC 7143 §4.2.3, §11.5, §11.6).

use super::*;

const OTHER_LUN: [u8; 8] = [0, 2, 0, 0, 0, 0, 0, 0];
const ABORT_TASK: u8 = 1;
const ABORT_TASK_SET: u8 = 2;
const LOGICAL_UNIT_RESET: u8 = 5;
const TARGET_WARM_RESET: u8 = 6;
const TARGET_COLD_RESET: u8 = 7;

fn function(function: u8) -> ManagementPdu {
    ManagementPdu {
        immediate: true,
        function,
        lun: LUN,
        referenced_task_tag: RESERVED_TAG,
        ..ManagementPdu::default()
    }
}

fn abort(tag: u32, cmd_sn: u32) -> ManagementPdu {
    ManagementPdu {
        referenced_task_tag: tag,
        ref_cmd_sn: SerialNumber(cmd_sn),
        ..function(ABORT_TASK)
    }
}

fn read_from(initiator: &mut Initiator, lun: [u8; 8]) -> TaskId {
    let command = CommandPdu {
        last: true,
        read: true,
        lun,
        ..CommandPdu::default()
    };
    initiator.command(command, &[]);
    initiator.expect_command().task
}

#[test]
fn abort_task_ends_the_task_and_is_answered_when_the_shell_says_so() {
    let mut initiator = Initiator::new();
    let cmd_sn = initiator.cmd_sn;
    let (tag, task) = initiator.read(512);
    let request = initiator.management(abort(tag, cmd_sn));
    assert_eq!(initiator.expect_abort(), task);
    let event = initiator.expect_management();
    assert_eq!(event.function, TaskManagementFunction::AbortTask);
    assert_eq!((event.lun, event.referenced), (LUN, Some(task)));
    initiator.session.respond(task, data_reply(pattern(512)));
    initiator.expect_quiet();
    let complete = TaskManagementResponse::FunctionComplete;
    initiator.session.task_management_done(event.tag, complete);
    assert_eq!(initiator.expect_management_response(), (request, 0));
    initiator.session.task_management_done(event.tag, complete);
    initiator.expect_quiet();
    assert_eq!(initiator.session.outstanding(), 0);
}

#[test]
fn abort_task_of_a_write_swallows_the_rest_of_its_data() {
    let mut initiator = Initiator::new();
    let cmd_sn = initiator.cmd_sn;
    let (tag, task) = initiator.write(1_024, &[], true);
    initiator.session.request_data(task, 1_024);
    let r2t = initiator.expect_r2t();
    initiator.management(abort(tag, cmd_sn));
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_management();
    let data = DataOut {
        last: true,
        initiator_task_tag: tag,
        target_transfer_tag: r2t.target_transfer_tag,
        ..DataOut::default()
    };
    initiator.data_out(data, &pattern(1_024));
    initiator.expect_quiet();
}

#[test]
fn a_task_that_has_ended_or_is_elsewhere_does_not_exist() {
    let mut initiator = Initiator::new();
    let cmd_sn = initiator.cmd_sn;
    let (tag, task) = initiator.read(512);
    initiator.session.respond(task, good(0));
    initiator.expect_response();
    let request = initiator.management(abort(tag, cmd_sn));
    assert_eq!(initiator.expect_management_response(), (request, 1));
    let cmd_sn = initiator.cmd_sn;
    let (tag, _) = initiator.read(512);
    initiator.management(ManagementPdu {
        lun: OTHER_LUN,
        ..abort(tag, cmd_sn)
    });
    assert_eq!(initiator.expect_management_response().1, 1);
    initiator.expect_quiet();
}

#[test]
fn abort_task_takes_a_missing_command_as_received() {
    let mut initiator = Initiator::new();
    let missing = initiator.cmd_sn;
    initiator.cmd_sn = missing.wrapping_add(1);
    initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    initiator.expect_quiet();
    initiator.management(abort(555, missing));
    assert_eq!(initiator.expect_command().cmd_sn, missing.wrapping_add(1));
    assert_eq!(initiator.expect_management_response().1, 0);
    assert_eq!(initiator.exp_cmd_sn, SerialNumber(missing.wrapping_add(2)));
    let late = CommandPdu {
        last: true,
        initiator_task_tag: 555,
        cmd_sn: SerialNumber(missing),
        ..CommandPdu::default()
    };
    initiator.send(late.encode(0), &[]);
    initiator.expect_quiet();
}

#[test]
fn abort_task_ends_a_command_that_waits_for_its_turn() {
    let mut initiator = Initiator::new();
    let missing = initiator.cmd_sn;
    initiator.cmd_sn = missing.wrapping_add(1);
    let tag = initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    let waiting = missing.wrapping_add(1);
    initiator.management(abort(tag + 1_000, waiting));
    assert_eq!(initiator.expect_management_response().1, 1, "another tag");
    initiator.management(abort(tag, waiting));
    assert_eq!(initiator.expect_management_response().1, 0);
    initiator.cmd_sn = missing;
    initiator.read(0);
    assert_eq!(
        initiator.session.outstanding(),
        1,
        "the aborted one never begins"
    );
    initiator.cmd_sn = missing.wrapping_add(2);
    initiator.read(0);
}

#[test]
fn a_reference_beyond_the_request_itself_is_no_task() {
    let mut initiator = Initiator::new();
    let next = initiator.cmd_sn;
    initiator.management(abort(1, next));
    assert_eq!(initiator.expect_management_response().1, 1);
    assert_eq!(initiator.exp_cmd_sn, SerialNumber(next));
}

#[test]
fn functions_for_a_logical_unit_end_its_tasks_only() {
    for code in [ABORT_TASK_SET, 4, LOGICAL_UNIT_RESET] {
        let mut initiator = Initiator::new();
        let first = read_from(&mut initiator, LUN);
        let other = read_from(&mut initiator, OTHER_LUN);
        let second = read_from(&mut initiator, LUN);
        initiator.management(function(code));
        let ended = [initiator.expect_abort(), initiator.expect_abort()];
        assert_eq!(ended, [first, second]);
        let event = initiator.expect_management();
        assert_eq!((event.lun, event.referenced), (LUN, None));
        initiator.expect_quiet();
        initiator
            .session
            .task_management_done(event.tag, TaskManagementResponse::LunDoesNotExist);
        assert_eq!(initiator.expect_management_response().1, 2);
        initiator.session.respond(other, good(0));
        initiator.expect_response();
    }
}

#[test]
fn target_resets_end_all_tasks_and_a_cold_one_the_session() {
    for (code, closes) in [(TARGET_WARM_RESET, false), (TARGET_COLD_RESET, true)] {
        let mut initiator = Initiator::new();
        read_from(&mut initiator, LUN);
        read_from(&mut initiator, OTHER_LUN);
        initiator.management(function(code));
        initiator.expect_abort();
        initiator.expect_abort();
        let event = initiator.expect_management();
        initiator
            .session
            .task_management_done(event.tag, TaskManagementResponse::FunctionComplete);
        assert_eq!(initiator.expect_management_response().1, 0);
        if closes {
            assert_eq!(initiator.expect_close(), CloseReason::TargetColdReset);
        }
        initiator.expect_quiet();
    }
}

#[test]
fn a_multi_task_function_waits_for_the_commands_before_it() {
    let mut initiator = Initiator::new();
    let missing = initiator.cmd_sn;
    initiator.cmd_sn = missing.wrapping_add(1);
    initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    initiator.management(function(LOGICAL_UNIT_RESET));
    initiator.expect_quiet();
    let next = initiator.cmd_sn;
    initiator.cmd_sn = missing;
    initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    let tasks = [
        initiator.expect_command().task,
        initiator.expect_command().task,
    ];
    assert_eq!([initiator.expect_abort(), initiator.expect_abort()], tasks);
    initiator.expect_management();
    initiator.cmd_sn = next;
    initiator.read(0);
}

#[test]
fn a_multi_task_function_waits_until_the_last_command_before_it_is_there() {
    let mut initiator = Initiator::new();
    let first = initiator.cmd_sn;
    initiator.cmd_sn = first.wrapping_add(2);
    initiator.management(function(LOGICAL_UNIT_RESET));
    initiator.cmd_sn = first;
    let command = CommandPdu {
        last: true,
        ..CommandPdu::default()
    };
    initiator.command(command, &[]);
    initiator.expect_command();
    initiator.expect_quiet();
    initiator.command(command, &[]);
    initiator.expect_command();
    initiator.expect_abort();
    initiator.expect_abort();
    initiator.expect_management();
}

#[test]
fn a_function_with_a_number_out_of_the_world_does_not_wait() {
    let mut initiator = Initiator::new();
    let request = ManagementPdu {
        initiator_task_tag: 9,
        cmd_sn: SerialNumber(FIRST_CMD_SN.wrapping_add(1_000)),
        ..function(LOGICAL_UNIT_RESET)
    };
    initiator.send(request.encode(0), &[]);
    initiator.expect_management();
}

#[test]
fn what_is_not_supported_is_said_to_be_so() {
    let mut initiator = Initiator::new();
    for (code, response) in [(8, 4), (3, 5), (0, 5), (9, 5), (11, 5), (127, 5)] {
        let request = initiator.management(ManagementPdu {
            immediate: false,
            ..function(code)
        });
        assert_eq!(
            initiator.expect_management_response(),
            (request, response),
            "{code}"
        );
    }
    initiator.expect_quiet();
}

#[test]
fn only_so_many_functions_are_under_way() {
    let mut initiator = Initiator::new();
    let mut tags = Vec::new();
    for _ in 0..16 {
        initiator.management(function(ABORT_TASK_SET));
        tags.push(initiator.expect_management().tag);
    }
    initiator.management(function(ABORT_TASK_SET));
    assert_eq!(initiator.expect_reject().0, 0x06);
    initiator.management(ManagementPdu {
        immediate: false,
        ..function(ABORT_TASK_SET)
    });
    assert_eq!(initiator.expect_management_response().1, 255);
    let complete = TaskManagementResponse::FunctionComplete;
    initiator.session.task_management_done(tags[7], complete);
    assert_eq!(initiator.expect_management_response().1, 0);
    initiator.management(function(ABORT_TASK_SET));
    initiator.expect_management();
}

#[test]
fn other_sessions_may_end_the_tasks_of_a_logical_unit() {
    let mut initiator = Initiator::new();
    let task = read_from(&mut initiator, LUN);
    let other = read_from(&mut initiator, OTHER_LUN);
    initiator.session.abort_lun(LUN);
    assert_eq!(initiator.expect_abort(), task);
    initiator.expect_quiet();
    initiator.session.respond(task, good(0));
    initiator.expect_quiet();
    initiator.session.respond(other, good(0));
    let (response, _) = initiator.expect_response();
    assert_eq!(
        response.max_cmd_sn,
        SerialNumber(initiator.cmd_sn).plus(7),
        "both tasks gave their place back"
    );
}
