//! Asking about clones.

use super::{Answer, Client, path};
use crate::v1;

impl Client {
    /// All clones.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`]; so for all other requests.
    pub async fn clones(&self) -> Answer<v1::CloneList> {
        self.get(path(&["clones"])).await
    }

    /// One clone.
    pub async fn clone_of(&self, name: &str) -> Answer<v1::CloneOf> {
        self.get(path(&["clones", name])).await
    }

    /// Makes a clone.
    pub async fn create_clone(&self, request: &v1::CreateClone) -> Answer<v1::Volume> {
        self.send("POST", path(&["clones"]), request).await
    }

    /// Begins to make a full clone of a linked one.
    pub async fn split_clone(&self, name: &str, request: &v1::SplitClone) -> Answer<v1::CloneOf> {
        self.send("POST", path(&["clones", name, "split"]), request)
            .await
    }

    /// Forgets what a full clone was made from.
    pub async fn detach_clone(&self, name: &str) -> Answer<v1::Volume> {
        self.send("POST", path(&["clones", name, "detach"]), &())
            .await
    }

    /// Lets a clone and what it was made from change places.
    pub async fn promote_clone(&self, name: &str) -> Answer<v1::Volume> {
        self.send("POST", path(&["clones", name, "promote"]), &())
            .await
    }

    /// Makes clones of all volumes of a group.
    pub async fn clone_group(
        &self,
        group: &str,
        request: &v1::CloneGroup,
    ) -> Answer<v1::CloneList> {
        self.send("POST", path(&["groups", group, "clones"]), request)
            .await
    }
}
