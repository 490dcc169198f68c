//! Instances that clients give, as parameters or written into a text: read within limits, not looked at.

use crate::error::{CimError, Result};
use crate::message::Input;
use crate::xml::{Element, Limits, read, short};

/// Properties of one.
const PROPERTIES_MAX: usize = 64;

/// An instance that a client gives.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenInstance {
    /// The class that it says it is of.
    pub class: String,
    /// Names and values.
    pub properties: Vec<(String, Input)>,
}

impl GivenInstance {
    /// INSTANCE.
    pub(crate) fn read(element: &Element) -> Result<Self> {
        let class = element.attribute("CLASSNAME");
        let class = class.ok_or_else(|| CimError::parameter("INSTANCE has no CLASSNAME"))?;
        let mut properties: Vec<(String, Input)> = Vec::new();
        let is_property = |child: &&Element| child.name != "QUALIFIER";
        for property in element.children.iter().filter(is_property) {
            let (Some(name), "PROPERTY" | "PROPERTY.ARRAY" | "PROPERTY.REFERENCE") =
                (property.attribute("NAME"), property.name.as_str())
            else {
                return Err(CimError::parameter(
                    "INSTANCE may have PROPERTY, PROPERTY.ARRAY and PROPERTY.REFERENCE in it, each with a NAME",
                ));
            };
            if properties.len() >= PROPERTIES_MAX {
                let text = format!("an instance has more than {PROPERTIES_MAX} properties");
                return Err(CimError::parameter(text));
            }
            if properties
                .iter()
                .any(|(it, _)| it.eq_ignore_ascii_case(name))
            {
                let text = format!("the property {} is given twice", short(name));
                return Err(CimError::parameter(text));
            }
            properties.push((name.to_owned(), Input::read(name, property)?));
        }
        Ok(Self {
            class: class.to_owned(),
            properties,
        })
    }

    /// One that was written into a text.
    pub(crate) fn embedded(text: &str) -> Result<Self> {
        let element = read(text.as_bytes(), &Limits::default())
            .map_err(|error| CimError::parameter(format!("an embedded instance: {error}")))?;
        if element.name != "INSTANCE" {
            return Err(CimError::parameter(
                "an embedded instance has to be INSTANCE",
            ));
        }
        Self::read(&element)
    }

    /// A property's value that isn't NULL.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Input> {
        let mut all = self.properties.iter();
        all.find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Input::Null))
    }

    /// A property's value, if it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Input::Text(text) => Some(text),
            _ => None,
        }
    }
}
