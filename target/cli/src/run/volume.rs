//! `tidelock volume ...`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::{VolumeCreate, VolumeLimits, VolumeVerb};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;
use crate::show;
use crate::size::format_size;

pub(super) async fn run(verb: VolumeVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        VolumeVerb::Create(create) => {
            let volume = context.client.create_volume(&request(create)?).await?;
            context.print(&volume, |volume| {
                let size = format_size(volume.size_bytes);
                format!(
                    "volume {} created: {size} in {}\n",
                    volume.name, volume.path
                )
            })
        }
        VolumeVerb::List => {
            let list = context.client.volumes().await?;
            context.print(&list, |list| show::volumes(&list.volumes))
        }
        VolumeVerb::Show { name } => {
            let volume = context.client.volume(&name).await?;
            let family = match context.json {
                true => String::new(),
                false => family_tree(&volume, context).await,
            };
            context.print(&volume, |volume| show::volume(volume) + &family)
        }
        VolumeVerb::Set { name, limits } => set(&name, &limits, context).await,
        VolumeVerb::Resize { name, size } => resize(&name, size, context).await,
        VolumeVerb::Unfence { name, yes } => unfence(&name, yes, context).await,
        VolumeVerb::Verify { name, background } => {
            let job = context.client.verify_volume(&name).await?;
            look(job, background, context).await
        }
        // Done without a daemon.
        VolumeVerb::Check(_) => Ok(()),
        VolumeVerb::Scrub {
            name,
            rate,
            background,
        } => {
            let (volume, snapshot) = match name.split_once('@') {
                Some((volume, snapshot)) => (volume, Some(snapshot.to_owned())),
                None => (name.as_str(), None),
            };
            let request = v1::ScrubVolume {
                snapshot,
                rate_bytes_per_second: rate,
            };
            let job = context.client.scrub_volume(volume, &request).await?;
            look(job, background, context).await
        }
        VolumeVerb::Delete {
            name,
            with_snapshots,
            yes,
        } => delete(&name, with_snapshots, yes, context).await,
    }
}

fn request(create: VolumeCreate) -> Result<v1::CreateVolume, CliError> {
    let file = match create.file {
        None => None,
        Some(path) => {
            // The daemon has another working folder.
            let action = || format!("make {} absolute", path.display());
            let absolute = std::path::absolute(&path).map_err(|source| CliError::Io {
                action: action(),
                source,
            })?;
            let text = absolute
                .to_str()
                .ok_or_else(|| CliError::Path { path: path.clone() })?;
            Some(text.to_owned())
        }
    };
    Ok(v1::CreateVolume {
        name: create.name,
        size_bytes: create.size,
        file,
        block_bytes: create.block_size.parse().ok(),
        preallocate: create.preallocate,
        direct: create.direct,
        write_through: create.write_through,
        limits: v1::SpaceLimits {
            limit_bytes: create.limit,
            warn_percent: create.warn,
        },
        integrity: (create.integrity == "full").then_some(v1::Integrity::Full),
    })
}

/// Waits for a job that looks for damage, and says what it has found.
async fn look(job: v1::Job, background: bool, context: &mut Context<'_>) -> Result<(), CliError> {
    if background {
        return context.print(&job, |job| {
            let id = job.id;
            format!(
                "job {id} looks at {}: `tidelock job watch {id}` waits for it\n",
                job.volume
            )
        });
    }
    let job = super::job::wait(job.id, context).await?;
    match (job.state, &job.report) {
        (v1::JobState::Completed, Some(report)) => tell(report, context),
        (state, _) => Err(CliError::Job {
            id: job.id,
            state: state.name(),
            error: job.error,
        }),
    }
}

/// Says what was found; damage is an error for scripts.
fn tell(report: &v1::CheckReport, context: &mut Context<'_>) -> Result<(), CliError> {
    context.print(report, show::check_report)?;
    match report.damaged {
        0 => Ok(()),
        damaged => Err(CliError::Damaged {
            checked: report.checked.clone(),
            damaged,
        }),
    }
}

