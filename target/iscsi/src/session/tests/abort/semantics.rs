//! What is waited for and told when many tasks end at once (RFC 7143 §4.2.3.3 to §4.2.3.5).

use super::*;

const RESETS: [u8; 5] = [
    ABORT_TASK_SET,
    CLEAR_TASK_SET,
    LOGICAL_UNIT_RESET,
    TARGET_WARM_RESET,
    TARGET_COLD_RESET,
];

#[test]
fn with_fast_abort_the_answer_waits_for_no_data_and_other_connections_are_told() {
    for code in RESETS {
        let mut world = World::new(TaskReporting::FastAbort, 3);
        let (own, _, own_tag) = world.soliciting(0, LUN, 512);
        let (other, _, other_tag) = world.soliciting(1, LUN, 512);
        let request = world.function(0, code, LUN);
        let (ended, function) = world.expect_function();
        assert_eq!(ended.len(), 2);
        world.complete(function);
        // Not on the connection of the function, nor on one without such a task.
        assert_eq!(world.receive(0), []);
        assert_eq!(world.receive(2), []);
        world.expect_termination(1, LUN);
        world.acknowledge(1, LUN);
        world.expect_answer(0, request);
        // What was on its way is swallowed, on either connection.
        if code != TARGET_COLD_RESET {
            world.data_out(0, own, own_tag, &[1; 512]);
            world.data_out(1, other, other_tag, &[1; 512]);
            world.expect_nothing();
        }
    }
}

#[test]
fn each_logical_unit_and_connection_has_a_message_of_its_own() {
    let mut world = World::new(TaskReporting::FastAbort, 3);
    for (on, lun) in [(1, LUN), (1, OTHER_LUN), (1, LUN), (2, OTHER_LUN), (0, LUN)] {
        world.plain(on, lun);
    }
    world.function(0, TARGET_WARM_RESET, [0; 8]);
    world.expect_function();
    let luns = |seen: Vec<Seen>| {
        let luns = seen.into_iter().map(|seen| match seen {
            Seen::Async(message) if message.async_event == 5 => message.lun,
            other => panic!("{other:?}"),
        });
        let mut luns: Vec<_> = luns.collect();
        luns.sort_unstable();
        luns
    };
    assert_eq!(luns(world.receive(1)), [LUN, OTHER_LUN]);
    assert_eq!(luns(world.receive(2)), [OTHER_LUN]);
    assert_eq!(world.receive(0), []);
}

#[test]
fn a_third_party_is_told_on_each_connection_if_it_agreed_to_that() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    world.plain(0, LUN);
    world.plain(1, LUN);
    world.plain(1, OTHER_LUN);
    world.session.abort_lun(LUN);
    world.expect_termination(0, LUN);
    world.expect_termination(1, LUN);
    assert_eq!(world.session.outstanding(), 1);
    for mode in [TaskReporting::Rfc3720, TaskReporting::ResponseFence] {
        let mut world = World::new(mode, 2);
        world.plain(0, LUN);
        world.plain(1, LUN);
        world.session.abort_lun(LUN);
        while world.session.poll_event().is_some() {}
        world.expect_nothing();
    }
}

#[test]
fn a_session_with_one_connection_is_told_as_a_third_party_only() {
    let mut world = World::new(TaskReporting::FastAbort, 1);
    world.plain(0, LUN);
    let request = world.function(0, LOGICAL_UNIT_RESET, LUN);
    let (_, function) = world.expect_function();
    world.complete(function);
    world.expect_answer(0, request);
    world.plain(0, LUN);
    world.session.abort_lun(LUN);
    world.expect_termination(0, LUN);
    // Without tasks there is nothing to tell.
    world.session.abort_lun(LUN);
    while world.session.poll_event().is_some() {}
    world.expect_nothing();
}

