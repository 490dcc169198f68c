//! What is told of jobs, and what is forgotten.

use tidelock_capabilities::facts::Association;
use tidelock_capabilities::values::{Mode, ProgressStatus, SyncType};
use tidelock_catalog::MirrorId;

use super::*;

fn relation(copy_state: CopyState, progress_status: ProgressStatus) -> MirrorRelation {
    MirrorRelation {
        id: MirrorId(uuid::Uuid::nil()),
        association: Association {
            key: AssociationKey {
                system_element: ElementId(1),
                synced_element: ElementId(2),
            },
            sync_type: SyncType::Mirror,
            mode: Mode::Synchronous,
            copy_state,
            progress_status,
            target_consistent: true,
            source_consistent: true,
        },
        percent_synced: None,
        stops_hosts: false,
        detail: "it is away".to_owned(),
    }
}

fn seen(copy_state: CopyState, progress: ProgressStatus, wanted: CopyState) -> (JobState, bool) {
    match look(Some(&relation(copy_state, progress)), wanted) {
        Seen::Going(state, _) => (state, false),
        Seen::Ended(state, _) => (state, true),
    }
}

#[test]
fn a_wait_ends_when_the_state_is_there_or_cant_come_any_more() {
    let (done, copies) = (ProgressStatus::Completed, ProgressStatus::Resyncing);
    let whole = CopyState::Synchronized;
    for (state, progress, wanted, expected) in [
        (whole, done, whole, (JobState::Completed, true)),
        (whole, copies, whole, (JobState::Running, false)),
        (
            CopyState::Unsynchronized,
            copies,
            whole,
            (JobState::Running, false),
        ),
        (CopyState::Broken, done, whole, (JobState::Suspended, false)),
        (
            CopyState::Fractured,
            done,
            whole,
            (JobState::Exception, true),
        ),
        (
            CopyState::Fractured,
            done,
            CopyState::Fractured,
            (JobState::Completed, true),
        ),
        (
            whole,
            done,
            CopyState::Failedover,
            (JobState::Running, false),
        ),
    ] {
        assert_eq!(seen(state, progress, wanted), expected, "{state} {wanted}");
    }
    assert!(matches!(
        look(None, whole),
        Seen::Ended(JobState::Exception, _)
    ));
}

#[test]
fn jobs_are_bounded_and_the_newest_are_kept() {
    let jobs = Jobs::default();
    for number in 0..JOBS_MAX + 10 {
        jobs.refused("CreateElementReplica", format!("reason {number}"));
    }
    let book = jobs.book.lock();
    assert_eq!(book.all.len(), JOBS_MAX);
    let first = &book.all.front().unwrap().job;
    assert_eq!(first.detail, "reason 10");
    assert_eq!(first.state, JobState::Exception);
    assert_eq!(first.id, FIRST + 10);
}
