//! Elements that support nothing.

use tidelock_admin::v1;

use super::Fake;
use crate::admin_server::CapabilityControl;

impl CapabilityControl for Fake {
    fn capabilities(
        &self,
        element: &str,
        other: Option<&str>,
        via: Option<&str>,
        method_name: u16,
    ) -> v1::Capabilities {
        v1::Capabilities {
            element: element.to_owned(),
            other_element: other.map(str::to_owned),
            via: via.map(str::to_owned),
            method_name,
            generation: 7,
            return_code: 1,
            return_code_name: "Not Supported".to_owned(),
            sync_types: Vec::new(),
            modes: Vec::new(),
            local_element_role: Vec::new(),
            problem: String::new(),
            verdicts: Vec::new(),
        }
    }
}
