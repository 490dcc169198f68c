//! The parameters of an operation, by name and type. What isn't known is refused.

use crate::error::{CimError, Result, StatusCode};
use crate::given::GivenInstance;
use crate::instance::Selection;
use crate::message::Input;
use crate::path::InstancePath;
use crate::schema::{Class, class};
use crate::value::{Type, Value};
use crate::xml::short;

/// What was given.
#[derive(Debug)]
pub(crate) struct Parameters<'a> {
    all: &'a [(String, Input)],
}

impl<'a> Parameters<'a> {
    pub(crate) const fn new(all: &'a [(String, Input)]) -> Self {
        Self { all }
    }

    /// Refuses what has another name.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        let is_known = |name: &str| known.iter().any(|it| it.eq_ignore_ascii_case(name));
        match self.all.iter().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => Err(CimError::parameter(format!(
                "there is no parameter {}: known are {}",
                short(name),
                known.join(", ")
            ))),
            None => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Input> {
        let mut all = self.all.iter();
        all.find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Input::Null))
    }

    pub(crate) fn boolean(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Input::Text(text)) => match Type::Boolean.read(name, text)? {
                Value::Boolean(it) => Ok(it),
                _ => Ok(default),
            },
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Input::Text(text)) => match Type::Uint32.read(name, text)? {
                Value::Number(number) => Ok(Some(number)),
                _ => Ok(None),
            },
            Some(_) => Err(wrong(name, "a number")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Input::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Input::Texts(texts)) => Ok(Some(texts.iter().flatten().cloned().collect())),
            Some(_) => Err(wrong(name, "an array of strings")),
        }
    }

    /// The name of a class.
    pub(crate) fn class_name(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Input::Class(text) | Input::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "the name of a class")),
        }
    }

    /// A class that has to be there.
    pub(crate) fn class(&self, name: &str) -> Result<&'static Class> {
        self.optional_class(name)?.ok_or_else(|| {
            CimError::parameter(format!("{name} is missing: give the name of a class"))
        })
    }

    pub(crate) fn optional_class(&self, name: &str) -> Result<Option<&'static Class>> {
        self.class_name(name)?.map(find_class).transpose()
    }

    /// A class or an instance.
    pub(crate) fn object(&self, name: &str) -> Result<&'a InstancePath> {
        match self.get(name) {
            Some(Input::Path(path)) => Ok(path),
            Some(Input::Class(_)) => Err(CimError::new(
                StatusCode::NotSupported,
                format!(
                    "{name}: associations of classes aren't told: give the path of an instance"
                ),
            )),
            Some(_) => Err(wrong(name, "the path of an instance")),
            None => Err(CimError::parameter(format!(
                "{name} is missing: give the path of an instance"
            ))),
        }
    }

    /// An instance with its properties.
    pub(crate) fn instance(&self, name: &str) -> Result<&'a GivenInstance> {
        match self.get(name) {
            Some(Input::Instance(instance)) => Ok(instance),
            Some(_) => Err(wrong(name, "an INSTANCE")),
            None => Err(CimError::parameter(format!(
                "{name} is missing: give an INSTANCE"
            ))),
        }
    }

    /// A list of properties, in small letters.
    pub(crate) fn property_list(&self) -> Result<Option<Vec<String>>> {
        self.texts("PropertyList")
    }

    /// PropertyList and IncludeClassOrigin.
    pub(crate) fn selection(&self) -> Result<Selection> {
        Ok(Selection {
            properties: self.property_list()?,
            of_class: None,
            class_origin: self.boolean("IncludeClassOrigin", false)?,
        })
    }
}

/// The class of a name.
pub(crate) fn find_class(name: &str) -> Result<&'static Class> {
    class(name).ok_or_else(|| {
        let text = format!(
            "there is no class {}: EnumerateClassNames lists them",
            short(name)
        );
        CimError::new(StatusCode::InvalidClass, text)
    })
}

fn wrong(name: &str, expected: &str) -> CimError {
    CimError::parameter(format!("{name} has to be {expected}"))
}
