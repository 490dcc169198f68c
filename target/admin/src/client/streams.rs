//! Snapshots that come and go as streams.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Answer, Client, Download, escape, http, path};
use crate::v1;

impl Client {
    /// A snapshot as a stream; `since`: only what differs from that one. Pieces are read when they are
    /// asked for.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`]; so for all other requests.
    pub async fn send_snapshot(
        &self,
        volume: &str,
        snapshot: &str,
        since: Option<&str>,
    ) -> Answer<Download> {
        let path = path(&["volumes", volume, "snapshots", snapshot, "stream"]);
        let since = since.map(|since| format!("?since={}", escape(since)));
        http::download(&self.socket, &(path + &since.unwrap_or_default())).await
    }

    /// The rest of a stream that was cut short.
    pub async fn send_rest(&self, token: &str) -> Answer<Download> {
        http::download(&self.socket, &path(&["streams", token])).await
    }

    /// Receives the stream that comes in these pieces. Ends early if it is refused.
    pub async fn receive_snapshot(
        &self,
        volume: &str,
        name: Option<&str>,
        force: bool,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Answer<v1::Received> {
        let mut path = path(&["volumes", volume, "receive"]);
        path += &format!("?force={force}");
        if let Some(name) = name {
            path += &format!("&name={}", escape(name));
        }
        let body = http::upload(&self.socket, &path, pieces).await?;
        self.parse(&body)
    }

    /// How far a stream has come that isn't complete.
    pub async fn receive_status(&self, volume: &str) -> Answer<v1::ReceiveStatus> {
        self.get(path(&["volumes", volume, "receive"])).await
    }

    /// Drops what has come of one.
    pub async fn abort_receive(&self, volume: &str) -> Answer<()> {
        self.delete(path(&["volumes", volume, "receive"])).await
    }
}