#[test]
fn transfer_tags_stay_what_they_are_until_the_nop_out() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let (tag, task, transfer_tag) = world.soliciting(1, LUN, 512);
    world.session.abort_lun(LUN);
    while world.session.poll_event().is_some() {}
    world.expect_termination(1, LUN);
    let index_of_next = |world: &mut World| {
        let (_, next) = world.plain(1, OTHER_LUN);
        world.session.respond(next, good(0));
        next.index()
    };
    // Neither a command that acknowledges it nor a NOP-Out for another logical unit tells that the
    // data has stopped (RFC 7143 §11.9.1).
    assert_ne!(index_of_next(&mut world), task.index());
    world.receive(1);
    world.acknowledge(1, OTHER_LUN);
    assert_ne!(index_of_next(&mut world), task.index());
    world.data_out(1, tag, transfer_tag, &[1; 512]);
    assert!(world.session.poll_event().is_none());
    world.receive(1);
    world.acknowledge(1, LUN);
    assert_eq!(index_of_next(&mut world), task.index());
}

#[test]
fn an_initiator_that_does_not_acknowledge_the_end_of_its_tasks_is_dropped() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    world.soliciting(1, LUN, 512);
    world.session.abort_lun(LUN);
    while world.session.poll_event().is_some() {}
    world.receive(1);
    let due = world.session.poll_timeout().unwrap();
    world.pass(due - world.now);
    let silent = world.peers[1].id;
    let event = world.session.poll_event();
    assert!(
        matches!(event, Some(Event::CloseConnection { on, reason: CloseReason::NotAcknowledged }) if on == silent),
        "{event:?}"
    );
    assert_eq!(
        world.session.poll_timeout(),
        None,
        "nothing is left to wait for"
    );
}

#[test]
fn the_standard_semantics_wait_for_the_data_that_was_asked_for() {
    for code in RESETS {
        let mut world = World::new(TaskReporting::ResponseFence, 2);
        let (tag, first, transfer_tag) = world.soliciting(1, LUN, 8_192);
        let (_, second) = world.plain(0, LUN);
        world.function(0, code, LUN);
        // MaxBurstLength is 4,096: the rest isn't asked for any more.
        world.expect_nothing();
        for (data_sn, at) in [0_u32, 1_024, 2_048, 3_072].into_iter().enumerate() {
            let header = DataOut {
                last: at == 3_072,
                initiator_task_tag: tag,
                target_transfer_tag: transfer_tag,
                data_sn: u32::try_from(data_sn).unwrap(),
                buffer_offset: at,
                ..DataOut::default()
            };
            assert!(world.session.poll_event().is_none(), "before {at}");
            world.send(1, header.encode(1_024), &[1; 1_024]);
        }
        let (mut ended, _) = world.expect_function();
        ended.sort_by_key(|task| task.index());
        assert_eq!(ended, [first, second]);
        world.expect_nothing();
    }
}

#[test]
fn a_write_that_is_whole_while_its_abort_waits_is_done_and_answered_before() {
    let mut world = World::new(TaskReporting::ResponseFence, 2);
    let (whole, task, transfer_tag) = world.soliciting(1, LUN, 512);
    let (waits, _, other_tag) = world.soliciting(1, LUN, 512);
    let request = world.function(0, ABORT_TASK_SET, LUN);
    world.data_out(1, whole, transfer_tag, &[1; 512]);
    let event = world.session.poll_event();
    assert!(matches!(event, Some(Event::DataOut { task: of, .. }) if of == task));
    world.respond(task, false);
    world.expect_response(1, whole);
    world.data_out(1, waits, other_tag, &[1; 512]);
    // All of its data is there, so that the shell hears of it, and then that it has ended.
    assert!(matches!(
        world.session.poll_event(),
        Some(Event::DataOut { .. })
    ));
    let (ended, function) = world.expect_function();
    assert_eq!(ended.len(), 1);
    world.complete(function);
    world.expect_nothing();
    world.acknowledge(1, [0; 8]);
    world.expect_answer(0, request);
}

#[test]
fn data_that_does_not_come_costs_its_connection() {
    let mut world = World::new(TaskReporting::ResponseFence, 2);
    world.soliciting(1, LUN, 512);
    let request = world.function(0, LOGICAL_UNIT_RESET, LUN);
    world.expect_nothing();
    let due = world.session.poll_timeout().unwrap();
    world.pass(due - world.now);
    let mut events = Vec::new();
    while let Some(event) = world.session.poll_event() {
        events.push(event);
    }
    let silent = world.peers[1].id;
    assert!(events.iter().any(|event| matches!(
        event,
        Event::CloseConnection { on, reason: CloseReason::DataNotSent } if *on == silent
    )));
    let Some(Event::TaskManagement(function)) = events
        .iter()
        .find(|event| matches!(event, Event::TaskManagement(_)))
    else {
        panic!("{events:?}")
    };
    world.receive(0);
    world.acknowledge(0, [0; 8]);
    world.complete(function.tag);
    world.expect_answer(0, request);
}

