//! The same of mirrors whose other end is at a peer.

use tidelock_admin::v1;
use tidelock_capabilities::values::CopyState;
use tidelock_catalog::{MirrorRest, MirrorSide, VolumeName};
use tidelock_mirror::generation::Role;

use super::advice;
use crate::mirrors::state::{Place, State};

/// What is waited for, or stands against it that hosts use the volume here.
pub(super) fn detail(state: &State) -> Option<String> {
    let record = state.record();
    let (remote, _) = record.remote()?;
    let (own, other) = (&record.end(remote.opposite()).volume, record.end(remote));
    if let Some(kept_away) = by_its_lease(state, own) {
        return Some(kept_away);
    }
    if state.sees_two_sources() {
        return Some(format!(
            "{other} was made the source as well, while nothing was sent, so hosts are kept away from volume {own}"
        ));
    }
    if state.is_fenced() {
        return Some(format!(
            "hosts are kept away from volume {own}, as {other} was made the source as well"
        ));
    }
    (state.waits() && state.role(remote.opposite()) == Some(Role::Source)).then(|| {
        format!(
            "volume {own} was the source when this daemon ended, and hosts wait until it is known whether {other} has \
             taken over since"
        )
    })
}

/// The same of one that fails over by itself.
fn by_its_lease(state: &State, own: &VolumeName) -> Option<String> {
    let trouble = state.trouble();
    match state.place()? {
        Place::Closed(why) if state.is_source_here() => {
            Some(format!("hosts are kept away from volume {own}: {why}"))
        }
        Place::Asked if state.is_source_here() => Some(format!(
            "hosts wait until it is known whether volume {own} has the place of the source{}",
            trouble.map_or_else(String::new, |it| format!(": {it}"))
        )),
        Place::Open => trouble.map(|it| {
            format!("hosts use volume {own} until its lease is over, and it can't be kept up at the moment: {it}")
        }),
        Place::Asked | Place::Closed(_) => trouble.map(|it| {
            format!("volume {own} can't take over by itself at the moment: {it}")
        }),
    }
}

/// What can be done next.
pub(super) fn next(state: &State, problems: &[Option<String>; 2]) -> Option<v1::MirrorNext> {
    let record = state.record();
    let (remote, _) = record.remote()?;
    let side = remote.opposite();
    let (own, other) = (&record.end(side).volume, record.end(remote));
    let role = state.role(side);
    let [first, second] = problems;
    let (problem, away) = match side {
        MirrorSide::First => (first, second),
        MirrorSide::Second => (second, first),
    };
    if problem.is_some() || role.is_none() {
        return advice(
            "put the volume right, and unfence it if it is fenced; the mirror goes on by itself then",
            format!("tidelock volume show {own}"),
        );
    }
    if away
        .as_deref()
        .is_some_and(|it| it.contains("there is no mirror"))
    {
        return advice(
            "it is no mirror at the peer any more: unmap the volume here, if hosts use the other one, and end it here as well",
            format!("tidelock mirror detach {own} --force"),
        );
    }
    if state.conflict().is_some() {
        let lost = match state.is_fenced() {
            true => own.to_string(),
            false => other.to_string(),
        };
        return advice(
            "choose whose changes are dropped; they are kept as a snapshot of that volume",
            format!("tidelock mirror resync {own} --discard {lost}"),
        );
    }
    if state.sees_two_sources() {
        return advice(
            "let the two compare what they have gone through",
            format!("tidelock mirror resync {own}"),
        );
    }
    if state.waits() && state.place().is_some() {
        return advice(
            "it goes on by itself when the store lets it, or the other end is back; if the store is gone for good, and no host uses \
             the other end, leave failover to an operator",
            format!("tidelock mirror set-failover {own} manual --force"),
        );
    }
    if state.waits() {
        let command = match record.rest {
            MirrorRest::FailedOver => format!("tidelock mirror failover {own} --force"),
            _ => format!("tidelock mirror fracture {own} --force"),
        };
        return advice(
            "it goes on by itself when the other end is back; if that never took over, go on without it",
            command,
        );
    }
    usual(state, own, role, away.as_deref())
}

/// While the two don't contradict each other.
fn usual(
    state: &State,
    own: &VolumeName,
    role: Option<Role>,
    away: Option<&str>,
) -> Option<v1::MirrorNext> {
    match (state.association().copy_state, role) {
        (CopyState::Failedover, _) if state.can_be_handed_over() => advice(
            "let hosts use the source again; `tidelock mirror reverse` makes the change of roles permanent",
            format!("tidelock mirror failback {own}"),
        ),
        (CopyState::Broken | CopyState::Failedover, Some(Role::Target))
            if !state.can_be_handed_over() =>
        {
            taking_over(own)
        }
        // The link, or this daemon, ended while something was under way.
        (CopyState::Unsynchronized, Some(Role::Target)) if away.is_some() => taking_over(own),
        (CopyState::Initialized | CopyState::Unsynchronized, _) if away.is_none() => None,
        (CopyState::Broken | CopyState::Initialized | CopyState::Unsynchronized, _) => advice(
            "it goes on by itself when the other end is back; to have an independent volume, detach it",
            format!("tidelock mirror detach {own} --force"),
        ),
        (CopyState::Fractured | CopyState::Split, _) => advice(
            "copy what the target lacks",
            format!("tidelock mirror resync {own}"),
        ),
        (CopyState::Suspended, _) => advice(
            "copy what the target lacks",
            format!("tidelock mirror resume {own}"),
        ),
        (CopyState::Failedover, Some(Role::Source)) => advice(
            "the other end gets what it lacks when it is back; to have an independent volume, detach it",
            format!("tidelock mirror detach {own} --force"),
        ),
        _ => None,
    }
}

/// For a target whose source is away.
fn taking_over(own: &VolumeName) -> Option<v1::MirrorNext> {
    advice(
        "it goes on by itself when the source is back; if that is gone, and no host uses it, let hosts use this one: what the \
         source alone has is lost",
        format!("tidelock mirror failover {own} --force"),
    )
}
