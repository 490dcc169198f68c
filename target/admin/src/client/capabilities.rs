//! Asking what an element supports.

use super::{Answer, Client, escape, path};
use crate::v1;

impl Client {
    /// What an element supports right now, by a method (its number), perhaps with another element, or with a peer.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`].
    pub async fn capabilities(
        &self,
        element: &str,
        other: Option<&str>,
        via: Option<&str>,
        method_name: u16,
    ) -> Answer<v1::Capabilities> {
        let element = escape(element);
        let mut query = format!("?element={element}&method={method_name}");
        for (name, value) in [("other", other), ("via", via)] {
            if let Some(value) = value {
                query = format!("{query}&{name}={}", escape(value));
            }
        }
        self.get(path(&["capabilities"]) + &query).await
    }
}
