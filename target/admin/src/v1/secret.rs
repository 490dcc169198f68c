//! A secret on its way into the daemon.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A CHAP secret: 12 to 255 bytes of text without control characters. Accepted in requests, never
/// returned.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password, min_length = 12, max_length = 255)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
