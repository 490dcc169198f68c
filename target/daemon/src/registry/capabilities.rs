//! What elements support right now: asked by clients, and by whatever makes a copy before it does. Both put
//! the same facts before the same function (`tidelock_capabilities::decide`), so that they can't differ.

mod associations;
mod built;
mod census;
mod facts;

use std::fmt;

use tidelock_capabilities::facts::ElementId;
use tidelock_capabilities::values::{EnabledState, MethodName, ReturnCode, SyncType};
use tidelock_capabilities::{
    AccessPoint, BuiltCapabilities, Creation, Decision, Names, Reference, Refusal, Request, admit,
    decide,
};
use tidelock_catalog::{Catalog, DatasetRef, GroupName, PeerName, SnapshotName, VolumeName};

use super::changes::ChangeError;
use super::{EndName, Registry};
pub use associations::ReplicaAsked;
pub(super) use built::built;
pub(super) use census::Census;
pub(super) use facts::Gathered;
use facts::Named;

/// How often facts are gathered again because something has changed meanwhile.
const ATTEMPTS: usize = 4;

/// An element that a client names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementName {
    /// A volume (a clone is one), or a snapshot.
    Dataset(DatasetRef),
    /// A group.
    Group(GroupName),
    /// A volume of a peer, which may not be there yet.
    AtPeer(EndName),
    /// The end that a peer has of a mirror with this daemon.
    Far(ElementId),
    /// Something that was here, or could have been.
    Gone,
    /// Nothing that could be here.
    Unreadable,
}

impl ElementName {
    /// Reads what a client calls it. `VOLUME@SNAPSHOT` is a snapshot, `PEER:VOLUME` a peer's volume; a name may be a volume's and a group's: for
    /// `CreateGroupReplica` it is the group's then, and else the volume's.
    #[must_use]
    pub fn read(text: &str, method: u16, catalog: &Catalog) -> Self {
        if let Some((volume, snapshot)) = text.split_once('@') {
            return match (VolumeName::new(volume), SnapshotName::new(snapshot)) {
                (Ok(volume), Ok(snapshot)) => Self::Dataset(DatasetRef {
                    volume,
                    snapshot: Some(snapshot),
                }),
                _ => Self::Unreadable,
            };
        }
        if text.contains(':') {
            return text.parse().map_or(Self::Unreadable, Self::AtPeer);
        }
        let volume = VolumeName::new(text).ok();
        let group = GroupName::new(text)
            .ok()
            .filter(|name| catalog.group(name).is_ok());
        let is_volume = |name: &VolumeName| catalog.volume(name).is_ok();
        let groups_first = method == MethodName::CreateGroupReplica.value();
        match (volume, group) {
            (Some(volume), Some(group)) if is_volume(&volume) && !groups_first => {
                drop(group);
                Self::Dataset(DatasetRef {
                    volume,
                    snapshot: None,
                })
            }
            (_, Some(group)) => Self::Group(group),
            (Some(volume), None) => Self::Dataset(DatasetRef {
                volume,
                snapshot: None,
            }),
            (None, None) => Self::Unreadable,
        }
    }
}

/// By whom the other end is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via<'a> {
    /// That isn't said.
    Nobody,
    /// A peer.
    Peer(&'a PeerName),
    /// Nobody who could be a peer.
    Unreadable,
}

/// A question about what can be made of an element.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is asked about; `None`: nothing was named.
    pub element: Option<&'a ElementName>,
    /// The other end.
    pub other: Option<&'a ElementName>,
    /// By whom that is reached.
    pub via: Via<'a>,
    /// The number of the method that would make the copy, in its value map.
    pub method_name: u16,
}

/// An answer, with what it takes to tell it in words.
#[derive(Debug)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    names: Gathered,
}

impl Answer {
    /// What elements are called in it.
    #[must_use]
    pub fn names(&self) -> &dyn Names {
        &self.names
    }
}

/// Why a copy isn't made, in words and by its return code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What `CreateElementReplica` and its like return.
    pub return_code: ReturnCode,
    /// What is in the way, and what would clear it.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A copy that is about to be made of an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) sync_type: SyncType,
    pub(super) method: MethodName,
}

impl Wanted {
    pub(super) const SNAPSHOT: Self = Self {
        sync_type: SyncType::Snapshot,
        method: MethodName::CreateElementReplica,
    };
    pub(super) const GROUP_SNAPSHOT: Self = Self {
        sync_type: SyncType::Snapshot,
        method: MethodName::CreateGroupReplica,
    };
    pub(super) const GROUP_CLONE: Self = Self {
        sync_type: SyncType::Clone,
        method: MethodName::CreateGroupReplica,
    };
    pub(super) const CLONE: Self = Self {
        sync_type: SyncType::Clone,
        method: MethodName::CreateElementReplica,
    };
}

impl Registry {
    /// `GetSynchronizationSupported`: which copies could be made of an element, or with another one, by a method
    /// (its number in the value map), at this moment.
    #[must_use]
    pub fn synchronization_supported(
        &self,
        element: &ElementName,
        other: Option<&ElementName>,
        method_name: u16,
    ) -> Answer {
        self.answer(Asked {
            element: Some(element),
            other,
            via: Via::Nobody,
            method_name,
        })
    }

    /// The same with everything that can be asked.
    #[must_use]
    pub fn answer(&self, asked: Asked<'_>) -> Answer {
        self.answer_of(asked, built())
    }

