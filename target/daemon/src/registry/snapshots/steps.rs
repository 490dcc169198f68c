//! The steps of taking and restoring, each of which is durable before the next. Everything here blocks.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_catalog::{DatasetId, FamilyId, ListChange, Snapshot};
use tidelock_replication::Family;

use super::Member;
use crate::registry::changes::ChangeError;
use crate::registry::families::OpenFamily;
use crate::registry::removal::delete_datasets;

/// Volumes, and a snapshot of each that is being taken.
pub(super) type Taking = [(Member, Snapshot)];

fn engine_snapshot(taking: &Taking) -> Result<(), ChangeError> {
    let members: Vec<_> = taking
        .iter()
        .map(|(member, snapshot)| {
            let engine = Arc::clone(&member.open.engine);
            (engine, *member.head.0.as_bytes(), *snapshot.id.0.as_bytes())
        })
        .collect();
    Family::snapshot(&members)?;
    // What hosts have written and not flushed is in it, as durable as it was. Nobody waits for the disk
    // here, and nothing is to be lost for longer than it takes.
    for (member, _) in taking {
        member.open.engine.settle_soon();
    }
    Ok(())
}

/// One snapshot: it is told of when it is there. Blocks.
pub(super) fn take_alone(taking: &Taking) -> Result<(), ChangeError> {
    let told = engine_snapshot(taking).and_then(|()| {
        for (member, snapshot) in taking {
            member.open.add(&[ListChange::Add(snapshot.clone())])?;
        }
        Ok(())
    });
    if told.is_err() {
        undo(taking);
    }
    told
}

/// What was made of snapshots that aren't told of goes again. Blocks.
fn undo(taking: &Taking) {
    for (member, snapshot) in taking {
        if member.open.datasets().contains_key(&snapshot.id) {
            delete_datasets(&member.open, &[snapshot.id]);
        }
    }
}

/// Several at one moment: they are told of as pending first, in all families, so that after a crash either all of
/// them are there or none. They stay so until [`confirm`] or [`give_up`]. Blocks.
pub(super) fn take_together(taking: &Taking) -> Result<(), ChangeError> {
    let told = change_each(taking, |snapshot| ListChange::Add(snapshot.clone()));
    let taken = told.and_then(|()| engine_snapshot(taking));
    if taken.is_err() {
        give_up(taking);
    }
    taken
}

/// Snapshots that were taken together are one moment of all volumes over a power cut, too, and then they are told of.
/// Blocks.
pub(super) fn settle_together(taking: &Taking) -> Result<(), ChangeError> {
    for (open, _) in by_family(taking).into_values() {
        open.engine.settle_all()?;
    }
    Ok(())
}

/// What was taken together is there, from the first of these on: a start finds that one and confirms the others.
/// Blocks.
pub(super) fn confirm(taking: &Taking) -> Result<(), ChangeError> {
    change_each(taking, |snapshot| ListChange::Confirm(snapshot.id))
}

/// What was to be taken together isn't. Blocks.
pub(super) fn give_up(taking: &Taking) {
    undo(taking);
    for (open, snapshots) in by_family(taking).into_values() {
        for snapshot in snapshots {
            // Those of lists that were never added to aren't there.
            let is_there = open.look(|list| list.get(snapshot.id).is_some());
            if is_there.is_ok_and(|there| there)
                && let Err(error) = open.add(&[ListChange::Remove(snapshot.id)])
            {
                tracing::error!(%error, "a snapshot that wasn't taken stays until a restart");
            }
        }
    }
}

fn by_family(taking: &Taking) -> HashMap<FamilyId, (Arc<OpenFamily>, Vec<&Snapshot>)> {
    let mut families = HashMap::new();
    for (member, snapshot) in taking {
        let entry = families
            .entry(member.family.id())
            .or_insert_with(|| (Arc::clone(&member.open), Vec::new()));
        entry.1.push(snapshot);
    }
    families
}

/// Changes the lists of all families.
fn change_each(
    taking: &Taking,
    change: impl Fn(&Snapshot) -> ListChange,
) -> Result<(), ChangeError> {
    for (open, snapshots) in by_family(taking).into_values() {
        let changes: Vec<_> = snapshots.into_iter().map(&change).collect();
        open.add(&changes)?;
    }
    Ok(())
}

/// The engine's part of a restore, with what makes it known after a crash. The size stays: what the
/// volume has grown by since reads as zeros. Blocks.
pub(super) fn restore(member: &Member, to: DatasetId, safety: Snapshot) -> Result<(), ChangeError> {
    let (open, id) = (&member.open, safety.id);
    open.add(&[ListChange::Add(safety)])?;
    let [head, to, kept] = [member.head, to, id].map(|id| *id.0.as_bytes());
    if let Err(error) = open.engine.restore(head, to, kept) {
        // It may have happened, and not be durable: then its family is fenced, and a restart tells.
        if !open.datasets().contains_key(&id) {
            open.add(&[ListChange::Remove(id)])?;
        }
        return Err(error.into());
    }
    // What was there before is kept as it was, whatever comes.
    member.store.flush_blocking()?;
    Ok(open.add(&[ListChange::Confirm(id)])?)
}
