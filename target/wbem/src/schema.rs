//! The class repository: the classes that instances here are made of, with their superclasses, and of each only
//! the properties and methods that are answered. Where a class of the MSISCSITARGET schema exists it is used;
//! what that schema lacks has the prefix Tidelock. Knows no instances.

mod core;
mod indications;
mod interop;
mod methods;
mod replication;
mod storage;

use crate::value::Type;
use crate::write::Writer;

/// A class.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: &'static str,
    /// What it is derived from.
    pub superclass: Option<&'static str>,
    /// Whether its instances tie others together.
    pub association: bool,
    /// Whether it has instances of its own.
    pub concrete: bool,
    properties: &'static [Property],
    methods: &'static [Method],
}

/// A property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it is, or each element of it.
    pub of: Type,
    /// Whether it is an array.
    pub array: bool,
    /// Whether it is part of the path.
    pub key: bool,
    values: Option<Values>,
}

/// The numbers of a value map, and their names.
type Values = fn() -> Vec<(u16, &'static str)>;

impl PartialEq for Property {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.of, self.array, self.key) == (other.name, other.of, other.array, other.key)
    }
}

impl Eq for Property {}

/// A method. All of them return uint32.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
}

/// A parameter of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is, or each element of it.
    pub of: Type,
    /// Whether it is an array.
    pub array: bool,
    /// Whether it goes in.
    pub input: bool,
    /// Whether it comes out.
    pub output: bool,
}

const ALL: &[&[Class]] = &[
    core::CLASSES,
    interop::CLASSES,
    indications::CLASSES,
    storage::CLASSES,
    replication::CLASSES,
];

/// All classes, superclasses before what is derived from them in each part of the schema.
pub fn classes() -> impl Iterator<Item = &'static Class> {
    ALL.iter().flat_map(|part| part.iter())
}

/// The class of that name, in any case of its letters.
#[must_use]
pub fn class(name: &str) -> Option<&'static Class> {
    classes().find(|class| class.name.eq_ignore_ascii_case(name))
}

