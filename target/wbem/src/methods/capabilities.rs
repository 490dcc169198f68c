//! CIM_ReplicationServiceCapabilities: each method is the one of the same name of the crate of capabilities.

use tidelock_capabilities::service::{SettingValue, SupportedOperations};
use tidelock_capabilities::values::{Consistency, PropertyName, ReturnCode};
use tidelock_capabilities::{ReplicationServiceCapabilities, SynchronizationSupported};

use super::{Arguments, Outcome, Returned, missing};
use crate::instance::Instance;
use crate::model::{Question, Refused, Subject};
use crate::path::InstancePath;
use crate::server::Context;
use crate::value::{Type, Value};
use crate::view::{GroupName, NAMESPACE, association_key, element_id, group_name, numbers};

pub(super) fn call(context: &Context<'_>, method: &str, given: &Arguments) -> Outcome {
    match method {
        "GetSynchronizationSupported" => Ok(synchronization_supported(context, given)),
        "GetSupportedOperationsForSynchronization" => operations_for(context, given),
        "GetSupportedConnectionFeatures" => connection_features(context, given),
        _ => of_what_is_built(&context.view.capabilities(), method, given)
            .map_err(|code| Refused::new(code, format!("{method}: {code}"))),
    }
}

/// Everything that doesn't depend on the state of any element.
fn of_what_is_built(
    class: &ReplicationServiceCapabilities<'_>,
    method: &str,
    given: &Arguments,
) -> Result<Returned, ReturnCode> {
    let number = |name| given.number(name).ok_or(ReturnCode::InvalidParameter);
    let of_type = || number("ReplicationType");
    let returned = Returned::default();
    let operations = |found: SupportedOperations| Value::numbers(operations(&found));
    Ok(match method {
        "ConvertSyncTypeToReplicationType" => {
            let (sync_type, mode) = (number("SyncType")?, number("Mode")?);
            let place = number("LocalOrRemote")?;
            let found = class.convert_sync_type_to_replication_type(sync_type, mode, place)?;
            returned.with("SupportedReplicationTypes", found.value())
        }
        "ConvertReplicationTypeToSyncType" => {
            let (sync_type, mode, place) =
                class.convert_replication_type_to_sync_type(of_type()?)?;
            returned
                .with("SyncType", sync_type.value())
                .with("Mode", mode.value())
                .with("LocalOrRemote", place.value())
        }
        "GetSupportedCopyStates" => {
            let found = class.get_supported_copy_states(of_type()?, None)?;
            let accessible = found.host_accessible.into_iter().map(Value::Boolean);
            let states = found.supported_copy_states.iter().map(|it| it.value());
            returned
                .with("SupportedCopyStates", Value::numbers(states))
                .with("HostAccessible", Value::Array(accessible.collect()))
        }
        "GetSupportedGroupCopyStates" => {
            let found = class.get_supported_group_copy_states(of_type()?, None)?;
            returned.with("SupportedCopyStates", numbers(found))
        }
        "GetSupportedWaitForCopyStates" => {
            let method = number("MethodName")?;
            let found = class.get_supported_wait_for_copy_states(of_type()?, method, None)?;
            returned.with("SupportedCopyStates", numbers(found))
        }
        "GetSupportedFeatures" => returned.with(
            "Features",
            numbers(class.get_supported_features(of_type()?)?),
        ),
        "GetSupportedGroupFeatures" => {
            let found = class.get_supported_group_features(of_type()?)?;
            returned.with("GroupFeatures", numbers(found))
        }
        "GetSupportedConsistency" => {
            let found = class.get_supported_consistency(of_type()?)?;
            returned.with("SupportedConsistency", numbers(found))
        }
        "GetSupportedOperations" => {
            let found = class.get_supported_operations(of_type()?, None)?;
            returned.with("SupportedOperations", operations(found))
        }
        "GetSupportedGroupOperations" => {
            let found = class.get_supported_group_operations(of_type()?, None)?;
            returned.with("SupportedGroupOperations", operations(found))
        }
        "GetSupportedListOperations" => {
            let of = given.number("SynchronizationType");
            let found = class.get_supported_list_operations(of_type()?, of, None)?;
            returned.with("SupportedListOperations", operations(found))
        }
        _ => return rest(class, method, given),
    })
}

