//! Asking a daemon: HTTP/1.1 over its Unix socket, one connection per request. Knows the API, not
//! the command line.

mod capabilities;
mod clones;
mod error;
mod http;
mod jobs;
mod mirrors;
mod peers;
mod snapshots;
mod streams;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::v1;

pub use bytes::Bytes;
pub use error::ClientError;
pub use http::Download;

/// A daemon's admin socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// What a request is answered with, or why not.
pub type Answer<T> = Result<T, ClientError>;

impl Client {
    /// A client of the daemon behind this socket. Connects only when something is asked.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all other requests.
    pub async fn status(&self) -> Answer<v1::Status> {
        self.get("/v1/status".into()).await
    }

    /// All volumes.
    pub async fn volumes(&self) -> Answer<v1::VolumeList> {
        self.get("/v1/volumes".into()).await
    }

    /// One volume.
    pub async fn volume(&self, name: &str) -> Answer<v1::Volume> {
        self.get(path(&["volumes", name])).await
    }

    /// Makes a volume. Takes as long as allocating its space does.
    pub async fn create_volume(&self, request: &v1::CreateVolume) -> Answer<v1::Volume> {
        self.send("POST", "/v1/volumes".into(), request).await
    }

    /// Gives a volume another size.
    pub async fn resize_volume(
        &self,
        name: &str,
        request: &v1::ResizeVolume,
    ) -> Answer<v1::Volume> {
        self.send("PATCH", path(&["volumes", name]), request).await
    }

    /// Sets how much space a volume may take.
    pub async fn set_space_limits(
        &self,
        name: &str,
        limits: &v1::SpaceLimits,
    ) -> Answer<v1::Volume> {
        self.send("PUT", path(&["volumes", name, "limits"]), limits)
            .await
    }

    /// Lets a fenced volume be used again.
    pub async fn unfence_volume(&self, name: &str) -> Answer<v1::Volume> {
        self.send("POST", path(&["volumes", name, "unfence"]), &())
            .await
    }

    /// Ends all reservations of a volume, and all registrations.
    pub async fn clear_reservations(&self, name: &str) -> Answer<()> {
        self.delete(path(&["volumes", name, "reservations"])).await
    }

    /// How a volume is accessed through each portal group.
    pub async fn asymmetric_access(&self, volume: &str) -> Answer<v1::AsymmetricAccess> {
        self.get(path(&["volumes", volume, "access"])).await
    }

    /// Sets how a volume is accessed through a portal group.
    pub async fn set_asymmetric_access(
        &self,
        volume: &str,
        group: u16,
        request: &v1::SetGroupAccess,
    ) -> Answer<v1::AsymmetricAccess> {
        let path = path(&["volumes", volume, "access", &group.to_string()]);
        self.send("PATCH", path, request).await
    }

    /// Removes a volume, and its file if the daemon made it; with its snapshots only if that is said.
    pub async fn delete_volume(&self, name: &str, with_snapshots: bool) -> Answer<()> {
        let with = if with_snapshots {
            "?with_snapshots=true"
        } else {
            ""
        };
        self.delete(path(&["volumes", name]) + with).await
    }

    /// All targets.
    pub async fn targets(&self) -> Answer<v1::TargetList> {
        self.get("/v1/targets".into()).await
    }

    /// One target.
    pub async fn target(&self, name: &str) -> Answer<v1::Target> {
        self.get(path(&["targets", name])).await
    }

    /// Makes a target.
    pub async fn create_target(&self, request: &v1::CreateTarget) -> Answer<v1::Target> {
        self.send("POST", "/v1/targets".into(), request).await
    }

    /// Says through which portal groups a target can be reached.
    pub async fn set_target(&self, name: &str, request: &v1::SetTarget) -> Answer<v1::Target> {
        self.send("PATCH", path(&["targets", name]), request).await
    }

    /// Removes a target; with `force` even if it has LUNs or sessions.
    pub async fn delete_target(&self, name: &str, force: bool) -> Answer<()> {
        let force = if force { "?force=true" } else { "" };
        self.delete(path(&["targets", name]) + force).await
    }

    /// Shows a volume in a target.
    pub async fn map_lun(&self, target: &str, request: &v1::MapLun) -> Answer<v1::Lun> {
        self.send("POST", path(&["targets", target, "luns"]), request)
            .await
    }

    /// Shows it no longer.
    pub async fn unmap_lun(&self, target: &str, lun: u16) -> Answer<()> {
        self.delete(path(&["targets", target, "luns", &lun.to_string()]))
            .await
    }

    /// Sets what sessions with a target are set up with.
    pub async fn set_parameters(
        &self,
        target: &str,
        request: &v1::SetParameters,
    ) -> Answer<v1::SessionParameters> {
        self.send("PATCH", path(&["targets", target, "parameters"]), request)
            .await
    }