async fn resize(name: &str, size_bytes: u64, context: &mut Context<'_>) -> Result<(), CliError> {
    let request = v1::ResizeVolume { size_bytes };
    let volume = context.client.resize_volume(name, &request).await?;
    context.print(&volume, |volume| {
        format!(
            "volume {} has {} now\n",
            volume.name,
            format_size(volume.size_bytes)
        )
    })
}

async fn set(name: &str, wanted: &VolumeLimits, context: &mut Context<'_>) -> Result<(), CliError> {
    let mut limits = context.client.volume(name).await?.limits;
    if let Some(limit) = wanted.limit {
        limits.limit_bytes = limit.0;
        if limit.0.is_none() && wanted.warn.is_none() {
            limits.warn_percent = None;
        }
    }
    if let Some(warn) = wanted.warn {
        limits.warn_percent = warn.0;
    }
    let volume = context.client.set_space_limits(name, &limits).await?;
    context.print(&volume, |volume| {
        format!(
            "volume {} may take {}\n{}",
            volume.name,
            show::space_limits(volume),
            show::over_limit(volume)
        )
    })
}

async fn unfence(name: &str, yes: bool, context: &mut Context<'_>) -> Result<(), CliError> {
    let volume = context.client.volume(name).await?;
    if volume.state == v1::VolumeState::Fenced {
        let what = format!(
            "Volume {name} was stopped because a write or flush failed ({}). Hosts may have been \
             told that writes are durable which are not: repair the storage and check the data \
             first.",
            volume.detail
        );
        confirm(&what, yes, context.terminal)?;
    }
    let volume = context.client.unfence_volume(name).await?;
    context.print(&volume, |volume| {
        format!("volume {} can be used again\n", volume.name)
    })
}

async fn delete(
    name: &str,
    with_snapshots: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let volume = context.client.volume(name).await?;
    let fate = fate(&volume);
    let snapshots = volume.family.as_ref().map_or(0, |family| family.snapshots);
    let snapshots = match snapshots {
        0 => String::new(),
        count if with_snapshots => format!("\nIts {count} snapshot(s) are deleted with it."),
        count => format!("\nIt has {count} snapshot(s), which stand against that."),
    };
    let what = format!(
        "Volume {name} is removed, and {fate}.{snapshots}{}",
        shown(&volume)
    );
    confirm(&what, yes, context.terminal)?;
    context.client.delete_volume(name, with_snapshots).await?;
    context.print(&json!({"deleted": name}), |_| {
        format!("volume {name} deleted: {fate}\n")
    })
}

/// What becomes of a volume's data when it is deleted.
fn fate(volume: &v1::Volume) -> String {
    let size = format_size(volume.allocated_bytes.unwrap_or(volume.size_bytes));
    match &volume.family {
        Some(family) if family.volumes.len() > 1 => {
            format!("what only it has ({size}) is destroyed; what clones share stays")
        }
        Some(_) if !volume.managed => format!(
            "what was written since its first snapshot ({size}) is destroyed; {} stays",
            volume.path
        ),
        _ if volume.managed => {
            format!(
                "its data ({size}) is destroyed with its file {}",
                volume.path
            )
        }
        _ => format!("its file {} stays", volume.path),
    }
}

/// A warning if hosts can see it.
fn shown(volume: &v1::Volume) -> String {
    match volume.mappings.len() {
        0 => String::new(),
        count => format!("\nIt is mapped in {count} target(s): hosts may be using it."),
    }
}

/// What the volume's snapshots have for themselves, and what was cloned from what.
async fn family_tree(volume: &v1::Volume, context: &Context<'_>) -> String {
    let Some(family) = &volume.family else {
        return String::new();
    };
    let mut newest = Vec::new();
    for name in &family.newest_snapshots {
        // One that was deleted meanwhile is left out.
        newest.extend(context.client.snapshot(&volume.name, name).await.ok());
    }
    // Without it the volume is still worth being shown.
    let clones = context.client.clones().await;
    let clones = clones.map_or_else(|_| Vec::new(), |list| list.clones);
    show::family_tree(volume, &newest, &clones)
}
