//! What a connection to a peer can do.

use super::{Answer, ReplicationServiceCapabilities};
use crate::facts::Facts;
use crate::request::AccessPoint;
use crate::values::{ConnectionFeature, LocalOrRemote, ReturnCode, ValueSet};

impl ReplicationServiceCapabilities<'_> {
    /// GetSupportedConnectionFeatures. Empty for a connection that carries data both ways.
    ///
    /// # Errors
    ///
    /// Not Supported if nothing remote is built, Invalid Parameter if the access point isn't known.
    pub fn get_supported_connection_features(
        &self,
        access_point: AccessPoint,
        facts: &Facts<'_>,
    ) -> Answer<ValueSet<ConnectionFeature>> {
        let is_remote =
            |it: &crate::built::BuiltType| it.replication_type.locality() == LocalOrRemote::Remote;
        if !self.built.types.iter().any(is_remote) {
            return Err(ReturnCode::NotSupported);
        }
        let AccessPoint::Of(id) = access_point else {
            return Err(ReturnCode::InvalidParameter);
        };
        facts
            .peer(id)
            .map(|peer| peer.connection)
            .ok_or(ReturnCode::InvalidParameter)
    }
}
