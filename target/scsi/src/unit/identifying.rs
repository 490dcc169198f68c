//! The logical unit's identifying information: what is in force, and who is told of a change.

use crate::attention::UnitAttention;
use crate::identifying::IdentifyingInformation;
use crate::nexus::NexusId;
use crate::unit::LogicalUnit;

impl LogicalUnit {
    /// What hosts call the unit.
    #[must_use]
    pub fn identifying_information(&self) -> IdentifyingInformation {
        self.identifying.lock().clone()
    }

    /// Puts `information` in force, which has been made durable, and tells all nexuses but `except`
    /// when something changed (3Fh/05h).
    pub fn set_identifying_information(
        &self,
        information: IdentifyingInformation,
        except: Option<NexusId>,
    ) {
        let mut identifying = self.identifying.lock();
        if *identifying != information {
            *identifying = information;
            self.raise(UnitAttention::DeviceIdentifierChanged, except);
        }
    }
}
