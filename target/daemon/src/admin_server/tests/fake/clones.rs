//! Clones that there are none of.

use futures_util::FutureExt;
use futures_util::future::ready;
use tidelock_admin::v1;
use tidelock_catalog::{CatalogError, VolumeName};

use super::Fake;
use crate::admin_server::{CloneControl, Control, Outcome};
use crate::registry::{CloneRequest, GroupCloneRequest};

impl Fake {
    fn no_clone<T: Send + 'static>(&self, volume: &VolumeName) -> Outcome<'_, T> {
        let known = self.catalog().volume(volume).map(drop);
        let volume = volume.clone();
        let error = known.err().unwrap_or(CatalogError::NotAClone { volume });
        ready(Err(error.into())).boxed()
    }
}

impl CloneControl for Fake {
    fn clones(&self) -> Vec<v1::CloneOf> {
        Vec::new()
    }

    fn clone_of(&self, volume: &VolumeName) -> Outcome<'_, v1::CloneOf> {
        self.no_clone(volume)
    }

    fn create_clone(&self, request: CloneRequest) -> Outcome<'_, ()> {
        let volume = request.source.volume;
        ready(Err(CatalogError::NotInFamily { volume }.into())).boxed()
    }

    fn split_clone(&self, volume: VolumeName, _: Option<u64>) -> Outcome<'_, ()> {
        self.no_clone(&volume)
    }

    fn detach_clone(&self, volume: VolumeName) -> Outcome<'_, ()> {
        self.no_clone(&volume)
    }

    fn promote_clone(&self, volume: VolumeName) -> Outcome<'_, ()> {
        self.no_clone(&volume)
    }

    fn clone_group(&self, request: GroupCloneRequest) -> Outcome<'_, Vec<v1::CloneOf>> {
        let none = self.catalog().group(&request.group).map(|_| Vec::new());
        ready(none.map_err(Into::into)).boxed()
    }
}
