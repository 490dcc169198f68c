//! CIM_Error: what went wrong, in words and in the numbers that go with them.

use crate::error::StatusCode;
use crate::instance::Instance;
use crate::view::NAMESPACE;

/// Who says so.
pub(crate) const OWNER: &str = "Tidelock";
/// Operational Error, of ErrorType.
const OPERATIONAL: u16 = 4;
/// Low, of PerceivedSeverity.
const LOW: u16 = 2;

/// An error that a client is told of.
pub(crate) fn cim_error(message: &str) -> Option<Instance> {
    let instance = Instance::new(crate::schema::class("CIM_Error")?, NAMESPACE);
    Some(
        instance
            .with("ErrorType", OPERATIONAL)
            .with("OwningEntity", OWNER)
            .with("MessageID", "TIDELOCK1")
            .with("Message", message)
            .with("PerceivedSeverity", LOW)
            .with("CIMStatusCode", u64::from(StatusCode::Failed.value()))
            .with("CIMStatusCodeDescription", message),
    )
}
