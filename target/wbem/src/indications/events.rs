//! What has happened between two looks: instances that have come, gone or changed, and what an operator should know of
//! that. What comes and goes between two looks isn't seen.

use std::collections::BTreeMap;

use tidelock_capabilities::values::CopyState;

use crate::datetime::timestamp;
use crate::errors::{OWNER, cim_error};
use crate::instance::Instance;
use crate::model::Refused;
use crate::schema::{Class, class};
use crate::value::Value;
use crate::view::{GROUP_SYNCHRONIZED, JOB, NAMESPACE, STORAGE_SYNCHRONIZED, SYSTEM, VOLUME, View};

/// What is looked at.
const LOOKED_AT: [&str; 4] = [STORAGE_SYNCHRONIZED, GROUP_SYNCHRONIZED, VOLUME, JOB];
/// What changes all the time while something is copied: nobody is told of that alone.
const RESTLESS: [&str; 3] = ["PercentSynced", "PercentComplete", "JobStatus"];
/// Of PerceivedSeverity.
const INFORMATION: u16 = 2;
const MAJOR: u16 = 5;
const CRITICAL: u16 = 6;
/// Device Alert, of AlertType.
const DEVICE: u16 = 5;

/// Which classes have to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    any: bool,
    classes: Vec<&'static str>,
}

impl Wanted {
    /// For one query.
    pub(super) fn of(indication: &'static Class, source: Option<&'static Class>) -> Self {
        let is_kin =
            |name: &str| class(name).is_some_and(|it| it.is_a(indication) || indication.is_a(it));
        let mut classes = Vec::new();
        if is_kin("CIM_InstIndication") {
            let wanted = |name: &&&str| {
                class(name).is_some_and(|it| source.is_none_or(|source| it.is_a(source)))
            };
            classes.extend(LOOKED_AT.iter().filter(wanted));
        }
        if is_kin("CIM_AlertIndication") {
            classes.extend([STORAGE_SYNCHRONIZED, VOLUME]);
        }
        Self { any: true, classes }
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.any |= other.any;
        self.classes.extend(other.classes);
        self
    }

    pub(super) const fn is_empty(&self) -> bool {
        !self.any
    }
}

/// What is there at one moment, by class and path.
#[derive(Debug, Default)]
pub(super) struct Seen {
    all: BTreeMap<&'static str, BTreeMap<String, Instance>>,
}

/// Something that has happened.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) class: &'static Class,
    pub(super) source: Option<Instance>,
    pub(super) previous: Option<Instance>,
    /// Of an alert: how bad, and what.
    alert: Option<(u16, String)>,
    /// Of a refused call.
    call: Option<(String, Refused)>,
}

impl Seen {
    pub(super) fn look(view: &View<'_>, wanted: &Wanted) -> Self {
        let mut all = BTreeMap::new();
        for name in &wanted.classes {
            let Some(class) = class(name).filter(|_| !all.contains_key(name)) else {
                continue;
            };
            let found = view.instances(class, NAMESPACE).into_iter();
            let by_path = found.map(|it| (it.path().canonical(NAMESPACE), it));
            all.insert(*name, by_path.collect::<BTreeMap<_, _>>());
        }
        Self { all }
    }

    /// What is different now. A class that was not looked at before tells nothing.
    pub(super) fn differences(&self, now: &Self) -> Vec<Event> {
        let mut events = Vec::new();
        for (class, now) in &now.all {
            let Some(before) = self.all.get(class) else {
                continue;
            };
            for (path, instance) in now {
                match before.get(path) {
                    None => events.extend(Event::of("CIM_InstCreation", Some(instance), None)),
                    Some(previous) if differ(previous, instance) => {
                        events.extend(Event::of(
                            "CIM_InstModification",
                            Some(instance),
                            Some(previous),
                        ));
                        events.extend(Event::alert(previous, instance));
                    }
                    Some(_) => {}
                }
            }
            let gone = before.iter().filter(|(path, _)| !now.contains_key(*path));
            events.extend(
                gone.filter_map(|(_, instance)| {
                    Event::of("CIM_InstDeletion", Some(instance), None)
                }),
            );
        }
        events
    }
}