/// What is left: settings, limits, defaults.
fn rest(
    class: &ReplicationServiceCapabilities<'_>,
    method: &str,
    given: &Arguments,
) -> Result<Returned, ReturnCode> {
    let number = |name| given.number(name).ok_or(ReturnCode::InvalidParameter);
    let of_type = || number("ReplicationType");
    let returned = Returned::default();
    Ok(match method {
        "GetSupportedSettingsDefineStateOperations" => {
            let found = class.get_supported_settings_define_state_operations(of_type()?)?;
            returned.with("SupportedOperations", numbers(found))
        }
        "GetSupportedThinProvisioningFeatures" => {
            let found = class.get_supported_thin_provisioning_features(of_type()?)?;
            returned.with("SupportedThinProvisioningFeatures", numbers(found))
        }
        "GetSupportedMaximum" => {
            let component = number("Component")?;
            returned.with(
                "MaxValue",
                class.get_supported_maximum(of_type()?, component)?,
            )
        }
        "GetDefaultConsistency" => {
            let found = class.get_default_consistency(of_type()?)?;
            returned.with("DefaultConsistency", found.map_or(0, Consistency::value))
        }
        "GetDefaultGroupPersistency" => {
            let found = class.get_default_group_persistency()?;
            returned.with("DefaultGroupPersistency", found.value())
        }
        "GetSupportedReplicationSettingData" => {
            let property = number("PropertyName")?;
            let found = class.get_supported_replication_setting_data(of_type()?, property)?;
            returned.with("SupportedValues", Value::numbers(found))
        }
        "GetDefaultReplicationSettingData" => {
            let of_type = of_type()?;
            let found = class.get_default_replication_setting_data(of_type)?;
            returned.with_some("DefaultInstance", defaults(of_type, &found))
        }
        _ => return Err(ReturnCode::NotSupported),
    })
}

fn defaults(replication_type: u16, settings: &[SettingValue]) -> Option<Value> {
    let class = crate::schema::class("CIM_ReplicationSettingData")?;
    let id = format!("Tidelock:DefaultReplicationSettingData:{replication_type}");
    let instance = Instance::new(class, NAMESPACE)
        .with("InstanceID", id)
        .with("ElementName", "DefaultReplicationSettingData");
    let instance = settings.iter().fold(instance, |instance, setting| {
        let name: &'static str = PropertyName::name(setting.property);
        match class.property(name) {
            // Of booleans 3 is true.
            Some(it) if it.of == Type::Boolean => instance.with(name, setting.value == 3),
            Some(_) => instance.with(name, setting.value),
            None => instance,
        }
    });
    Some(Value::Instance(Box::new(instance)))
}

fn synchronization_supported(context: &Context<'_>, given: &Arguments) -> Returned {
    let question = Question {
        local: subject(given.path("LocalElement")),
        other: subject(given.path("OtherElement")),
        access_point: context.view.point(given.path("OtherElementAccessPoint")),
        // No number of the map is 0, so that a missing one is as wrong as a reserved one.
        method_name: given.number("MethodName").unwrap_or(0),
    };
    let answer: SynchronizationSupported = context.model.synchronization_supported(&question);
    Returned {
        code: u32::from(answer.return_code.value()),
        ..Returned::default()
    }
    .with(
        "SyncTypes",
        Value::numbers(answer.sync_types.iter().map(|it| it.value())),
    )
    .with(
        "Modes",
        Value::numbers(answer.modes.iter().map(|it| it.value())),
    )
    .with(
        "LocalElementRole",
        Value::numbers(answer.local_element_role.iter().map(|it| it.value())),
    )
}

fn connection_features(context: &Context<'_>, given: &Arguments) -> Outcome {
    let point = context.view.point(given.path("connection"));
    let found = context.model.connection_features(&point).map_err(|code| {
        let reason = "connection is no access point of a peer: GetServiceAccessPoints has those";
        Refused::new(code, reason)
    })?;
    Ok(Returned::default().with("SupportedConnectionFeatures", numbers(found)))
}

/// What a reference refers to, as far as it can be read.
pub(super) fn subject(path: Option<&InstancePath>) -> Subject {
    let Some(path) = path else {
        return Subject::Null;
    };
    match (element_id(path), group_name(path)) {
        (Some(id), _) => Subject::Element(id),
        (None, Some(GroupName::Group(name))) => Subject::Group(name),
        // Snapshots of a group aren't copied as a group.
        (None, _) => Subject::Malformed,
    }
}

fn operations_for(context: &Context<'_>, given: &Arguments) -> Outcome {
    let path = given
        .path("Synchronization")
        .ok_or_else(|| missing("Synchronization"))?;
    let refused = |code| Refused::new(code, "no operations of this association can be told");
    let key = association_key(path).ok_or_else(|| refused(ReturnCode::InvalidParameter))?;
    let found = context.model.operations_for(key).map_err(refused)?;
    Ok(Returned::default().with("SupportedOperations", Value::numbers(operations(&found))))
}

/// Where Force is needed can't be said on an interface of this age, so only what goes without is told.
fn operations(found: &SupportedOperations) -> impl Iterator<Item = u16> {
    let all = found.supported_operations.iter();
    all.map(|it| it.value())
}
