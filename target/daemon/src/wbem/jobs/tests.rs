//! What is told of jobs, and what is forgotten.

use tidelock_capabilities::facts::{Association, ElementId};
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
        far: None,
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
            CopyState::Split,
            ProgressStatus::Restoring,
            CopyState::Split,
            (JobState::Running, false),
        ),
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

#[test]
fn a_job_of_several_is_done_when_all_are_and_fails_if_one_has() {
    let daemons = |id, state, percent| {
        let mut job = Entry::new("split k".to_owned(), state).job;
        (job.id, job.percent, job.detail) = (id, Some(percent), "it says why".to_owned());
        job
    };
    let jobs = Jobs::default();
    let both = jobs.all_of("CreateListReplica", &[1, 2]);
    let look = |others: &[ConcreteJob]| {
        let mut book = jobs.book.lock();
        book.put_together(others);
        let entry = book.all.iter().find(|it| it.job.id == both).unwrap();
        (entry.job.state, entry.job.percent, entry.job.detail.clone())
    };
    let (one, other) = (
        daemons(1, JobState::Completed, 100),
        daemons(2, JobState::Running, 50),
    );
    assert_eq!(
        look(&[one.clone(), other]),
        (JobState::Running, Some(75), String::new())
    );
    let other = daemons(2, JobState::Exception, 50);
    let failed = (
        JobState::Exception,
        Some(75),
        "split k: it says why".to_owned(),
    );
    assert_eq!(look(&[one, other]), failed);
    // It stays what it was when its parts are forgotten.
    assert_eq!(look(&[]), failed);
}
