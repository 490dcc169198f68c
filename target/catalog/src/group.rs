//! Groups: volumes whose snapshots are taken at one point in time. Only values.

use std::collections::BTreeSet;

use crate::snapshot::GroupName;
use crate::volume::VolumeName;

/// Most volumes of one group.
pub const MEMBERS_MAX: usize = 256;

/// A group of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// The volumes in it.
    pub members: BTreeSet<VolumeName>,
}
