//! `tidelock snapshot ...` and `tidelock diff`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::{DiffArgs, SnapshotArg, SnapshotVerb};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::{Context, quiesce, stream};
use crate::show;
use crate::size::format_size;

pub(super) async fn run(verb: SnapshotVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        SnapshotVerb::Send(args) => stream::send(args, context).await,
        SnapshotVerb::Receive(args) => stream::receive(args, context).await,
        SnapshotVerb::Create {
            volume,
            name,
            quiesce,
        } => {
            let request = v1::CreateSnapshot {
                name,
                quiesced: quiesce.pre.is_some(),
            };
            let client = &context.client;
            let take = async { Ok(client.create_snapshot(&volume, &request).await?) };
            let told = [
                ("TIDELOCK_VOLUME", &*volume),
                ("TIDELOCK_SNAPSHOT", &*request.name),
            ];
            let snapshot = quiesce::between(&quiesce, &told, take).await?;
            context.print(&snapshot, |snapshot| {
                format!("snapshot {}@{} taken\n", snapshot.volume, snapshot.name)
            })
        }
        SnapshotVerb::List { volume } => {
            let list = context.client.snapshots(volume.as_deref()).await?;
            context.print(&list, |list| show::snapshots(&list.snapshots))
        }
        SnapshotVerb::Show { snapshot } => {
            let client = &context.client;
            let snapshot = client
                .snapshot(&snapshot.volume, &snapshot.snapshot)
                .await?;
            context.print(&snapshot, show::snapshot)
        }
        SnapshotVerb::Delete { snapshot, yes } => delete(&snapshot, yes, context).await,
        SnapshotVerb::Restore {
            snapshot,
            force,
            yes,
        } => restore(&snapshot, force, yes, context).await,
        SnapshotVerb::Map {
            snapshot,
            target,
            lun,
        } => {
            let request = v1::MapLun {
                volume: format!("{}@{}", snapshot.volume, snapshot.snapshot),
                lun,
                read_only: true,
            };
            let lun = context.client.map_lun(&target, &request).await?;
            context.print(&lun, |lun| {
                format!("{} is LUN {} of {target}, read only\n", lun.volume, lun.lun)
            })
        }
        SnapshotVerb::Schedule {
            volume,
            every,
            keep,
            off,
        } => schedule(volume, every.zip(keep), off, context).await,
    }
}

async fn delete(
    snapshot: &SnapshotArg,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let SnapshotArg { volume, snapshot } = snapshot;
    let found = context.client.snapshot(volume, snapshot).await?;
    let what = format!(
        "Snapshot {volume}@{snapshot} of {} is removed: what the volume was then can't be had back.",
        found.at
    );
    confirm(&what, yes, context.terminal)?;
    context.client.delete_snapshot(volume, snapshot).await?;
    let deleted = json!({"deleted": format!("{volume}@{snapshot}")});
    context.print(&deleted, |_| {
        format!("snapshot {volume}@{snapshot} deleted\n")
    })
}

async fn restore(
    snapshot: &SnapshotArg,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let SnapshotArg { volume, snapshot } = snapshot;
    let found = context.client.snapshot(volume, snapshot).await?;
    let now = context.client.volume(volume).await?;
    let size = if now.size_bytes == found.size_bytes {
        String::new()
    } else {
        let (then, now) = (format_size(found.size_bytes), format_size(now.size_bytes));
        format!(" It had {then} then and keeps {now}: the rest reads as zeros.")
    };
    let what = format!(
        "Volume {volume} becomes what it was at {}; what is there now is kept as a snapshot.{size}",
        found.at
    );
    confirm(&what, yes, context.terminal)?;
    let request = v1::RestoreSnapshot { force };
    let client = &context.client;
    let restored = client.restore_snapshot(volume, snapshot, &request).await?;
    context.print(&restored, show::restored)
}

async fn schedule(
    volume: Option<String>,
    times: Option<(u64, u32)>,
    off: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    match (volume, times) {
        (Some(volume), Some((every_seconds, keep))) => {
            let request = v1::SetSchedule {
                every_seconds,
                keep,
            };
            let schedule = context.client.set_schedule(&volume, &request).await?;
            context.print(&schedule, |schedule| {
                format!(
                    "the next snapshot of {} is taken at {}\n",
                    schedule.volume, schedule.next
                )
            })
        }
        (Some(volume), None) if off => {
            context.client.remove_schedule(&volume).await?;
            context.print(&json!({"off": volume}), |_| {
                format!("no more snapshots of {volume} are taken; those that were taken stay\n")
            })
        }
        (volume, _) => {
            let mut list = context.client.schedules().await?;
            if let Some(volume) = &volume {
                // So that a volume that isn't there is an error, as everywhere.
                context.client.volume(volume).await?;
                list.schedules.retain(|schedule| schedule.volume == *volume);
            }
            context.print(&list, |list| show::schedules(&list.schedules))
        }
    }
}

pub(super) async fn run_diff(points: DiffArgs, context: &mut Context<'_>) -> Result<(), CliError> {
    let DiffArgs { from, to } = points;
    let to = to.unwrap_or_else(|| {
        let volume = from.split_once('@').map(|(volume, _)| volume);
        volume.unwrap_or(&from).to_owned()
    });
    let mut all = context.client.diff(&from, &to, 0).await?;
    while let Some(next) = all.next_offset_bytes {
        let part = context.client.diff(&from, &to, next).await?;
        all.next_offset_bytes = part.next_offset_bytes.filter(|after| *after > next);
        all.ranges.extend(part.ranges);
    }
    context.print(&all, show::diff)
}
