//! Filters, destinations and subscriptions, as clients make and delete them. Bounded, and kept as text.

use super::events::{Event, Wanted};
use super::query::Query;
use crate::error::{CimError, Result, StatusCode};
use crate::given::GivenInstance;
use crate::instance::{Instance, Selection};
use crate::message::Input;
use crate::path::InstancePath;
use crate::schema::{Class, class};
use crate::value::{Type, Value};
use crate::view::{INTEROP, SYSTEM};
use crate::write::Writer;
use crate::xml::{Limits, read, short};

/// What is wanted.
const FILTER: &str = "CIM_IndicationFilter";
/// Who is told.
const HANDLER: &str = "CIM_ListenerDestinationCIMXML";
/// That they are told of it.
const SUBSCRIPTION: &str = "CIM_IndicationSubscription";

/// Of each kind.
const KEPT_MAX: usize = 64;
/// Of a name or a URL.
const TEXT_BYTES_MAX: usize = 1024;
/// The outermost element of what is kept.
const ROOT: &str = "SUBSCRIPTIONS";

/// Whether instances of a class are made by clients.
pub(crate) fn is_kept(class: &str) -> bool {
    [FILTER, HANDLER, SUBSCRIPTION].contains(&class)
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscribers {
    /// Filters and destinations before what refers to them.
    kept: Vec<Instance>,
    /// Who is told of what: what its filter lets through, and the destination.
    active: Vec<(Query, String)>,
}

impl Subscribers {
    pub(super) const fn has_any(&self) -> bool {
        !self.active.is_empty()
    }

    pub(super) fn instances(&self, class: &str) -> Vec<Instance> {
        let all = self.kept.iter().filter(|it| it.class().name == class);
        all.cloned().collect()
    }

    /// What has to be looked at.
    pub(super) fn wanted(&self) -> Wanted {
        self.active
            .iter()
            .map(|(query, _)| Wanted::of(query.of, query.source))
            .fold(Wanted::default(), Wanted::and)
    }

    /// Where an event is told of.
    pub(super) fn who_wants(&self, event: &Event) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for (query, destination) in &self.active {
            if query.fits(event) {
                all.push(destination.clone());
            }
        }
        all
    }

    pub(super) fn create(
        &mut self,
        given: &GivenInstance,
        system: &str,
        check_url: &dyn Fn(&str) -> std::result::Result<(), String>,
    ) -> Result<InstancePath> {
        let class = made_here(&given.class)?;
        let instance = instance(class, given, system)?;
        let path = instance.path();
        if self.find(&path).is_some() {
            let text = format!("there is such an instance of {} already", class.name);
            return Err(CimError::new(StatusCode::AlreadyExists, text));
        }
        if self.instances(class.name).len() >= KEPT_MAX {
            let text = format!(
                "there are {KEPT_MAX} instances of {}: delete one",
                class.name
            );
            return Err(CimError::new(StatusCode::ServerLimitsExceeded, text));
        }
        match class.name {
            FILTER => query(&instance).map(drop)?,
            HANDLER => check_url(&destination(&instance)?)
                .map_err(|reason| CimError::parameter(format!("Destination: {reason}")))?,
            _ => {}
        }
        self.kept.push(instance);
        match self.activate() {
            Ok(()) => Ok(path),
            Err(error) => {
                self.kept.pop();
                Err(error)
            }
        }
    }

    pub(super) fn delete(&mut self, path: &InstancePath) -> Result<()> {
        let class = made_here(&path.class)?;
        let at = self.find(path).ok_or_else(|| {
            let text = format!("there is no such instance of {}", class.name);
            CimError::new(StatusCode::NotFound, text)
        })?;
        let wanted = path.canonical(INTEROP);
        let refers = |it: &Instance| {
            let mut references = it.references();
            references.any(|(_, path)| path.canonical(INTEROP) == wanted)
        };
        if self.kept.iter().any(refers) {
            let text = "a subscription refers to it: delete that one first";
            return Err(CimError::new(StatusCode::Failed, text));
        }
        self.kept.remove(at);
        self.activate()
    }

    fn find(&self, path: &InstancePath) -> Option<usize> {
        let wanted = path.canonical(INTEROP);
        let mut all = self.kept.iter();
        all.position(|it| it.path().canonical(INTEROP) == wanted)
    }

    /// Works out who is told of what.
    fn activate(&mut self) -> Result<()> {
        let mut active = Vec::new();
        for subscription in self
            .kept
            .iter()
            .filter(|it| it.class().name == SUBSCRIPTION)
        {
            let refers = |name: &str, class: &str| {
                let path = match subscription.value(name) {
                    Some(Value::Reference(path)) => Some(path),
                    _ => None,
                };
                let found = path
                    .and_then(|path| self.find(path))
                    .and_then(|at| self.kept.get(at))
                    .filter(|it| it.class().name == class);
                found.ok_or_else(|| {
                    CimError::parameter(format!(
                        "{name} has to be the path of a {class} that is there"
                    ))
                })
            };
            let (filter, handler) = (refers("Filter", FILTER)?, refers("Handler", HANDLER)?);
            active.push((query(filter)?, destination(handler)?));
        }
        self.active = active;
        Ok(())
    }

    /// As they are kept.
    pub(super) fn to_text(&self) -> String {
        let mut w = Writer::default();
        w.element(ROOT, &[], |w| {
            for instance in &self.kept {
                instance.write(w, &Selection::default());
            }
        });
        w.finish()
    }

    /// As they were kept.
    pub(super) fn from_text(text: &str) -> Result<Self> {
        let wrong = |text: String| CimError::new(StatusCode::Failed, text);
        let root = read(text.as_bytes(), &Limits::default()).map_err(|it| wrong(it.to_string()))?;
        if root.name != ROOT {
            return Err(wrong(format!("it has to be {ROOT}")));
        }
        let mut all = Self::default();
        for element in &root.children {
            let given = GivenInstance::read(element)?;
            all.create(&given, "", &|_| Ok(()))?;
        }
        Ok(all)
    }
}

