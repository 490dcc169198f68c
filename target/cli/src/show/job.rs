//! Jobs as text.

use tidelock_admin::v1::{Job, JobState};

use super::check_report;
use crate::render::{properties, table};
use crate::size::format_size;

pub(crate) fn jobs(jobs: &[Job]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".into();
    }
    let row = |job: &Job| {
        [
            job.id.to_string(),
            job.kind.name().to_owned(),
            job.volume.clone(),
            job.state.name().to_owned(),
            percent(job),
            rate(job),
            job.started.clone(),
            because(job),
        ]
    };
    table(
        [
            "JOB", "KIND", "VOLUME", "STATE", "DONE", "RATE", "STARTED", "DETAIL",
        ],
        &[0, 4, 5],
        jobs.iter().map(row),
    )
}

pub(crate) fn job(job: &Job) -> String {
    let bytes = |bytes| format!("{} ({bytes} bytes)", format_size(bytes));
    let mut rows = vec![
        ("job", job.id.to_string()),
        ("kind", job.kind.name().to_owned()),
        ("volume", job.volume.clone()),
        ("state", job.state.name().to_owned()),
        ("done", percent(job)),
        ("bytes", bytes(job.done_bytes)),
        ("of", bytes(job.total_bytes)),
        ("rate", rate(job)),
        ("started", job.started.clone()),
    ];
    rows.extend(job.ended.clone().map(|ended| ("ended", ended)));
    if !job.waiting.is_empty() {
        rows.push(("waits for", job.waiting.clone()));
    }
    if !job.error.is_empty() {
        rows.push(("error", job.error.clone()));
    }
    let report = job.report.as_ref().map(check_report);
    properties(rows) + &report.unwrap_or_default()
}

/// What became of it.
pub(crate) fn job_ended(job: &Job) -> String {
    let line = job_line(job);
    match job.state {
        JobState::Completed => {
            let report = job.report.as_ref().map(check_report);
            report.unwrap_or_else(|| format!("{line} has ended: {}\n", format_size(job.done_bytes)))
        }
        JobState::Exception => format!("{line} has failed: {}\n", job.error),
        state => format!("{line}: {}\n", state.name()),
    }
}

/// Which one it is, and what it waits for.
pub(crate) fn job_line(job: &Job) -> String {
    let line = format!("job {}: {} {}", job.id, job.kind.name(), job.volume);
    match job.state {
        JobState::Suspended => format!("{line} waits: {}", job.waiting),
        _ => line,
    }
}

fn percent(job: &Job) -> String {
    let percent = job.percent.map(|percent| format!("{percent}%"));
    percent.unwrap_or_else(|| "-".into())
}

fn rate(job: &Job) -> String {
    let rate = job.bytes_per_second;
    rate.map_or_else(|| "-".into(), |rate| format!("{}/s", format_size(rate)))
}

fn because(job: &Job) -> String {
    match (job.waiting.as_str(), job.error.as_str()) {
        ("", "") => "-".into(),
        ("", error) => error.to_owned(),
        (waiting, _) => waiting.to_owned(),
    }
}
