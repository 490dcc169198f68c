//! Mirrors in the words of the API: how they are, and what can be done about that.

mod lag;
mod remote;

use tidelock_admin::v1;
use tidelock_capabilities::values::CopyState;
use tidelock_catalog::{
    Catalog, Group, GroupName, Mirror, MirrorCompression, MirrorEnd, MirrorFailover, MirrorMode,
    MirrorRest, MirrorSide, OnFailure,
};
use tidelock_mirror::generation::{Role, Verdict};

use super::Registry;
use super::facts::SIDES;
use crate::mirrors::running::Running;
use crate::mirrors::state::State;
use crate::registry::changes::ChangeError;

impl Registry {
    /// All mirrors, by the names of their sources.
    #[must_use]
    pub fn mirrors(&self) -> Vec<v1::Mirror> {
        let catalog = self.catalog();
        let all = self.mirrors.all();
        let mut all: Vec<_> = all.iter().map(|it| with_groups(it, &catalog)).collect();
        all.sort_by(|one, other| one.source.volume.cmp(&other.source.volume));
        all
    }

    /// The mirror that is meant by the name of a volume in it, or by its id.
    ///
    /// # Errors
    /// There is none.
    pub fn mirror(&self, name: &str) -> Result<v1::Mirror, ChangeError> {
        let record = self.mirror_named(name)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        Ok(with_groups(&running, &self.catalog()))
    }

    /// The mirrors of the volumes of a group, by the names of their sources.
    ///
    /// # Errors
    /// There is no such group.
    pub fn mirrors_of_group(&self, group: &GroupName) -> Result<Vec<v1::Mirror>, ChangeError> {
        self.catalog().group(group)?;
        let mut all = self.mirrors();
        all.retain(|it| it.groups.iter().any(|it| *it == group.as_str()));
        Ok(all)
    }
}

/// The same, with the groups that its volumes here are in.
fn with_groups(running: &Running, catalog: &Catalog) -> v1::Mirror {
    let here = running.look(|state| {
        let ends = SIDES.map(|side| state.record().end(side).clone());
        ends.into_iter()
            .filter(MirrorEnd::is_here)
            .collect::<Vec<_>>()
    });
    let has_one = |group: &&Group| here.iter().any(|end| group.members.contains(&end.volume));
    let groups = catalog.groups().filter(has_one);
    v1::Mirror {
        groups: groups.map(|group| group.name.to_string()).collect(),
        ..describe(running)
    }
}

pub(super) fn describe(running: &Running) -> v1::Mirror {
    let facts = SIDES.map(|side| running.end(side).map(|end| end.facts()));
    let problems = SIDES.map(|side| running.problem(side));
    let left = facts.iter().flatten().filter_map(|it| it.left_to_copy);
    let left_bytes = left.max().unwrap_or(0);
    let behind_seconds = running.behind().map_or(0, |it| it.as_secs());
    let told = lag::told(running);
    let compressed = running.line().and_then(|line| line.compressed());
    running.look(|state| {
        let record = state.record();
        let end = |side: MirrorSide| {
            let ([first, second], [one, other]) = (facts, &problems);
            let (facts, problem) = match side {
                MirrorSide::First => (first, one),
                MirrorSide::Second => (second, other),
            };
            v1::MirrorEnd {
                volume: record.end(side).to_string(),
                role: state.role(side).map(|it| role(it).to_owned()),
                // What is being overwritten is taken back when it takes over. Of a peer's it is known by what the two have agreed on.
                consistent: match record.end(side).is_here() {
                    true => facts.is_some_and(|it| it.has_image || it.goes_back),
                    false => side == record.serving() || state.association().target_consistent,
                },
                problem: problem.clone().unwrap_or_default(),
            }
        };
        let asynchronous = lag::of(record, facts, told);
        let is_synchronized = state.association().copy_state == CopyState::Synchronized;
        let writable = SIDES.into_iter().find(|side| state.is_writable(*side));
        v1::Mirror {
            id: record.id.to_string(),
            source: end(record.source),
            target: end(record.source.opposite()),
            groups: Vec::new(),
            mode: match record.mode {
                MirrorMode::Synchronous => v1::MirrorMode::Synchronous,
                MirrorMode::Asynchronous { .. } => v1::MirrorMode::Asynchronous,
            },
            on_failure: match record.on_failure {
                OnFailure::Continue => v1::OnFailure::Continue,
                OnFailure::Halt => v1::OnFailure::Halt,
            },
            failover: match record.failover {
                MirrorFailover::Manual => v1::MirrorFailover::Manual,
                MirrorFailover::Automatic => v1::MirrorFailover::Automatic,
            },
            resync_limit: record.resync_limit,
            compression: compression(record.compression),
            compressed: compressed.filter(|_| record.compression == MirrorCompression::Zstd),
            copy_state: state.association().copy_state.to_string(),
            progress_status: state.association().progress_status.to_string(),
            percent_synced: match &asynchronous {
                Some(lag) if lag.lag_bytes == Some(0) && is_synchronized => Some(100),
                _ => percent(state, left_bytes),
            },
            left_bytes,
            behind_seconds: match &asynchronous {
                Some(lag) => lag.lag_ms.map_or(behind_seconds, |ms| ms / 1_000),
                None => behind_seconds,
            },
            asynchronous,
            serving: writable.map(|side| record.end(side).to_string()),
            detail: detail(state, &problems, lag::detail(state, told)),
            next: next(state, &problems),
        }
    })
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Source => "source",
        Role::Target => "target",
    }
}

