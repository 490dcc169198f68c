//! What can be asked about capabilities. Each function stands for one path and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{Capabilities, ErrorBody};

/// What an element supports right now
///
/// GetSynchronizationSupported: which copies a call made next could make, with the reason for every one that it
/// couldn't. A name that isn't known is return code 5, not an error.
#[utoipa::path(get, path = "/v1/capabilities", tag = "capabilities",
    params(
        ("element" = String, Query, description = "`VOLUME`, `VOLUME@SNAPSHOT` or a group's name"),
        ("other" = Option<String>, Query, description = "Another element, as the other end of the copy; `PEER:VOLUME` is a peer's"),
        ("via" = Option<String>, Query, description = "The peer that has the other end, or would make it"),
        ("method" = Option<u16>, Query, description = "MethodName: 2 (the default), 3 or 4"),
    ),
    responses((status = 200, body = Capabilities), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_capabilities() {}
