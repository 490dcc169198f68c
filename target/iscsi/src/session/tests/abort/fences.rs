//! What a response with a fence waits for, and what waits for it (RFC 7143 §4.2.2.3.3).

use super::*;

const MODES: [TaskReporting; 2] = [TaskReporting::ResponseFence, TaskReporting::FastAbort];

#[test]
fn a_fence_waits_for_every_connection_and_holds_the_logical_unit_up() {
    for mode in MODES {
        let mut world = World::new(mode, 2);
        let (before, task) = world.plain(1, OTHER_LUN);
        world.respond(task, false);
        world.expect_response(1, before);
        let tasks = [
            world.plain(0, LUN),
            world.plain(0, LUN),
            world.plain(1, LUN),
            world.plain(0, OTHER_LUN),
        ];
        world.respond(tasks[0].1, true);
        world.respond(tasks[1].1, false);
        world.respond(tasks[2].1, false);
        world.expect_nothing();
        assert!(world.peers[1].asked, "a ping accelerates it");
        // Another logical unit has an order of its own.
        world.respond(tasks[3].1, false);
        world.expect_response(0, tasks[3].0);

        world.acknowledge(1, [0; 8]);
        world.expect_response(0, tasks[0].0);
        assert!(world.peers[0].asked, "it has to be acknowledged itself");
        world.expect_nothing();
        world.acknowledge(1, [0; 8]);
        world.expect_nothing();
        world.acknowledge(0, [0; 8]);
        world.expect_response(0, tasks[1].0);
        world.expect_response(1, tasks[2].0);
        assert_eq!(world.session.outstanding(), 0);
    }
}

#[test]
fn a_fence_waits_for_what_was_sent_on_its_own_connection_too() {
    let mut world = World::new(TaskReporting::ResponseFence, 2);
    let (before, task) = world.plain(0, LUN);
    world.respond(task, false);
    world.expect_response(0, before);
    let (fenced, task) = world.plain(0, LUN);
    world.respond(task, true);
    world.expect_nothing();
    world.acknowledge(0, [0; 8]);
    world.expect_response(0, fenced);
}

#[test]
fn one_connection_or_no_promise_needs_no_fence() {
    for (mode, connections) in [
        (TaskReporting::FastAbort, 1),
        (TaskReporting::ResponseFence, 1),
        (TaskReporting::Rfc3720, 2),
    ] {
        let mut world = World::new(mode, connections);
        for fence in [false, true, false, true] {
            let (tag, task) = world.plain(0, LUN);
            world.respond(task, fence);
            world.expect_response(0, tag);
        }
        assert!(!world.peers[0].asked);
    }
}

#[test]
fn the_answer_to_a_reset_of_the_target_holds_all_logical_units_up() {
    for (code, all) in [(TARGET_WARM_RESET, true), (LOGICAL_UNIT_RESET, false)] {
        let mut world = World::new(TaskReporting::FastAbort, 2);
        let request = world.function(1, code, LUN);
        let (_, function) = world.expect_function();
        world.complete(function);
        world.expect_answer(1, request);
        let (other, task) = world.plain(0, OTHER_LUN);
        world.respond(task, false);
        if all {
            world.expect_nothing();
            world.acknowledge(1, [0; 8]);
        }
        world.expect_response(0, other);
    }
}

#[test]
fn a_task_whose_answer_is_held_can_be_aborted_and_is_never_answered() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (fenced, first) = world.plain(0, LUN);
    let (held, second) = world.plain(1, LUN);
    world.respond(first, true);
    world.expect_response(0, fenced);
    world.respond(second, false);
    world.expect_nothing();
    assert_eq!(world.session.outstanding(), 1, "it hasn't ended");
    world.session.abort_lun(LUN);
    assert!(
        world.session.poll_event().is_none(),
        "the shell has answered it: it doesn't know it any more"
    );
    assert_eq!(world.session.outstanding(), 0);
    world.expect_termination(1, LUN);
    world.acknowledge(0, LUN);
    world.acknowledge(1, LUN);
    world.expect_nothing();
    // Its tag is free.
    let next = world.plain(1, LUN);
    assert_ne!(next.0, held);
    world.respond(next.1, false);
    world.expect_response(1, next.0);
}