fn made_here(name: &str) -> Result<&'static Class> {
    class(name).filter(|it| is_kept(it.name)).ok_or_else(|| {
        let text = format!(
            "instances of {} aren't made or deleted by clients: those of {FILTER}, {HANDLER} and {SUBSCRIPTION} are",
            short(name)
        );
        CimError::new(StatusCode::NotSupported, text)
    })
}

/// With the keys that a client may leave out.
fn instance(class: &'static Class, given: &GivenInstance, system: &str) -> Result<Instance> {
    let mut instance = Instance::new(class, INTEROP);
    for (name, input) in &given.properties {
        let property = class.property(name).ok_or_else(|| {
            CimError::parameter(format!(
                "{} has no property {} here",
                class.name,
                short(name)
            ))
        })?;
        let of = property.of;
        let value = match input {
            Input::Null => continue,
            Input::Text(text) if !property.array && !matches!(of, Type::Reference(_)) => {
                if text.len() > TEXT_BYTES_MAX {
                    let text = format!("{} has more than {TEXT_BYTES_MAX} bytes", property.name);
                    return Err(CimError::parameter(text));
                }
                of.read(name, text)?
            }
            Input::Texts(texts) if property.array && texts.len() <= KEPT_MAX => Value::Array(
                texts
                    .iter()
                    .flatten()
                    .map(|text| of.read(name, text))
                    .collect::<Result<_>>()?,
            ),
            Input::Path(path) if matches!(of, Type::Reference(_)) => {
                let mut path = path.clone();
                path.namespace.get_or_insert_with(|| INTEROP.to_owned());
                Value::Reference(path)
            }
            _ => {
                let text = format!("{} has a value of the wrong kind", property.name);
                return Err(CimError::parameter(text));
            }
        };
        instance = instance.with(property.name, value);
    }
    for (name, default) in [
        ("SystemCreationClassName", SYSTEM),
        ("SystemName", system),
        ("CreationClassName", class.name),
    ] {
        if let Some(property) = class.property(name)
            && instance.value(name).is_none()
        {
            instance = instance.with(property.name, default);
        }
    }
    let keys = class.all_properties().into_iter().filter(|(it, _)| it.key);
    for (key, _) in keys {
        if instance.value(key.name).is_none() {
            return Err(CimError::parameter(format!("{} is missing", key.name)));
        }
    }
    Ok(instance)
}

fn text<'i>(instance: &'i Instance, name: &str) -> Result<&'i str> {
    match instance.value(name) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(CimError::parameter(format!("{name} is missing"))),
    }
}

fn query(filter: &Instance) -> Result<Query> {
    Query::read(text(filter, "Query")?, text(filter, "QueryLanguage")?)
}

fn destination(handler: &Instance) -> Result<String> {
    Ok(text(handler, "Destination")?.to_owned())
}