    fn answer_of(&self, asked: Asked<'_>, built: &BuiltCapabilities) -> Answer {
        let element = asked.element.unwrap_or(&ElementName::Gone);
        let gathered = self.gather_via(element, asked.other, asked.via);
        let request = Request {
            local_element: match asked.element {
                Some(element) => gathered.reference(element),
                None => Reference::Null,
            },
            other_element: asked
                .other
                .map_or(Reference::Null, |other| gathered.other(other)),
            other_element_access_point: gathered.access_point(asked.other, asked.via),
            method_name: asked.method_name,
        };
        let decision = gathered.with_facts(built, |facts| decide(&request, facts));
        Answer {
            decision,
            names: gathered,
        }
    }

    /// Whether a copy may be made now, to which nothing is supplied.
    ///
    /// # Errors
    /// What stands against it. A source that isn't there is told in the catalog's words.
    pub(super) fn admit(&self, wanted: Wanted, source: &DatasetRef) -> Result<(), ChangeError> {
        self.catalog().volume(&source.volume)?;
        self.admit_named(wanted, &ElementName::Dataset(source.clone()))
    }

    /// The same for all members of a group.
    ///
    /// # Errors
    /// What stands against it.
    pub(super) fn admit_group(&self, wanted: Wanted, group: &GroupName) -> Result<(), ChangeError> {
        self.catalog().group(group)?;
        self.admit_named(wanted, &ElementName::Group(group.clone()))
    }

    fn admit_named(&self, wanted: Wanted, source: &ElementName) -> Result<(), ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let gathered = self.gather(source, None);
        if let Some(missing) = gathered.missing() {
            return Err(missing.into());
        }
        let creation = Creation {
            method: wanted.method,
            sync_type: wanted.sync_type,
            mode: None,
            source: gathered.reference(source),
            target: Reference::Null,
            access_point: AccessPoint::Null,
        };
        let admitted = gathered.with_facts(built(), |facts| admit(&creation, facts));
        admitted
            .map(drop)
            .map_err(|refusal| self.refused(&refusal, &gathered, source))
    }

    /// A refusal in words.
    pub(super) fn refused(
        &self,
        refusal: &Refusal,
        gathered: &Gathered,
        source: &ElementName,
    ) -> ChangeError {
        let mut reason = match refusal {
            Refusal::Reason(reason) => reason.sentence(gathered).to_string(),
            Refusal::Problem(problem) => problem.to_string(),
        };
        let return_code = refusal.return_code();
        if let (ReturnCode::Failed, Some(detail)) = (return_code, self.fault(source)) {
            reason = format!("{reason} ({detail})");
        }
        ChangeError::Refused(Refused {
            return_code,
            reason,
        })
    }

    /// What is wrong with a source, in more words than the rules have.
    fn fault(&self, source: &ElementName) -> Option<String> {
        let catalog = self.catalog();
        let volumes: Vec<VolumeName> = match source {
            ElementName::Dataset(dataset) => vec![dataset.volume.clone()],
            ElementName::Group(group) => {
                catalog.group(group).ok()?.members.iter().cloned().collect()
            }
            ElementName::AtPeer(_)
            | ElementName::Far(_)
            | ElementName::Gone
            | ElementName::Unreadable => Vec::new(),
        };
        volumes.iter().find_map(|name| {
            let unready = self.ready(name).err().map(|error| error.to_string());
            unready.or_else(|| self.snapshots_problem(name))
        })
    }

    /// The facts about what is named, all of one state of the daemon.
    pub(super) fn gather(&self, element: &ElementName, other: Option<&ElementName>) -> Gathered {
        self.gather_via(element, other, Via::Nobody)
    }

    fn gather_via(
        &self,
        element: &ElementName,
        other: Option<&ElementName>,
        via: Via<'_>,
    ) -> Gathered {
        let mut gathered = self.gather_once(element, other, via);
        for _ in 1..ATTEMPTS {
            if self.generation() == gathered.generation {
                break;
            }
            gathered = self.gather_once(element, other, via);
        }
        gathered
    }

    fn gather_once(
        &self,
        element: &ElementName,
        other: Option<&ElementName>,
        via: Via<'_>,
    ) -> Gathered {
        let service = match self.is_loaded() {
            true => EnabledState::Enabled,
            false => EnabledState::Starting,
        };
        let mut gathered = Gathered::new(self.generation(), service);
        for name in std::iter::once(element).chain(other) {
            match name {
                ElementName::Gone | ElementName::Unreadable => {}
                ElementName::AtPeer(EndName { peer, .. }) => {
                    if let Some(peer) = peer {
                        self.gather_peer(&mut gathered, peer);
                    }
                }
                ElementName::Far(id) => {
                    if let Some((known, peer)) = self.known_far(*id) {
                        self.gather_peer(&mut gathered, &peer);
                        gathered.add(Named::Far(*id), vec![known]);
                    }
                }
                ElementName::Dataset(dataset) => match self.known(dataset) {
                    Ok(known) => gathered.add(Named::Dataset(dataset.clone()), vec![known]),
                    Err(error) => gathered.miss(error),
                },
                ElementName::Group(group) => match self.known_members(group) {
                    Ok(members) => gathered.add(Named::Group(group.clone()), members),
                    Err(error) => gathered.miss(error),
                },
            }
        }
        if let Via::Peer(peer) = via {
            self.gather_peer(&mut gathered, peer);
        }
        gathered.totals = self.totals();
        gathered
    }

    fn gather_peer(&self, gathered: &mut Gathered, name: &PeerName) {
        match self.known_peer(name) {
            Ok(known) => gathered.add_peer(known, name),
            Err(error) => gathered.miss(error),
        }
    }
}
