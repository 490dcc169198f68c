//! CIM_ReplicationSettingData: which settings a request may give, and what is used if it gives none.

use super::{Answer, ReplicationServiceCapabilities, read};
use crate::built::{BuiltType, TargetSupply};
use crate::values::{Edition, PropertyName, ReturnCode};

/// One property and its value, as a number. Booleans are 2 for false and 3 for true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingValue {
    /// The property.
    pub property: PropertyName,
    /// Its value.
    pub value: u64,
}

impl ReplicationServiceCapabilities<'_> {
    /// GetSupportedReplicationSettingData: the values that one property may have.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built. Not Available if the
    /// property isn't supported; where the interface is older than that code, Not Supported.
    pub fn get_supported_replication_setting_data(
        &self,
        replication_type: u16,
        property_name: u16,
    ) -> Answer<Vec<u64>> {
        let built = self.of(replication_type)?;
        let property = read::<PropertyName>(property_name)?;
        if property.edition() > self.edition {
            return Err(ReturnCode::InvalidParameter);
        }
        if property == PropertyName::TargetElementSupplier {
            return Ok(suppliers(built.target_supply).to_vec());
        }
        let mut settings = built.settings.iter();
        settings
            .find(|setting| setting.property == property)
            .map(|setting| setting.supported.clone())
            .ok_or_else(|| self.no_setting())
    }

    /// GetDefaultReplicationSettingData: what is used where a request gives nothing, ascending.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built.
    pub fn get_default_replication_setting_data(
        &self,
        replication_type: u16,
    ) -> Answer<Vec<SettingValue>> {
        let built: &BuiltType = self.of(replication_type)?;
        let mut defaults: Vec<_> = built
            .settings
            .iter()
            .filter(|setting| setting.property.edition() <= self.edition)
            .filter_map(|setting| {
                Some(SettingValue {
                    property: setting.property,
                    value: setting.default?,
                })
            })
            .collect();
        defaults.push(SettingValue {
            property: PropertyName::TargetElementSupplier,
            value: default_supplier(built.target_supply),
        });
        defaults.sort_by_key(|it| it.property);
        Ok(defaults)
    }

    const fn no_setting(&self) -> ReturnCode {
        match self.edition {
            Edition::V2_29 => ReturnCode::NotSupported,
            Edition::V2_49 => ReturnCode::NotAvailable,
        }
    }
}

const USE_EXISTING: u64 = 1;
const CREATE_NEW: u64 = 2;
const INSTRUMENTATION_DECIDES: u64 = 4;
const CLIENT_MUST_SUPPLY: u64 = 5;

/// TargetElementSupplier follows from where targets come from.
const fn suppliers(supply: TargetSupply) -> &'static [u64] {
    match supply {
        TargetSupply::Created => &[CREATE_NEW, INSTRUMENTATION_DECIDES],
        TargetSupply::Supplied => &[USE_EXISTING, CLIENT_MUST_SUPPLY],
        TargetSupply::CreatedOrSupplied => &[USE_EXISTING, CREATE_NEW, INSTRUMENTATION_DECIDES],
    }
}

const fn default_supplier(supply: TargetSupply) -> u64 {
    match supply {
        TargetSupply::Supplied => CLIENT_MUST_SUPPLY,
        TargetSupply::Created | TargetSupply::CreatedOrSupplied => INSTRUMENTATION_DECIDES,
    }
}
