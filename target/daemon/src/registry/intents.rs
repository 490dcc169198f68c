//! What was intended when a crash came, in several places at a time: it is finished, in each family as soon as
//! that is open and before anybody can see it.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_catalog::{Backing, Catalog, Command, Intent, IntentKind, RestoreMember};

use super::changes::{ChangeError, run_blocking};
use super::families::ServedFamily;
use super::promotion::move_snapshots;
use super::{Registry, Writer};

type Families = HashMap<tidelock_catalog::FamilyId, Arc<ServedFamily>>;

impl Registry {
    /// Finishes what can be finished by now.
    pub(super) async fn finish_intents(&self, writer: &Writer) -> Result<(), ChangeError> {
        self.finish_some(writer, |_| true).await
    }

    /// Finishes what a promotion has left that couldn't be told that it was done: the next one may move the same
    /// snapshots elsewhere, and a start must not move them back.
    pub(super) async fn finish_moves(&self, writer: &Writer) -> Result<(), ChangeError> {
        let moves = |what: &IntentKind| matches!(what, IntentKind::MoveSnapshots { .. });
        self.finish_some(writer, moves).await
    }

    async fn finish_some(
        &self,
        writer: &Writer,
        which: impl Fn(&IntentKind) -> bool,
    ) -> Result<(), ChangeError> {
        let catalog = self.catalog();
        let families: Families = self
            .families
            .all()
            .into_iter()
            .map(|family| (family.id(), family))
            .collect();
        let families = Arc::new(families);
        let intents = catalog
            .intents()
            .iter()
            .filter(|intent| which(&intent.what));
        for intent in intents.cloned().collect::<Vec<_>>() {
            let (known, families) = (Arc::clone(&catalog), Arc::clone(&families));
            let id = intent.id;
            if run_blocking(move || finish(&intent, &known, &families)).await?? {
                tracing::info!(intent = %id, "left unfinished: finished");
                let (catalog, changes) = self.save(writer, Command::Fulfil { intent: id }).await?;
                self.install(catalog, &changes, None);
            }
        }
        Ok(())
    }
}

/// Whether it is so everywhere now. Blocks.
fn finish(intent: &Intent, catalog: &Catalog, families: &Families) -> Result<bool, ChangeError> {
    match &intent.what {
        IntentKind::MoveSnapshots {
            family,
            to,
            snapshots,
        } => {
            if catalog.family(*family).is_none() {
                return Ok(true);
            }
            let open = families
                .get(family)
                .and_then(|family| family.open_family().ok());
            let Some(open) = open else {
                return Ok(false);
            };
            move_snapshots(&open, *to, snapshots)?;
            Ok(true)
        }
        IntentKind::Restore { members } => {
            let mut all = true;
            for member in members {
                all &= restore(member, catalog, families)?;
            }
            Ok(all)
        }
    }
}

/// Whether a volume of a group that was being restored is.
fn restore(
    member: &RestoreMember,
    catalog: &Catalog,
    families: &Families,
) -> Result<bool, ChangeError> {
    let record = catalog.volumes().find(|volume| volume.id == member.volume);
    let Some(Backing::Head(place)) = record.map(|record| record.backing) else {
        // It was deleted since, or is a file.
        return Ok(true);
    };
    let open = families
        .get(&place.family)
        .and_then(|family| family.open_family().ok());
    let Some(open) = open else {
        return Ok(false);
    };
    let datasets = open.datasets();
    if datasets.contains_key(&member.safety) {
        return Ok(true);
    }
    // Told of before it was intended; not any more if it was given up, or done and deleted since. A list that can't
    // be read doesn't say so.
    let is_told = open.look(|list| list.get(member.safety).is_some());
    if !is_told.unwrap_or(true) {
        return Ok(true);
    }
    if !datasets.contains_key(&member.to) {
        tracing::error!(volume = %member.volume, snapshot = %member.to,
            "it should have been restored with its group, and the snapshot isn't there: it stays as it is");
        return Ok(true);
    }
    let [head, to, safety] = [place.dataset, member.to, member.safety].map(|id| *id.0.as_bytes());
    open.engine.restore(head, to, safety)?;
    Ok(true)
}