#[test]
fn data_of_a_write_whose_answer_is_held_is_swallowed() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (fenced, first) = world.plain(0, LUN);
    let (write, task, transfer_tag) = world.soliciting(1, LUN, 512);
    world.respond(first, true);
    world.expect_response(0, fenced);
    world.respond(task, false);
    world.data_out(1, write, transfer_tag, &[1; 512]);
    world.expect_nothing();
    // A second answer to it is one too many.
    world.respond(task, false);
    world.acknowledge(0, [0; 8]);
    world.expect_response(1, write);
    world.expect_nothing();
    // The slot that it had serves a write as it should.
    let (write, task, transfer_tag) = world.soliciting(1, LUN, 512);
    world.data_out(1, write, transfer_tag, &[2; 512]);
    let event = world.session.poll_event();
    assert!(
        matches!(&event, Some(Event::DataOut { task: of, data }) if *of == task && data.len() == 512),
        "{event:?}"
    );
}

#[test]
fn a_read_whose_answer_was_held_leaves_its_slot_as_it_was() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (fenced, first) = world.plain(0, LUN);
    let (held, second) = world.plain(0, LUN);
    world.respond(first, true);
    world.respond(second, false);
    world.expect_response(0, fenced);
    world.acknowledge(0, [0; 8]);
    world.expect_response(0, held);
    for _ in 0..2 {
        let (write, task, transfer_tag) = world.soliciting(1, OTHER_LUN, 512);
        world.data_out(1, write, transfer_tag, &[2; 512]);
        let event = world.session.poll_event();
        assert!(matches!(event, Some(Event::DataOut { task: of, .. }) if of == task));
    }
}

#[test]
fn data_that_is_held_is_counted() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (fenced, first) = world.plain(0, LUN);
    world.respond(first, true);
    world.expect_response(0, fenced);
    let command = CommandPdu {
        last: true,
        read: true,
        lun: LUN,
        expected_data_transfer_length: 700,
        ..CommandPdu::default()
    };
    world.command(1, command);
    let task = world.expect_command();
    world.session.respond(task, data_reply(pattern(700)));
    assert_eq!(world.session.held_bytes(), 700);
    assert_eq!(world.session.unsent_bytes(), 0);
    world.session.abort_lun(LUN);
    assert_eq!(world.session.held_bytes(), 0);
}

#[test]
fn a_connection_that_acknowledges_nothing_is_closed() {
    for fenced_on in [0, 1] {
        let mut world = World::new(TaskReporting::FastAbort, 3);
        if fenced_on == 0 {
            let (tag, task) = world.plain(1, OTHER_LUN);
            world.respond(task, false);
            world.expect_response(1, tag);
        }
        let (fenced, task) = world.plain(fenced_on, LUN);
        let (held, other) = world.plain(2, LUN);
        world.respond(task, true);
        world.respond(other, false);
        if fenced_on == 1 {
            world.expect_response(1, fenced);
        }
        world.expect_nothing();
        for _ in 0..3 {
            world.peers[1].asked = false;
            world.pass(5 * SECOND);
            world.expect_nothing();
            assert!(world.peers[1].asked, "a question can get lost");
        }
        let due = world.session.poll_timeout().unwrap();
        assert_eq!(due - world.now, 5 * SECOND);
        world.pass(due - world.now - Duration::from_millis(1));
        world.expect_nothing();
        world.pass(Duration::from_millis(1));
        let event = world.session.poll_event();
        let silent = world.peers[1].id;
        assert!(
            matches!(event, Some(Event::CloseConnection { on, reason: CloseReason::NotAcknowledged }) if on == silent),
            "{event:?}"
        );
        let mut told = world.receive(0);
        let dropped = told.pop();
        assert!(matches!(dropped, Some(Seen::Async(message)) if message.async_event == 2));
        if fenced_on == 0 {
            assert!(
                matches!(&told[..], [Seen::Response(it, _)] if it.initiator_task_tag == fenced)
            );
            world.acknowledge(0, [0; 8]);
        }
        world.expect_response(2, held);
    }
}

#[test]
fn at_level_2_a_fence_waits_for_answers_that_may_still_be_delivered() {
    let mut world = World::at_level(TaskReporting::ResponseFence, 2, 2);
    let (_, task) = world.plain(1, LUN);
    let lost = world.peers[1].id;
    world.session.connection_lost(lost, world.now);
    world.receive(0);
    world.acknowledge(0, [0; 8]);
    // It was answered when its connection was gone: it waits to be reassigned.
    world.respond(task, false);
    let (fenced, task) = world.plain(0, LUN);
    world.respond(task, true);
    world.expect_nothing();
    let seconds = world.session.poll_timeout().unwrap() - world.now;
    assert!(seconds <= 22 * SECOND, "Time2Wait and Time2Retain");
    world.pass(22 * SECOND);
    while world.session.poll_event().is_some() {}
    world.expect_response(0, fenced);
}