#[test]
fn without_a_promise_nobody_waits_for_data() {
    for mode in [TaskReporting::Rfc3720, TaskReporting::FastAbort] {
        let mut world = World::new(mode, 1);
        world.soliciting(0, LUN, 512);
        let request = world.function(0, LOGICAL_UNIT_RESET, LUN);
        let (_, function) = world.expect_function();
        world.complete(function);
        world.expect_answer(0, request);
    }
}

#[test]
fn a_task_set_ends_without_the_commands_that_were_sent_after_the_function() {
    for (code, spares) in [
        (ABORT_TASK_SET, true),
        (CLEAR_TASK_SET, true),
        (LOGICAL_UNIT_RESET, false),
    ] {
        let mut world = World::new(TaskReporting::FastAbort, 1);
        let command = CommandPdu {
            last: true,
            lun: LUN,
            ..CommandPdu::default()
        };
        // A command before the function is missing, and one after it is there.
        let missing = world.cmd_sn;
        world.cmd_sn = missing.wrapping_add(1);
        world.function(0, code, LUN);
        world.command(0, command);
        world.expect_nothing();
        world.cmd_sn = missing;
        world.command(0, command);
        let before = world.expect_command();
        let after = world.expect_command();
        let (ended, _) = world.expect_function();
        let all = [before, after];
        assert_eq!(ended, if spares { &all[..1] } else { &all[..] }, "{code}");
    }
}

#[test]
fn a_reset_of_the_target_does_not_wait_for_commands_that_are_missing() {
    for mode in [TaskReporting::Rfc3720, TaskReporting::FastAbort] {
        let mut world = World::new(mode, 1);
        let first = world.cmd_sn;
        let command = CommandPdu {
            last: true,
            lun: LUN,
            ..CommandPdu::default()
        };
        world.cmd_sn = first.wrapping_add(1);
        world.command(0, command);
        world.cmd_sn = first.wrapping_add(3);
        world.expect_nothing();
        let request = world.function(0, TARGET_WARM_RESET, [0; 8]);
        // What came ahead of its turn has it, and ends.
        let came = world.expect_command();
        let (ended, function) = world.expect_function();
        assert_eq!(ended, [came]);
        world.complete(function);
        world.expect_answer(0, request);
        // What comes late counts as received, and as ended.
        world.cmd_sn = first;
        world.command(0, command);
        world.expect_nothing();
        world.cmd_sn = first.wrapping_add(3);
        world.plain(0, LUN);
    }
}

#[test]
fn a_reset_ends_tasks_in_whichever_form_their_lun_is_written() {
    let mut world = World::new(TaskReporting::FastAbort, 2);
    let flat = [0x40, 1, 0, 0, 0, 0, 0, 0];
    let (_, task) = world.plain(1, flat);
    world.function(0, LOGICAL_UNIT_RESET, LUN);
    assert_eq!(world.expect_function().0, [task]);
    // As the initiator knows it.
    world.expect_termination(1, flat);
}

#[test]
fn at_level_2_what_was_not_delivered_of_aborted_tasks_never_is() {
    let mut world = World::at_level(TaskReporting::FastAbort, 2, 2);
    let (tag, task) = world.plain(1, LUN);
    let lost = world.peers[1].id;
    world.session.connection_lost(lost, world.now);
    world.respond(task, false);
    world.receive(0);
    world.acknowledge(0, [0; 8]);
    let request = world.function(0, LOGICAL_UNIT_RESET, LUN);
    let (_, function) = world.expect_function();
    world.complete(function);
    world.expect_answer(0, request);
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
    assert!(
        matches!(&seen[..], [Seen::Management(answer)] if answer.response == 1),
        "task does not exist: {seen:?}"
    );
}