    /// Sets what the sessions of those are set up with whom an entry of a target's list lets in.
    pub async fn set_access_parameters(
        &self,
        target: &str,
        initiator: &str,
        network: Option<&str>,
        request: &v1::SetParameters,
    ) -> Answer<v1::SessionParameters> {
        let base = path(&["targets", target, "acl"]);
        self.send("PATCH", entry_of(&base, initiator, network), request)
            .await
    }

    /// Sends whoever logs in to a target elsewhere.
    pub async fn set_redirect(&self, target: &str, request: &v1::Redirect) -> Answer<v1::Redirect> {
        self.send("PUT", path(&["targets", target, "redirect"]), request)
            .await
    }

    /// Serves it here again.
    pub async fn remove_redirect(&self, target: &str) -> Answer<()> {
        self.delete(path(&["targets", target, "redirect"])).await
    }

    /// The access list of a target, or of `discovery`.
    pub async fn access_list(&self, scope: &str) -> Answer<v1::AccessList> {
        self.get(acl_path(scope)).await
    }

    /// Sets what an access list says about an initiator (or `*`), coming from a network or anywhere.
    pub async fn set_access(
        &self,
        scope: &str,
        initiator: &str,
        network: Option<&str>,
        request: &v1::SetAccess,
    ) -> Answer<v1::AccessEntry> {
        self.send("PUT", entry_path(scope, initiator, network), request)
            .await
    }

    /// Removes what an access list says about an initiator (or `*`), coming from a network or anywhere.
    pub async fn remove_access(
        &self,
        scope: &str,
        initiator: &str,
        network: Option<&str>,
    ) -> Answer<()> {
        self.delete(entry_path(scope, initiator, network)).await
    }

    /// All sessions.
    pub async fn sessions(&self) -> Answer<v1::SessionList> {
        self.get("/v1/sessions".into()).await
    }

    /// Asks the initiator of a session to log out.
    pub async fn logout_session(&self, id: u64, request: &v1::LogoutSession) -> Answer<()> {
        let path = path(&["sessions", &id.to_string(), "logout"]);
        let json = serde_json::to_vec(request)
            .map_err(|error| ClientError::protocol(&self.socket, error))?;
        http::request(&self.socket, "POST", &path, Some(json))
            .await
            .map(drop)
    }

    /// Ends a session.
    pub async fn drop_session(&self, id: u64) -> Answer<()> {
        self.delete(path(&["sessions", &id.to_string()])).await
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Answer<T> {
        let body = http::request(&self.socket, "GET", &path, None).await?;
        self.parse(&body)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: &'static str,
        path: String,
        request: &impl Serialize,
    ) -> Answer<T> {
        let json = serde_json::to_vec(request)
            .map_err(|error| ClientError::protocol(&self.socket, error))?;
        let body = http::request(&self.socket, method, &path, Some(json)).await?;
        self.parse(&body)
    }

    async fn delete(&self, path: String) -> Answer<()> {
        http::request(&self.socket, "DELETE", &path, None)
            .await
            .map(drop)
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Answer<T> {
        serde_json::from_slice(body).map_err(|error| ClientError::protocol(&self.socket, error))
    }
}

fn acl_path(scope: &str) -> String {
    if scope == "discovery" {
        path(&["discovery", "acl"])
    } else {
        path(&["targets", scope, "acl"])
    }
}

fn entry_path(scope: &str, initiator: &str, network: Option<&str>) -> String {
    entry_of(&acl_path(scope), initiator, network)
}

fn entry_of(acl: &str, initiator: &str, network: Option<&str>) -> String {
    let query = network.map_or_else(String::new, |network| {
        format!("?network={}", escape(network))
    });
    format!("{acl}/{}{query}", escape(initiator))
}

fn path(segments: &[&str]) -> String {
    segments.iter().fold("/v1".to_owned(), |path, segment| {
        path + "/" + &escape(segment)
    })
}

/// A path segment with everything but unreserved characters escaped (RFC 3986 §2.1).
fn escape(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_so_that_none_can_reach_another_path() {
        assert_eq!(
            path(&["volumes", "../status?x#y z"]),
            "/v1/volumes/..%2Fstatus%3Fx%23y%20z"
        );
        assert_eq!(entry_path("discovery", "*", None), "/v1/discovery/acl/%2A");
        assert_eq!(
            acl_path("iqn.2024-01.com.example:a"),
            "/v1/targets/iqn.2024-01.com.example%3Aa/acl"
        );
        assert_eq!(
            entry_path("discovery", "*", Some("fd00::/8&x")),
            "/v1/discovery/acl/%2A?network=fd00%3A%3A%2F8%26x"
        );
    }
}