/// The connection with CID 101 is gone: the initiator goes on with a task over the first one.
#[track_caller]
fn reassign(world: &mut World, tag: u32) {
    let log_out = LogoutRequest {
        immediate: true,
        reason: 2,
        initiator_task_tag: world.tag(),
        cid: 101,
        cmd_sn: SerialNumber(world.cmd_sn),
        ..LogoutRequest::default()
    };
    world.send(0, log_out.encode(0), &[]);
    let reassign = ManagementPdu {
        immediate: true,
        function: 8,
        lun: LUN,
        initiator_task_tag: world.tag(),
        referenced_task_tag: tag,
        cmd_sn: SerialNumber(world.cmd_sn),
        ..ManagementPdu::default()
    };
    world.send(0, reassign.encode(0), &[]);
    let seen = world.receive(0);
    let [Seen::Logout(_), Seen::Management(answer)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(answer.response, 0);
}

#[test]
fn at_level_2_a_response_that_waits_outlives_its_connection() {
    let mut world = World::at_level(TaskReporting::FastAbort, 2, 2);
    let (said, task) = world.plain(1, OTHER_LUN);
    world.respond(task, false);
    world.expect_response(1, said);
    // An immediate command ends with the connection, which makes fences be looked at.
    let immediate = CommandPdu {
        last: true,
        immediate: true,
        lun: OTHER_LUN,
        ..CommandPdu::default()
    };
    world.command(1, immediate);
    world.cmd_sn = world.cmd_sn.wrapping_sub(1);
    world.expect_command();
    let (fenced, task) = world.plain(1, LUN);
    world.respond(task, true);
    world.expect_nothing();
    let lost = world.peers[1].id;
    world.session.connection_lost(lost, world.now);
    while world.session.poll_event().is_some() {}
    world.receive(0);
    world.acknowledge(0, [0; 8]);
    world.expect_nothing();
    reassign(&mut world, fenced);
    world.acknowledge(0, [0; 8]);
    world.expect_response(0, fenced);
}

#[test]
fn at_level_2_a_response_with_a_fence_waits_for_its_connection() {
    let mut world = World::at_level(TaskReporting::FastAbort, 2, 2);
    let (fenced, task) = world.plain(1, LUN);
    let (held, other) = world.plain(0, LUN);
    let lost = world.peers[1].id;
    world.session.connection_lost(lost, world.now);
    world.receive(0);
    world.acknowledge(0, [0; 8]);
    world.respond(task, true);
    world.respond(other, false);
    world.expect_nothing();
    reassign(&mut world, fenced);
    world.acknowledge(0, [0; 8]);
    world.expect_response(0, fenced);
    world.acknowledge(0, [0; 8]);
    world.expect_response(0, held);
}

#[test]
fn a_fence_ends_with_the_task_whose_answer_it_is() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (said, task) = world.plain(1, OTHER_LUN);
    world.respond(task, false);
    world.expect_response(1, said);
    let (_, fenced) = world.plain(1, LUN);
    let between = world.cmd_sn;
    let (held, later) = world.plain(0, LUN);
    world.respond(fenced, true);
    world.respond(later, false);
    world.expect_nothing();
    // Only what was sent before it ends.
    let next = std::mem::replace(&mut world.cmd_sn, between);
    world.function(0, ABORT_TASK_SET, LUN);
    world.cmd_sn = next;
    world.expect_function();
    world.expect_termination(1, LUN);
    world.expect_response(0, held);
}

#[test]
fn a_cold_reset_is_answered_before_the_session_ends() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (said, task) = world.plain(0, LUN);
    world.respond(task, false);
    world.expect_response(0, said);
    let request = world.function(1, TARGET_COLD_RESET, LUN);
    let (_, function) = world.expect_function();
    world.complete(function);
    world.expect_nothing();
    world.acknowledge(0, [0; 8]);
    world.expect_answer(1, request);
    assert!(matches!(
        world.session.poll_event(),
        Some(Event::Close {
            reason: CloseReason::TargetColdReset
        })
    ));
}

#[test]
fn functions_whose_answers_wait_are_counted() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (said, task) = world.plain(0, LUN);
    world.respond(task, false);
    world.expect_response(0, said);
    for _ in 0..16 {
        world.function(1, LOGICAL_UNIT_RESET, LUN);
        let (_, function) = world.expect_function();
        world.complete(function);
    }
    world.function(1, LOGICAL_UNIT_RESET, LUN);
    let seen = world.receive(1);
    assert!(
        matches!(&seen[..], [Seen::Reject(it, _)] if it.reason == 0x06),
        "{seen:?}"
    );
}