impl Class {
    /// What it is derived from.
    #[must_use]
    pub fn parent(&self) -> Option<&'static Self> {
        class(self.superclass?)
    }

    /// Itself, its superclass, and so on.
    fn line(&'static self) -> impl Iterator<Item = &'static Self> {
        std::iter::successors(Some(self), |class| class.parent())
    }

    /// Whether it is that class or derived from it.
    #[must_use]
    pub fn is_a(&'static self, other: &Self) -> bool {
        self.line().any(|class| class.name == other.name)
    }

    /// The classes derived directly from it.
    pub fn children(&'static self) -> impl Iterator<Item = &'static Self> {
        classes().filter(|class| class.superclass == Some(self.name))
    }

    /// It and all classes derived from it, directly or not.
    pub fn family(&'static self) -> impl Iterator<Item = &'static Self> {
        classes().filter(|class| class.is_a(self))
    }

    /// Its properties with those of its superclasses, and which class has brought each first. A subclass's word
    /// counts more.
    #[must_use]
    pub fn all_properties(&'static self) -> Vec<(&'static Property, &'static str)> {
        let mut line: Vec<_> = self.line().collect();
        line.reverse();
        let mut all: Vec<(&'static Property, &'static str)> = Vec::new();
        for class in line {
            for property in class.properties {
                match all.iter_mut().find(|(it, _)| it.name == property.name) {
                    Some((it, _)) => *it = property,
                    None => all.push((property, class.name)),
                }
            }
        }
        all
    }

    /// A property of its own or of a superclass.
    #[must_use]
    pub fn property(&'static self, name: &str) -> Option<&'static Property> {
        self.line().find_map(|class| {
            let mut own = class.properties.iter();
            own.find(|it| it.name.eq_ignore_ascii_case(name))
        })
    }

    /// A method of its own or of a superclass.
    #[must_use]
    pub fn method(&'static self, name: &str) -> Option<&'static Method> {
        self.all_methods()
            .into_iter()
            .map(|(method, _)| method)
            .find(|method| method.name.eq_ignore_ascii_case(name))
    }

    fn all_methods(&'static self) -> Vec<(&'static Method, &'static str)> {
        let mut line: Vec<_> = self.line().collect();
        line.reverse();
        line.into_iter()
            .flat_map(|class| class.methods.iter().map(|method| (method, class.name)))
            .collect()
    }

    /// As CLASS.
    pub(crate) fn write(&'static self, w: &mut Writer, shape: &ClassShape) {
        let mut attributes = vec![("NAME", self.name)];
        attributes.extend(self.superclass.map(|name| ("SUPERCLASS", name)));
        w.element("CLASS", &attributes, |w| {
            if shape.qualifiers {
                if self.association {
                    flag(w, "Association");
                }
                if class("CIM_Indication").is_some_and(|it| self.is_a(it)) {
                    flag(w, "Indication");
                } else if !self.concrete {
                    flag(w, "Abstract");
                }
            }
            for (property, origin) in self.all_properties() {
                let own = self.properties.iter().any(|it| it.name == property.name);
                if (own || !shape.local_only) && shape.has(property.name) {
                    property.write(w, shape, origin, own);
                }
            }
            for (method, origin) in self.all_methods() {
                let own = origin == self.name;
                if own || !shape.local_only {
                    method.write(w, shape, origin, own);
                }
            }
        });
    }
}

/// How much of a class is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassShape {
    /// Only what it has beside its superclass.
    pub(crate) local_only: bool,
    /// With qualifiers.
    pub(crate) qualifiers: bool,
    /// With the class that has brought each property and method.
    pub(crate) class_origin: bool,
    /// Only these properties.
    pub(crate) properties: Option<Vec<String>>,
}

impl ClassShape {
    fn has(&self, name: &str) -> bool {
        let listed = self.properties.as_ref();
        listed.is_none_or(|all| all.iter().any(|it| it.eq_ignore_ascii_case(name)))
    }

    fn attributes<'a>(&self, name: &'a str, origin: &'a str, own: bool) -> Vec<(&'a str, &'a str)> {
        let mut attributes = vec![("NAME", name)];
        if self.class_origin {
            attributes.push(("CLASSORIGIN", origin));
        }
        if !own {
            attributes.push(("PROPAGATED", "true"));
        }
        attributes
    }
}

impl Property {
    const fn new(name: &'static str, of: Type) -> Self {
        Self {
            name,
            of,
            array: false,
            key: false,
            values: None,
        }
    }

    const fn key(self) -> Self {
        Self { key: true, ..self }
    }

    const fn array(self) -> Self {
        Self {
            array: true,
            ..self
        }
    }

    const fn values(self, values: Values) -> Self {
        Self {
            values: Some(values),
            ..self
        }
    }

    fn write(&self, w: &mut Writer, shape: &ClassShape, origin: &str, own: bool) {
        let mut attributes = shape.attributes(self.name, origin, own);
        let name = match self.of {
            Type::Reference(class) => {
                attributes.push(("REFERENCECLASS", class));
                "PROPERTY.REFERENCE"
            }
            of => {
                attributes.push(("TYPE", of.name()));
                if self.array {
                    "PROPERTY.ARRAY"
                } else {
                    "PROPERTY"
                }
            }
        };
        w.element(name, &attributes, |w| {
            if !shape.qualifiers {
                return;
            }
            if self.key {
                flag(w, "Key");
            }
            match self.of {
                Type::Embedded("") => flag(w, "EmbeddedObject"),
                Type::Embedded(class) => qualifier(w, "EmbeddedInstance", class),
                _ => {}
            }
            if let Some(values) = self.values {
                let values = values();
                list(w, "ValueMap", values.iter().map(|(it, _)| it.to_string()));
                list(
                    w,
                    "Values",
                    values.iter().map(|(_, name)| (*name).to_owned()),
                );
            }
        });
    }
}

impl Method {
    fn write(&self, w: &mut Writer, shape: &ClassShape, origin: &str, own: bool) {
        let mut attributes = shape.attributes(self.name, origin, own);
        attributes.push(("TYPE", "uint32"));
        w.element("METHOD", &attributes, |w| {
            for parameter in self.parameters {
                parameter.write(w, shape);
            }
        });
    }
}

impl Parameter {
    fn write(&self, w: &mut Writer, shape: &ClassShape) {
        let mut attributes = vec![("NAME", self.name)];
        let name = match (self.of, self.array) {
            (Type::Reference(class), array) => {
                attributes.push(("REFERENCECLASS", class));
                if array {
                    "PARAMETER.REFARRAY"
                } else {
                    "PARAMETER.REFERENCE"
                }
            }
            (of, array) => {
                attributes.push(("TYPE", of.name()));
                if array {
                    "PARAMETER.ARRAY"
                } else {
                    "PARAMETER"
                }
            }
        };
        w.element(name, &attributes, |w| {
            if !shape.qualifiers {
                return;
            }
            truth(w, "IN", self.input);
            truth(w, "OUT", self.output);
            if let Type::Embedded(class) = self.of {
                qualifier(w, "EmbeddedInstance", class);
            }
        });
    }
}

fn flag(w: &mut Writer, name: &str) {
    truth(w, name, true);
}

fn truth(w: &mut Writer, name: &str, value: bool) {
    let text = if value { "TRUE" } else { "FALSE" };
    w.element("QUALIFIER", &[("NAME", name), ("TYPE", "boolean")], |w| {
        w.leaf("VALUE", &[], text);
    });
}

fn qualifier(w: &mut Writer, name: &str, value: &str) {
    w.element("QUALIFIER", &[("NAME", name), ("TYPE", "string")], |w| {
        w.leaf("VALUE", &[], value);
    });
}

fn list(w: &mut Writer, name: &str, values: impl Iterator<Item = String>) {
    w.element("QUALIFIER", &[("NAME", name), ("TYPE", "string")], |w| {
        w.element("VALUE.ARRAY", &[], |w| {
            for value in values {
                w.leaf("VALUE", &[], &value);
            }
        });
    });
}

const fn class_of(
    name: &'static str,
    superclass: Option<&'static str>,
    properties: &'static [Property],
) -> Class {
    Class {
        name,
        superclass,
        association: false,
        concrete: false,
        properties,
        methods: &[],
    }
}

impl Class {
    const fn association(self) -> Self {
        Self {
            association: true,
            ..self
        }
    }

    const fn concrete(self) -> Self {
        Self {
            concrete: true,
            ..self
        }
    }

    const fn methods(self, methods: &'static [Method]) -> Self {
        Self { methods, ..self }
    }
}

/// The numbers of a value map of the replication model.
fn numbers<T: tidelock_capabilities::values::ValueMap>() -> Vec<(u16, &'static str)> {
    T::ALL.iter().map(|it| (it.value(), it.name())).collect()
}

#[cfg(test)]
mod tests;
