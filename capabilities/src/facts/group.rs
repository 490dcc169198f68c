//! One replication group and its members, in order.

use super::{Element, GroupId, Place};

/// What is known of a group.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Which one.
    pub id: GroupId,
    /// Where it is served.
    pub place: Place,
    /// Its members, in their order: the first of a source group is copied to the first of a target group.
    pub members: &'a [Element<'a>],
    /// Which end it may be.
    pub reserved_as: ReservedAs,
    /// How many associations it is an end of.
    pub relations: u64,
    /// How many SynchronizationAspects it has.
    pub aspects: u64,
}

/// Which end of a copy a group may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservedAs {
    /// The source.
    SourceOnly,
    /// The target.
    TargetOnly,
    /// Either.
    SourceOrTarget,
}
