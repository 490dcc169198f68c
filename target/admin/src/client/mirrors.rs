//! Asking about mirrors.

use super::{Answer, Client, path};
use crate::v1;

impl Client {
    /// All mirrors.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`]; so for all other requests.
    pub async fn mirrors(&self) -> Answer<v1::MirrorList> {
        self.get(path(&["mirrors"])).await
    }

    /// One mirror, by the name of a volume in it or its id.
    pub async fn mirror(&self, name: &str) -> Answer<v1::Mirror> {
        self.get(path(&["mirrors", name])).await
    }

    /// Makes a mirror.
    pub async fn create_mirror(&self, request: &v1::CreateMirror) -> Answer<v1::Mirror> {
        self.send("POST", path(&["mirrors"]), request).await
    }

    /// Sets how far the target of an asynchronous mirror may be behind, and how fast is copied.
    pub async fn set_mirror(&self, name: &str, request: &v1::SetMirror) -> Answer<v1::Mirror> {
        self.send("PATCH", path(&["mirrors", name]), request).await
    }

    /// Does an operation on a mirror.
    pub async fn modify_mirror(
        &self,
        name: &str,
        request: &v1::ModifyMirror,
    ) -> Answer<v1::Mirror> {
        self.send("POST", path(&["mirrors", name, "operations"]), request)
            .await
    }

    /// Says who lets hosts use the target of a mirror.
    pub async fn set_mirror_failover(
        &self,
        name: &str,
        request: &v1::SetMirrorFailover,
    ) -> Answer<v1::MirrorFailoverSet> {
        self.send("PUT", path(&["mirrors", name, "failover"]), request)
            .await
    }

    /// Makes two independent volumes of a mirror.
    pub async fn detach_mirror(&self, name: &str, force: bool) -> Answer<()> {
        let force = if force { "?force=true" } else { "" };
        self.delete(path(&["mirrors", name]) + force).await
    }

    /// Makes mirrors of all volumes of a group.
    pub async fn create_group_mirrors(
        &self,
        group: &str,
        request: &v1::CreateGroupMirrors,
    ) -> Answer<v1::MirrorList> {
        self.send("POST", path(&["groups", group, "mirrors"]), request)
            .await
    }

    /// Does an operation on the mirrors of all volumes of a group.
    pub async fn modify_group_mirrors(
        &self,
        group: &str,
        request: &v1::ModifyMirror,
    ) -> Answer<v1::MirrorList> {
        let path = path(&["groups", group, "mirrors", "operations"]);
        self.send("POST", path, request).await
    }

    /// Makes independent volumes of those of a group, and of what they are mirrored with.
    pub async fn detach_group_mirrors(&self, group: &str, force: bool) -> Answer<()> {
        let force = if force { "?force=true" } else { "" };
        self.delete(path(&["groups", group, "mirrors"]) + force)
            .await
    }

    /// Begins to compare the ends of a mirror.
    pub async fn verify_mirror(&self, name: &str) -> Answer<v1::Job> {
        self.send("POST", path(&["mirrors", name, "verify"]), &())
            .await
    }
}
