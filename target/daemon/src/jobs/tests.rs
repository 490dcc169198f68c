//! Jobs from their beginning to their end.

use super::*;

#[test]
fn a_job_is_told_of_from_its_beginning_to_after_its_end() {
    let jobs = Jobs::default();
    let job = jobs.begin(JobKind::Scrub, "db", true);
    let id = job.id();
    let told = jobs.get(id).unwrap();
    assert_eq!((told.state, told.percent), (JobState::Running, None));
    job.progress(1, 3);
    assert_eq!(jobs.get(id).unwrap().percent, Some(33));
    // All of it, and not at its end: 100 is a promise.
    job.progress(3, 3);
    assert_eq!(jobs.get(id).unwrap().percent, Some(99));
    let report = v1::CheckReport {
        damaged: 2,
        ..v1::CheckReport::default()
    };
    job.end(JobEnd::Found(report.clone()));
    let told = jobs.get(id).unwrap();
    assert_eq!((told.state, told.percent), (JobState::Completed, Some(100)));
    assert_eq!(told.report, Some(report));
    assert!(told.ended.is_some() && !told.cancellable);
    assert_eq!(
        jobs.cancel(id),
        Err(NotCancelled::Ended(JobState::Completed))
    );
    assert_eq!(jobs.cancel(id + 1), Err(NotCancelled::None));
    assert_eq!(jobs.get(id + 1), None);
}

#[test]
fn a_suspended_job_says_why_and_goes_on() {
    let jobs = Jobs::default();
    let job = jobs.begin(JobKind::Hydrate, "k", true);
    job.suspend("no space");
    let told = jobs.get(job.id()).unwrap();
    assert_eq!(
        (told.state, told.waiting.as_str()),
        (JobState::Suspended, "no space")
    );
    job.progress(1, 2);
    let told = jobs.get(job.id()).unwrap();
    assert_eq!((told.state, told.waiting.as_str()), (JobState::Running, ""));
    jobs.cancel(job.id()).unwrap();
    // Whoever is about to end isn't suspended, nor does it run any more.
    job.suspend("no space");
    job.progress(1, 2);
    assert_eq!(jobs.get(job.id()).unwrap().state, JobState::ShuttingDown);
}

#[tokio::test]
async fn a_cancelled_job_is_told_and_ends_when_it_has_ended() {
    let jobs = Arc::new(Jobs::default());
    let job = jobs.begin(JobKind::Split, "k", true);
    let id = job.id();
    let work = tokio::spawn(async move {
        job.cancelled().await;
        job.end(JobEnd::Terminated);
    });
    jobs.cancel(id).unwrap();
    jobs.cancel(id).ok();
    work.await.unwrap();
    let told = jobs.get(id).unwrap();
    assert_eq!(told.state, JobState::Terminated);
    let never = jobs.begin(JobKind::Restore, "g", false);
    assert_eq!(jobs.cancel(never.id()), Err(NotCancelled::Never));
    assert!(!never.is_cancelled());
}

#[test]
fn a_job_that_nobody_ends_has_failed() {
    let jobs = Jobs::default();
    let id = jobs.begin(JobKind::Fold, "db", true).id();
    let told = jobs.get(id).unwrap();
    assert_eq!(told.state, JobState::Exception);
    assert!(told.error.contains("by a defect"), "{}", told.error);
}

#[test]
fn the_last_ones_that_have_ended_are_kept_and_all_that_run() {
    let jobs = Jobs::default();
    let running = jobs.begin(JobKind::Hydrate, "k", true);
    for _ in 0..3 * ENDED_MAX {
        jobs.begin(JobKind::Scrub, "db", true)
            .end(JobEnd::Completed);
    }
    let list = jobs.list();
    assert_eq!(list.first().unwrap().id, running.id());
    assert!(list.len() <= ENDED_MAX + 2, "{}", list.len());
    assert!(list.is_sorted_by_key(|job| job.id));
    // One from before a restart keeps its number, and no other gets it.
    let old = jobs.resume(1_000, JobKind::Split, "k", true);
    assert_eq!(old.id(), 1_000);
    assert_eq!(jobs.begin(JobKind::Scrub, "db", true).id(), 1_001);
}
