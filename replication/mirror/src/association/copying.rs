//! The source's part in a resync: reads what the peer lacks, region by region, while hosts go on. A write of a region
//! that is still to be read isn't sent, since it will be read with it; any other goes to the peer at once.

use bytes::Bytes;

use super::action::{Action, Differing, Report};
use super::engine::{Engine, Purpose};
use super::peer::Plan;
use crate::data::Data;
use crate::generation::Standing;
use crate::id::{NodeId, OperationId};
use crate::link::Message;
use crate::region::{Range, Region, RegionSet};

impl Engine {
    /// The peer can be overwritten: `base` is the generation that it holds.
    pub(super) fn begin_copying(&mut self, peer: NodeId, differing: &Differing) {
        if self.peer(peer).asynchronous {
            self.begin_copying_cut(peer, differing);
            return;
        }
        let Some(request) = self.target.requested(peer) else {
            self.misbehaved(
                peer,
                "it says that it is ready for a resync that wasn't begun",
            );
            return;
        };
        let saved = self.peer(peer).saved.take();
        let remaining = match saved {
            Some((_, left)) if request.resumes => left,
            _ => self.lacking(peer, &request, differing),
        };
        let bytes = |region: Region| self.config.regions.range(region).length;
        let total = remaining.iter().map(bytes).sum();
        self.report(Report::ResyncBegun(peer, total));
        self.peer(peer).plan = Some(Plan {
            remaining,
            ..Plan::default()
        });
    }

    fn begin_copying_cut(&mut self, peer: NodeId, differing: &Differing) {
        let Some(cut) = &self.peer(peer).cut else {
            self.misbehaved(peer, "it says that it is ready for a cut that wasn't taken");
            return;
        };
        let mut remaining = cut.lacking.clone();
        match differing {
            Differing::Regions(regions) => remaining.add(regions),
            Differing::All => remaining = self.config.regions.all(),
        }
        let bytes = |region: Region| self.config.regions.range(region).length;
        let total = remaining.iter().map(bytes).sum();
        self.report(Report::ResyncBegun(peer, total));
        self.peer(peer).plan = Some(Plan {
            remaining,
            ..Plan::default()
        });
    }

    /// Where a peer may differ.
    pub(super) fn lacking(
        &self,
        peer: NodeId,
        request: &super::session::Request,
        differing: &Differing,
    ) -> RegionSet {
        let all = || self.config.regions.all();
        let (Some(base), Differing::Regions(theirs)) = (request.base, differing) else {
            return all();
        };
        let mut lacking = if self.keeper.record().lineage.current() == Some(base) {
            match self.peers.get(&peer) {
                // Both have run on since, so both know what was on its way.
                Some(it) if request.known => return it.missing.clone(),
                _ => RegionSet::default(),
            }
        } else {
            match self.log.changed_in(&self.keeper.record().lineage, base) {
                Some(changed) => changed.clone(),
                None => return all(),
            }
        };
        lacking.add(self.log.hot());
        lacking.add(theirs);
        lacking
    }

    /// Whether any of it is being read for a peer.
    pub(super) fn is_copying(&self, range: Range) -> bool {
        let mut reading = self
            .peers
            .values()
            .filter(|it| !it.asynchronous)
            .filter_map(|it| it.plan.as_ref())
            .flat_map(|it| it.reading.values());
        reading.any(|it| self.config.regions.range(*it).overlaps(range))
    }

    pub(super) fn pump_copies(&mut self) {
        let copying = self.peers.iter().filter(|(_, it)| it.plan.is_some());
        let peers: Vec<NodeId> = copying.map(|(peer, _)| *peer).collect();
        for peer in peers {
            while self.begin_copy(peer) {}
            let Some(it) = self.peers.get(&peer) else {
                continue;
            };
            let is_complete = it
                .plan
                .as_ref()
                .is_some_and(|it| it.remaining.is_empty() && it.reading.is_empty());
            if is_complete && it.asynchronous {
                self.cut_copied(peer);
            } else if is_complete && *self.keeper.standing(peer) == Standing::Behind {
                // Until it confirms, it may still go back to what it was.
                self.keeper.copied(peer);
            }
        }
    }

    /// Begins to read the next region for a peer; false if none can be now.
    fn begin_copy(&mut self, peer: NodeId) -> bool {
        let Some(it) = self.peers.get(&peer) else {
            return false;
        };
        let Some(plan) = &it.plan else {
            return false;
        };
        if plan.reading.len() >= self.config.copies_max {
            return false;
        }
        // What the last source sent may still be on its way to the disk, if this end took over from it.
        let free = |region: &Region| {
            let range = self.config.regions.range(*region);
            it.asynchronous || !self.host.is_writing(range) && !self.target.is_applying(range)
        };
        let Some(region) = plan.remaining.iter().find(free) else {
            return false;
        };
        let range = self.config.regions.range(region);
        if range.length > self.copy_budget || !it.has_room(range.length) {
            return false;
        }
        let cut = it.cut.as_ref().map(|it| it.generation);
        self.copy_budget -= range.length;
        let operation = self.operation(Purpose::Copy(peer));
        if let Some(plan) = &mut self.peer(peer).plan {
            plan.remaining.remove(region);
            plan.reading_bytes += range.length;
            plan.reading.insert(operation, region);
        }
        self.act(match cut {
            Some(generation) => Action::ReadCut(operation, generation, range),
            None => Action::Read(operation, range),
        });
        true
    }

    pub(super) fn copy_read(&mut self, peer: NodeId, operation: OperationId, data: Bytes) {
        let plan = self.peer(peer).plan.as_mut();
        let Some(region) = plan.and_then(|it| it.reading.remove(&operation)) else {
            return;
        };
        let range = self.config.regions.range(region);
        if let Some(plan) = &mut self.peer(peer).plan {
            plan.reading_bytes = plan.reading_bytes.saturating_sub(range.length);
        }
        let sequence = self.sequence();
        let data = Data::of(data);
        self.peer(peer).sends(sequence, region.into(), data.cost());
        let offset = range.offset;
        self.send(
            peer,
            Message::Copy {
                sequence,
                offset,
                data,
            },
        );
    }
}