fn differ(previous: &Instance, instance: &Instance) -> bool {
    let properties = instance.class().all_properties().into_iter();
    let mut names = properties.map(|(it, _)| it.name);
    names.any(|name| !RESTLESS.contains(&name) && previous.value(name) != instance.value(name))
}

impl Event {
    fn of(name: &str, source: Option<&Instance>, previous: Option<&Instance>) -> Option<Self> {
        Some(Self {
            class: class(name)?,
            source: source.cloned(),
            previous: previous.cloned(),
            alert: None,
            call: None,
        })
    }

    /// A call that was refused.
    pub(super) fn refused(view: &View<'_>, refused: &(String, Refused)) -> Option<Self> {
        Some(Self {
            call: Some(refused.clone()),
            ..Self::of("CIM_InstMethodCall", view.service().as_ref(), None)?
        })
    }

    /// What an operator should know of a change.
    fn alert(previous: &Instance, instance: &Instance) -> Option<Self> {
        let name = instance.class().name;
        let (severity, message) = match name {
            STORAGE_SYNCHRONIZED => {
                let broken = Value::from(CopyState::Broken.value());
                let is_broken = |it: &Instance| it.value("CopyState") == Some(&broken);
                match (is_broken(previous), is_broken(instance)) {
                    (false, true) => (
                        MAJOR,
                        "the copy is broken: an end, or the way to it, has failed",
                    ),
                    (true, false) => (INFORMATION, "the copy isn't broken any more"),
                    _ => return None,
                }
            }
            VOLUME => {
                let well = Value::numbers([2_u16]);
                let is_well = |it: &Instance| it.value("OperationalStatus") == Some(&well);
                match (is_well(previous), is_well(instance)) {
                    (true, false) => (
                        CRITICAL,
                        "the storage of the volume has failed, or isn't there",
                    ),
                    (false, true) => (INFORMATION, "the volume is well again"),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Self {
            alert: Some((severity, message.to_owned())),
            ..Self::of("CIM_AlertIndication", Some(instance), None)?
        })
    }

    /// As it is told.
    pub(super) fn instance(&self, at: &str, number: u64, view: &View<'_>) -> Instance {
        let embedded = |it: &Instance| Value::Instance(Box::new(it.clone()));
        let told = Instance::new(self.class, NAMESPACE)
            .with("IndicationIdentifier", format!("Tidelock:{number}"))
            .with_some("IndicationTime", timestamp(at));
        if let Some((severity, message)) = &self.alert {
            return self.told_as_alert(told, *severity, message, view);
        }
        let told = told.with_some("SourceInstance", self.source.as_ref().map(embedded));
        let Some((method, refused)) = &self.call else {
            return match &self.previous {
                Some(previous) => told.with("PreviousInstance", embedded(previous)),
                None => told,
            };
        };
        let error = cim_error(&refused.reason);
        let errors = error.map(|it| Value::Array(vec![Value::Instance(Box::new(it))]));
        told.with("MethodName", method.as_str())
            .with("PreCall", false)
            .with("ReturnValue", refused.return_code.value().to_string())
            .with_some("Error", errors)
    }

    fn told_as_alert(
        &self,
        told: Instance,
        severity: u16,
        message: &str,
        view: &View<'_>,
    ) -> Instance {
        let subject = self.source.as_ref();
        let path = subject.map(|it| it.path().text());
        let name = subject.map_or_else(String::new, |it| view.called(it));
        told.with("AlertType", DEVICE)
            .with("PerceivedSeverity", severity)
            // Other: what is behind it is said in words.
            .with("ProbableCause", 1_u16)
            .with_some("AlertingManagedElement", path)
            .with("AlertingElementFormat", 2_u16)
            .with("SystemCreationClassName", SYSTEM)
            .with("SystemName", view.inventory().system.name.as_str())
            .with("OwningEntity", OWNER)
            .with("MessageID", "TIDELOCK2")
            .with("Message", format!("{name}: {message}"))
    }
}
