//! GetSynchronizationSupported, the one method that is about an element as it is now.

use super::ReplicationServiceCapabilities;
use crate::answer::SynchronizationSupported;
use crate::decide::decide;
use crate::facts::Facts;
use crate::request::Request;

impl ReplicationServiceCapabilities<'_> {
    /// GetSynchronizationSupported. What is built counts as this class has it, whatever the facts say.
    #[must_use]
    pub fn get_synchronization_supported(
        &self,
        request: &Request,
        facts: &Facts<'_>,
    ) -> SynchronizationSupported {
        let facts = Facts {
            built: self.built,
            ..*facts
        };
        SynchronizationSupported::from(&decide(request, &facts))
    }
}
