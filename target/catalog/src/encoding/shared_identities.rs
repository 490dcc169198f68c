//! The JSON of volumes that are one logical unit with another daemon's.

use serde::{Deserialize, Serialize};

use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::encoding::families::volume_name;
use crate::shared_identity::{SharedIdentities, SharedIdentity};
use crate::volume::VolumeName;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SharedIdentityBody {
    volume: String,
    naa: String,
    serial: String,
}

impl From<(&VolumeName, &SharedIdentity)> for SharedIdentityBody {
    fn from((volume, identity): (&VolumeName, &SharedIdentity)) -> Self {
        Self {
            volume: volume.to_string(),
            naa: identity.naa_text(),
            serial: identity.serial.clone(),
        }
    }
}

pub(super) fn into_shared(
    bodies: Vec<SharedIdentityBody>,
) -> Result<SharedIdentities, DecodeError> {
    let mut shared = SharedIdentities::new();
    for body in bodies {
        let volume = volume_name(&body.volume)?;
        let about = |reason: &str| inconsistent(format!("volume {}: {reason}", body.volume));
        let identity = SharedIdentity::parse(&body.naa, &body.serial)
            .ok_or_else(|| about("the identity that it shares can't be one"))?;
        if shared.insert(volume, identity).is_some() {
            return Err(about("it shares two identities"));
        }
    }
    Ok(shared)
}
