//! What the admin server asks of the daemon about capabilities.

use tidelock_admin::v1;

/// What elements support, as the admin server sees it.
pub trait CapabilityControl: Send + Sync + 'static {
    /// What an element supports right now, by the method of that number, perhaps with another element, or with a peer.
    /// Whatever is wrong with the question is in the answer.
    fn capabilities(
        &self,
        element: &str,
        other: Option<&str>,
        via: Option<&str>,
        method_name: u16,
    ) -> v1::Capabilities;
}
