//! What the admin server asks of the daemon about clones.

use tidelock_admin::v1;
use tidelock_catalog::VolumeName;

use crate::admin_server::control::Outcome;
use crate::registry::{CloneRequest, GroupCloneRequest};

/// The daemon's clones as the admin server sees them. What holds of [`Control`] holds here.
///
/// [`Control`]: crate::admin_server::Control
pub trait CloneControl: Send + Sync + 'static {
    /// All clones.
    fn clones(&self) -> Vec<v1::CloneOf>;

    /// One clone.
    fn clone_of(&self, volume: &VolumeName) -> Outcome<'_, v1::CloneOf>;

    /// Makes a clone; a full one gets its blocks in the background.
    fn create_clone(&self, request: CloneRequest) -> Outcome<'_, ()>;

    /// Begins to make a full clone of a linked one; `rate` is in bytes a second.
    fn split_clone(&self, volume: VolumeName, rate: Option<u64>) -> Outcome<'_, ()>;

    /// Forgets what a full clone was made from.
    fn detach_clone(&self, volume: VolumeName) -> Outcome<'_, ()>;

    /// Lets a clone and what it was made from change places.
    fn promote_clone(&self, volume: VolumeName) -> Outcome<'_, ()>;

    /// Makes clones of all volumes of a group.
    fn clone_group(&self, request: GroupCloneRequest) -> Outcome<'_, Vec<v1::CloneOf>>;
}
