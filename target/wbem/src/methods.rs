//! The methods of the classes: which there are, and how parameters are taken and given. The rules are those of
//! the crate of capabilities; there is no second copy of them here.

mod aspects;
mod capabilities;
mod groups;
mod job;
mod lists;
mod modify;
mod queries;
mod replicas;
mod settings;

use tidelock_capabilities::values::{ReturnCode, ValueMap};

use crate::instance::Instance;
use crate::model::Refused;
use crate::path::InstancePath;
use crate::schema::Method;
use crate::server::Context;
use crate::value::Value;
use crate::view::View;

/// "Method parameters checked - job started".
pub(crate) const JOB_STARTED: u32 = 4096;

/// The parameters that were given, by their declared names.
#[derive(Debug)]
pub(crate) struct Arguments {
    all: Vec<(&'static str, Value)>,
}

/// What a method returns.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    pub(crate) code: u32,
    out: Vec<(&'static str, Value)>,
}

/// A method's way to its end: what it returns, or why it does nothing.
pub(crate) type Outcome = Result<Returned, Refused>;

/// Calls a method of an instance that is there.
pub(crate) fn call(
    context: &Context<'_>,
    instance: &Instance,
    method: &Method,
    given: &Arguments,
) -> Returned {
    let class = instance.class();
    let is = |name: &str| crate::schema::class(name).is_some_and(|it| class.is_a(it));
    let outcome = if is("CIM_ReplicationServiceCapabilities") {
        capabilities::call(context, method.name, given)
    } else if is("CIM_ConcreteJob") {
        job::call(context, instance, method.name, given)
    } else {
        service(context, method.name, given)
    };
    outcome.unwrap_or_else(|refused| {
        let told = context.refused(method.name, &refused);
        let outputs = || method.parameters.iter().filter(|it| it.output);
        let arrays = outputs().filter(|it| it.array);
        let returned = Returned {
            code: u32::from(refused.return_code.value()),
            // Clients look into them without asking for the code: they are empty, not NULL.
            out: arrays
                .map(|it| (it.name, Value::Array(Vec::new())))
                .collect(),
        };
        // The one place of the model that has words for an error.
        match outputs().find(|it| it.name == "Job") {
            Some(job) => returned.with(job.name, View::job_path(told)),
            None => returned,
        }
    })
}

fn service(context: &Context<'_>, method: &str, given: &Arguments) -> Outcome {
    if !context.view.inventory().system.ready {
        return Err(Refused::new(
            ReturnCode::Unknown,
            "the replication service is still reading its records: ask again in a moment",
        ));
    }
    match method {
        "CreateElementReplica" => replicas::element(context, given),
        "CreateGroupReplica" => replicas::group(context, given),
        "CreateSynchronizationAspect" => aspects::create(context, given),
        "ModifySettingsDefineState" => aspects::modify(context, given),
        "CreateListReplica" => lists::create(context, given),
        "ModifyListSynchronization" => lists::modify(context, given),
        "ModifyReplicaSynchronization" => modify::modify(context, given),
        "CreateGroup" => groups::create(context, given),
        "DeleteGroup" => groups::delete(context, given),
        "AddMembers" => groups::add(context, given),
        "RemoveMembers" => groups::remove(context, given),
        "GetAvailableTargetElements" => queries::available_targets(context, given),
        "GetPeerSystems" => queries::peer_systems(context, given),
        "GetReplicationRelationships" => queries::relationships(context, given),
        "GetServiceAccessPoints" => queries::access_points(context, given),
        other => Err(Refused::new(
            ReturnCode::NotSupported,
            format!("{other} isn't part of this service"),
        )),
    }
}

impl Arguments {
    pub(crate) const fn new(all: Vec<(&'static str, Value)>) -> Self {
        Self { all }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let mut all = self.all.iter();
        all.find(|(it, _)| *it == name).map(|(_, value)| value)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u16> {
        match self.get(name)? {
            Value::Number(number) => u16::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A number that has to be there.
    pub(crate) fn required_number(&self, name: &str) -> Result<u16, Refused> {
        self.number(name).ok_or_else(|| missing(name))
    }

    /// A value of a map, if one is given.
    pub(crate) fn mapped<T: ValueMap>(&self, name: &str) -> Result<Option<T>, Refused> {
        self.number(name)
            .map(|number| T::try_from(number).map_err(|_| reserved(name, number)))
            .transpose()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Texts; none if nothing was given.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        let Some(Value::Array(all)) = self.get(name) else {
            return Vec::new();
        };
        let texts = all.iter().filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    pub(crate) fn path(&self, name: &str) -> Option<&InstancePath> {
        match self.get(name)? {
            Value::Reference(path) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn paths(&self, name: &str) -> Option<Vec<&InstancePath>> {
        let Value::Array(all) = self.get(name)? else {
            return None;
        };
        let paths = all.iter().map(|value| match value {
            Value::Reference(path) => Some(path),
            _ => None,
        });
        paths.collect()
    }

    /// Refuses what refers to something of which there is none here.
    pub(crate) fn none_of(&self, names: &[&str]) -> Result<(), Refused> {
        match names.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(Refused::new(
                ReturnCode::InvalidParameter,
                format!("{name} refers to nothing that is known here: leave it out"),
            )),
            None => Ok(()),
        }
    }

    /// Refuses what isn't built.
    pub(crate) fn not_built(&self, names: &[&str]) -> Result<(), Refused> {
        match names.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(Refused::new(
                ReturnCode::NotSupported,
                format!("{name} isn't understood by this service: leave it out"),
            )),
            None => Ok(()),
        }
    }
}

impl Returned {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.out.push((name, value.into()));
        self
    }

    pub(crate) fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        let mut out = self.out.iter();
        out.find(|(it, _)| *it == name).map(|(_, value)| value)
    }
}

pub(crate) fn missing(name: &str) -> Refused {
    Refused::new(ReturnCode::InvalidParameter, format!("{name} is missing"))
}

pub(crate) fn reserved(name: &str, number: u16) -> Refused {
    let reason = format!("{name} = {number} is no value that this service knows");
    Refused::new(ReturnCode::InvalidParameter, reason)
}