const fn compression(compression: MirrorCompression) -> v1::MirrorCompression {
    match compression {
        MirrorCompression::None => v1::MirrorCompression::None,
        MirrorCompression::Zstd => v1::MirrorCompression::Zstd,
    }
}

/// How much of what is copied is there. All of it is a promise.
fn percent(state: &State, left: u64) -> Option<u8> {
    if state.is_in_step() {
        return Some(100);
    }
    let total = state.to_copy();
    if total == 0 {
        return None;
    }
    let there = total.saturating_sub(left).saturating_mul(100) / total;
    Some(u8::try_from(there).unwrap_or(100).min(99))
}

/// What is wrong, or what is being waited for.
fn detail(state: &State, problems: &[Option<String>; 2], lacking: Option<String>) -> String {
    let record = state.record();
    let mut all = Vec::new();
    if let Some(conflict) = state.conflict() {
        all.push(contradiction(record, conflict));
    }
    for (side, problem) in SIDES.into_iter().zip(problems) {
        if let Some(problem) = problem {
            all.push(format!("volume {}: {problem}", record.end(side)));
        }
    }
    all.extend(remote::detail(state));
    if state.is_restoring() {
        let (source, target) = (record.system(), record.synced());
        all.push(format!(
            "{source} is being restored from {target}: hosts can't use it until that is done"
        ));
    }
    all.extend(lacking);
    if state.is_halted() {
        all.push("hosts are stopped until the target is back, as it is configured".to_owned());
    }
    if let Some(failure) = state.failure() {
        all.push(format!("the last operation wasn't done: {failure}"));
    }
    all.join("; ")
}

fn contradiction(record: &Mirror, conflict: &Verdict) -> String {
    let (first, second) = (&record.first, &record.second);
    match conflict {
        Verdict::SplitBrain { .. } => format!(
            "{first} and {second} have both been written since they were equal (split brain)"
        ),
        Verdict::Unrelated => format!("{first} and {second} have nothing in common"),
        _ => format!(
            "what {first} and {second} know of each other can't both be true: has a file of one been brought back \
             from elsewhere?"
        ),
    }
}

fn advice(why: &str, command: String) -> Option<v1::MirrorNext> {
    Some(v1::MirrorNext {
        why: why.to_owned(),
        command,
    })
}

/// What can be done while the source gets what the target has, if that can't go on.
fn restoring(state: &State, problems: &[Option<String>; 2]) -> Option<v1::MirrorNext> {
    if state.association().copy_state != CopyState::Broken {
        return None;
    }
    let record = state.record();
    let here = SIDES.into_iter().zip(problems);
    let mut here = here.filter(|(side, _)| record.end(*side).is_here());
    let broken = here.find_map(|(side, problem)| problem.is_some().then_some(side));
    if let Some(side) = broken {
        return advice(
            "put the volume right, and unfence it if it is fenced; the restore goes on by itself then",
            format!("tidelock volume show {}", record.end(side).volume),
        );
    }
    let own = record.remote().map(|(remote, _)| remote.opposite());
    let name = &record.end(own.unwrap_or(record.source)).volume;
    let what = match record.system().is_here() {
        true => {
            "it goes on by itself when the other end is back; if that is gone for good, end the mirror: the source is then what \
             it was before, unless all is copied already (what it had is kept as a snapshot then)"
        }
        false => {
            "it goes on by itself when the source's daemon is back; if that is gone for good, end the mirror: the volume here \
             is then an independent one, as it is"
        }
    };
    advice(what, format!("tidelock mirror detach {name} --force"))
}

/// What can be done next.
fn next(state: &State, problems: &[Option<String>; 2]) -> Option<v1::MirrorNext> {
    let record = state.record();
    let source = &record.system().volume;
    let target = &record.synced().volume;
    if state.is_restoring() {
        return restoring(state, problems);
    }
    if record.remote().is_some() {
        return remote::next(state, problems);
    }
    if state.conflict().is_some() {
        let lost = record.end(record.serving().opposite());
        return advice(
            "choose whose changes are dropped; they are kept as a snapshot of that volume",
            format!("tidelock mirror resync {source} --discard {}", lost.volume),
        );
    }
    let broken = SIDES.into_iter().zip(problems);
    let broken = broken
        .into_iter()
        .find_map(|(side, problem)| problem.is_some().then_some(side));
    match (state.association().copy_state, broken) {
        (CopyState::Broken, Some(side)) if side == record.source => advice(
            "let hosts use the target; what the source alone has is lost",
            format!("tidelock mirror failover {source}"),
        ),
        (CopyState::Broken, Some(side)) => {
            let volume = &record.end(side).volume;
            advice(
                "put the volume right, unfence it if it is fenced, and copy what it lacks",
                format!("tidelock volume show {volume}; tidelock mirror resync {source}"),
            )
        }
        (CopyState::Broken | CopyState::Fractured | CopyState::Split, _) => advice(
            "copy what the target lacks",
            format!("tidelock mirror resync {source}"),
        ),
        (CopyState::Suspended, _) => advice(
            "copy what the target lacks",
            format!("tidelock mirror resume {source}"),
        ),
        (CopyState::Failedover, _) if record.rest == MirrorRest::FailedOver => advice(
            "let hosts use the source again; `tidelock mirror reverse` makes the change of roles permanent",
            format!("tidelock mirror failback {source}"),
        ),
        (CopyState::Synchronized, _) if state.is_pending() => advice(
            "a change of roles is under way",
            format!("tidelock mirror show {target}"),
        ),
        _ => None,
    }
}
