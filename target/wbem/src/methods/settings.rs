//! ReplicationSettingData: what a request says of how a copy is to be made. What may be said, and what it is if nothing
//! is said, is told by the class of capabilities; what isn't told of there is refused here.

use tidelock_capabilities::BuiltType;
use tidelock_capabilities::values::{PropertyName, ReturnCode, SyncType};

use super::Arguments;
use crate::given::GivenInstance;
use crate::message::Input;
use crate::model::Refused;
use crate::server::Context;
use crate::value::{Type, Value};
use crate::xml::short;

const CLASS: &str = "CIM_ReplicationSettingData";
const PARAMETER: &str = "ReplicationSettingData";
/// Stop, of OnGroupOrListError.
const STOP: u64 = 3;
/// True, as a number.
const TRUE: u64 = 3;

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    all: Vec<(PropertyName, u64)>,
}

impl Settings {
    /// Those of a request for a copy of a type; the first of the types that are built is asked what it takes.
    pub(super) fn read(
        context: &Context<'_>,
        given: &Arguments,
        sync_type: SyncType,
    ) -> Result<Self, Refused> {
        let Some(text) = given.text(PARAMETER) else {
            return Ok(Self::default());
        };
        let mut types = context.view.built.types.iter();
        let Some(built) = types.find(|it| it.sync_type() == sync_type) else {
            // Whoever is asked for the copy says that there is none.
            return Ok(Self::default());
        };
        let instance = GivenInstance::embedded(text)
            .map_err(|error| invalid(format!("{PARAMETER}: {}", error.description)))?;
        let class = crate::schema::class(&instance.class);
        let expected = crate::schema::class(CLASS);
        if !class.is_some_and(|it| expected.is_some_and(|expected| it.is_a(expected))) {
            let found = short(&instance.class);
            return Err(invalid(format!("{PARAMETER} is a {found}: give a {CLASS}")));
        }
        let mut all = Vec::new();
        for (name, value) in &instance.properties {
            let describes = ["InstanceID", "ElementName", "Caption", "Description"];
            let is_empty = matches!(value, Input::Null);
            if is_empty || describes.iter().any(|it| it.eq_ignore_ascii_case(name)) {
                continue;
            }
            all.push(setting(context, built, name, value)?);
        }
        Ok(Self { all })
    }

    fn get(&self, property: PropertyName) -> Option<u64> {
        let mut all = self.all.iter();
        all.find(|(it, _)| *it == property).map(|(_, value)| *value)
    }

    /// FailedCopyStopsHostIO.
    pub(super) fn stops_hosts(&self) -> bool {
        self.get(PropertyName::FailedCopyStopsHostIO) == Some(TRUE)
    }

    /// Whether the rest of a list is left as it is after an error: OnGroupOrListError.
    pub(super) fn stops_after_an_error(&self) -> bool {
        self.get(PropertyName::OnGroupOrListError)
            .is_none_or(|it| it == STOP)
    }
}

fn setting(
    context: &Context<'_>,
    built: &BuiltType,
    name: &str,
    value: &Input,
) -> Result<(PropertyName, u64), Refused> {
    let mut known = PropertyName::ALL.iter();
    let property = known.find(|it| it.name().eq_ignore_ascii_case(name));
    let property =
        *property.ok_or_else(|| invalid(format!("{PARAMETER} has no property {}", short(name))))?;
    let of = built.replication_type;
    let class = context.view.capabilities();
    let supported = class
        .get_supported_replication_setting_data(of.value(), property.value())
        .map_err(|_| {
            let reason = format!("{} can't be said of {of}: leave it out", property.name());
            Refused::new(ReturnCode::NotSupported, reason)
        })?;
    let declared = crate::schema::class(CLASS).and_then(|class| class.property(property.name()));
    let of_type = declared.map_or(Type::Uint16, |it| it.of);
    let number = match value {
        Input::Text(text) => match of_type.read(name, text) {
            Ok(Value::Boolean(it)) => 2 + u64::from(it),
            Ok(Value::Number(number)) => number,
            Ok(_) => return Err(invalid(format!("{} has to be a number", property.name()))),
            Err(error) => return Err(invalid(error.description)),
        },
        _ => return Err(invalid(format!("{} has to be one value", property.name()))),
    };
    if !supported.contains(&number) {
        let all: Vec<String> = supported.iter().map(u64::to_string).collect();
        let reason = format!(
            "{} of {of} may be {} (of booleans 2 is false, 3 true)",
            property.name(),
            all.join(", ")
        );
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    Ok((property, number))
}

fn invalid(reason: String) -> Refused {
    Refused::new(ReturnCode::InvalidParameter, reason)
}
