//! An instance: the values of a class's properties. Knows how it is written, not what it stands for.

use crate::path::{InstancePath, KeyValue};
use crate::schema::Class;
use crate::value::{Type, Value};
use crate::write::Writer;

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    class: &'static Class,
    namespace: &'static str,
    values: Vec<(&'static str, Value)>,
}

/// Which properties are written, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Only these, in small letters.
    pub(crate) properties: Option<Vec<String>>,
    /// Only those that this class has.
    pub(crate) of_class: Option<&'static Class>,
    /// With the class that has brought each of them.
    pub(crate) class_origin: bool,
}

impl Selection {
    pub(crate) fn has(&self, name: &str) -> bool {
        let listed = self.properties.as_ref();
        listed.is_none_or(|all| all.iter().any(|it| it.eq_ignore_ascii_case(name)))
            && self
                .of_class
                .is_none_or(|class| class.property(name).is_some())
    }
}

impl Instance {
    pub(crate) const fn new(class: &'static Class, namespace: &'static str) -> Self {
        Self {
            class,
            namespace,
            values: Vec::new(),
        }
    }

    /// Gives a property of the class a value.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        debug_assert!(
            self.class.property(name).is_some(),
            "{} has no {name}",
            self.class.name
        );
        self.values.push((name, value.into()));
        self
    }

    /// The same if there is a value.
    pub(crate) fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Its class.
    #[must_use]
    pub const fn class(&self) -> &'static Class {
        self.class
    }

    /// A property's value; `None` for NULL.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let mut values = self.values.iter();
        values
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> InstancePath {
        let keys = self
            .class
            .all_properties()
            .into_iter()
            .filter(|(it, _)| it.key);
        let bound = keys.filter_map(|(property, _)| {
            let value = match self.value(property.name)? {
                Value::Text(text) => KeyValue::Text(text.clone()),
                Value::Number(number) => KeyValue::Number(number.to_string()),
                Value::Boolean(it) => KeyValue::Boolean(*it),
                Value::Reference(path) => KeyValue::Reference(Box::new(path.clone())),
                Value::Instance(_) | Value::Array(_) => return None,
            };
            Some((property.name.to_owned(), value))
        });
        InstancePath {
            namespace: Some(self.namespace.to_owned()),
            class: self.class.name.to_owned(),
            keys: bound.collect(),
        }
    }

    /// The paths that it refers to, by property.
    pub(crate) fn references(&self) -> impl Iterator<Item = (&'static str, &InstancePath)> {
        self.values.iter().filter_map(|(name, value)| match value {
            Value::Reference(path) => Some((*name, path)),
            _ => None,
        })
    }

    /// As INSTANCE.
    pub(crate) fn write(&self, w: &mut Writer, selection: &Selection) {
        w.element("INSTANCE", &[("CLASSNAME", self.class.name)], |w| {
            for (property, origin) in self.class.all_properties() {
                if !selection.has(property.name) {
                    continue;
                }
                let mut attributes = vec![("NAME", property.name)];
                if selection.class_origin {
                    attributes.push(("CLASSORIGIN", origin));
                }
                let value = self.value(property.name);
                let inside = |w: &mut Writer| {
                    if let Some(value) = value {
                        value.write(w);
                    }
                };
                if let Type::Reference(class) = property.of {
                    attributes.push(("REFERENCECLASS", class));
                    w.element("PROPERTY.REFERENCE", &attributes, inside);
                    continue;
                }
                attributes.push(("TYPE", property.of.name()));
                match property.of {
                    Type::Embedded("") => attributes.push(("EmbeddedObject", "object")),
                    Type::Embedded(_) => attributes.push(("EmbeddedObject", "instance")),
                    _ => {}
                }
                let name = if property.array {
                    "PROPERTY.ARRAY"
                } else {
                    "PROPERTY"
                };
                w.element(name, &attributes, inside);
            }
        });
    }

    /// As the text of an embedded instance.
    pub(crate) fn embedded(&self) -> String {
        let mut w = Writer::default();
        self.write(&mut w, &Selection::default());
        w.finish()
    }
}
