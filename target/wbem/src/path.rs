//! Names of objects: the path of an instance with its keys (DSP0004 8.2), read from CIM-XML and written to it.

use crate::error::{CimError, Result};
use crate::write::Writer;
use crate::xml::{Element, short};

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// Text.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// A truth value.
    Boolean(bool),
    /// Another object.
    Reference(Box<InstancePath>),
}

/// The path of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePath {
    /// Its namespace, in small letters; `None` is the one that the request is about.
    pub namespace: Option<String>,
    /// The class that it was made of.
    pub class: String,
    /// Names and values.
    pub keys: Vec<(String, KeyValue)>,
}

/// A namespace as it is compared.
#[must_use]
pub fn normalized(namespace: &str) -> String {
    namespace.trim_matches('/').to_ascii_lowercase()
}

impl InstancePath {
    /// A key's value. Names of keys are the same in any case of their letters.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&KeyValue> {
        let mut keys = self.keys.iter();
        keys.find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// A key's value, if it is text.
    #[must_use]
    pub fn text_key(&self, name: &str) -> Option<&str> {
        match self.key(name)? {
            KeyValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One spelling of all that mean the same.
    #[must_use]
    pub fn canonical(&self, default_namespace: &str) -> String {
        let namespace = self.namespace.as_deref().unwrap_or(default_namespace);
        let mut keys: Vec<String> = self
            .keys
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    KeyValue::Text(text) => format!("{text:?}"),
                    KeyValue::Number(number) => number.clone(),
                    KeyValue::Boolean(it) => it.to_string(),
                    KeyValue::Reference(path) => path.canonical(default_namespace),
                };
                format!("{}={value}", name.to_ascii_lowercase())
            })
            .collect();
        keys.sort_unstable();
        let class = self.class.to_ascii_lowercase();
        format!("{namespace}:{class}({})", keys.join(","))
    }

    /// As one text (DSP0004 8.2.5).
    #[must_use]
    pub fn text(&self) -> String {
        let keys = self.keys.iter().map(|(name, value)| {
            let value = match value {
                KeyValue::Text(text) => quoted(text),
                KeyValue::Number(number) => number.clone(),
                KeyValue::Boolean(it) => it.to_string(),
                KeyValue::Reference(path) => quoted(&path.text()),
            };
            format!("{name}={value}")
        });
        let keys = keys.collect::<Vec<_>>().join(",");
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("{namespace}:{}.{keys}", self.class)
    }

    /// INSTANCENAME, INSTANCEPATH or LOCALINSTANCEPATH.
    pub(crate) fn read(element: &Element) -> Result<Self> {
        match element.name.as_str() {
            "INSTANCENAME" => Self::read_name(element),
            "INSTANCEPATH" => {
                let place = element.child("NAMESPACEPATH");
                let place = place.and_then(|path| path.child("LOCALNAMESPACEPATH"));
                Self::read_in(element, place)
            }
            "LOCALINSTANCEPATH" => Self::read_in(element, element.child("LOCALNAMESPACEPATH")),
            other => Err(CimError::parameter(format!(
                "{} is no path of an instance: give INSTANCENAME, LOCALINSTANCEPATH or INSTANCEPATH",
                short(other)
            ))),
        }
    }

    /// The path within VALUE.REFERENCE.
    pub(crate) fn read_reference(element: &Element) -> Result<Self> {
        match element.children.as_slice() {
            [path] => Self::read(path),
            _ => Err(CimError::parameter(
                "VALUE.REFERENCE has to have one path in it",
            )),
        }
    }

    fn read_in(element: &Element, place: Option<&Element>) -> Result<Self> {
        let (Some(place), Some(name)) = (place, element.child("INSTANCENAME")) else {
            let text = format!("{} has to have a namespace and INSTANCENAME", element.name);
            return Err(CimError::parameter(text));
        };
        Ok(Self {
            namespace: Some(read_namespace(place)?),
            ..Self::read_name(name)?
        })
    }

    fn read_name(element: &Element) -> Result<Self> {
        let Some(class) = element.attribute("CLASSNAME") else {
            return Err(CimError::parameter("INSTANCENAME has no CLASSNAME"));
        };
        let mut keys: Vec<(String, KeyValue)> = Vec::new();
        for binding in &element.children {
            let (Some(name), "KEYBINDING", [value]) = (
                binding.attribute("NAME"),
                binding.name.as_str(),
                binding.children.as_slice(),
            ) else {
                return Err(CimError::parameter(format!(
                    "the keys of a path of {} have to be KEYBINDINGs with a NAME and one value each",
                    short(class)
                )));
            };
            if keys.iter().any(|(it, _)| it.eq_ignore_ascii_case(name)) {
                let text = format!("the key {} is given twice", short(name));
                return Err(CimError::parameter(text));
            }
            keys.push((name.to_owned(), KeyValue::read(name, value)?));
        }
        Ok(Self {
            namespace: None,
            class: class.to_owned(),
            keys,
        })
    }

    /// As INSTANCENAME.
    pub(crate) fn write_name(&self, w: &mut Writer) {
        w.element("INSTANCENAME", &[("CLASSNAME", &self.class)], |w| {
            for (name, value) in &self.keys {
                w.element("KEYBINDING", &[("NAME", name)], |w| value.write(w));
            }
        });
    }

    /// As LOCALINSTANCEPATH, or INSTANCENAME if the namespace isn't said.
    pub(crate) fn write_local(&self, w: &mut Writer) {
        let Some(namespace) = &self.namespace else {
            return self.write_name(w);
        };
        w.element("LOCALINSTANCEPATH", &[], |w| {
            write_namespace(w, namespace);
            self.write_name(w);
        });
    }

    /// As INSTANCEPATH.
    pub(crate) fn write_full(&self, w: &mut Writer, host: &str, default_namespace: &str) {
        let namespace = self.namespace.as_deref().unwrap_or(default_namespace);
        w.element("INSTANCEPATH", &[], |w| {
            write_namespace_path(w, host, namespace);
            self.write_name(w);
        });
    }
}

impl KeyValue {
    fn read(name: &str, element: &Element) -> Result<Self> {
        let wrong = |text: &str| CimError::parameter(format!("the key {}: {text}", short(name)));
        match element.name.as_str() {
            "VALUE.REFERENCE" => {
                let path = InstancePath::read_reference(element)?;
                Ok(Self::Reference(Box::new(path)))
            }
            "KEYVALUE" => {
                let text = element.text.clone();
                match element.attribute("VALUETYPE").unwrap_or("string") {
                    "string" => Ok(Self::Text(text)),
                    "numeric" => Ok(Self::Number(text.trim().to_owned())),
                    "boolean" => match text.trim().to_ascii_lowercase().as_str() {
                        "true" => Ok(Self::Boolean(true)),
                        "false" => Ok(Self::Boolean(false)),
                        _ => Err(wrong("a boolean is true or false")),
                    },
                    _ => Err(wrong("VALUETYPE is string, numeric or boolean")),
                }
            }
            _ => Err(wrong("its value is KEYVALUE or VALUE.REFERENCE")),
        }
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Text(text) => w.leaf("KEYVALUE", &[("VALUETYPE", "string")], text),
            Self::Number(text) => w.leaf("KEYVALUE", &[("VALUETYPE", "numeric")], text),
            Self::Boolean(it) => {
                let text = if *it { "TRUE" } else { "FALSE" };
                w.leaf("KEYVALUE", &[("VALUETYPE", "boolean")], text);
            }
            Self::Reference(path) => {
                w.element("VALUE.REFERENCE", &[], |w| path.write_local(w));
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// LOCALNAMESPACEPATH.
pub(crate) fn read_namespace(element: &Element) -> Result<String> {
    let names: Option<Vec<&str>> = element
        .children
        .iter()
        .map(|child| {
            child
                .attribute("NAME")
                .filter(|_| child.name == "NAMESPACE")
        })
        .collect();
    match names {
        Some(names) if !names.is_empty() => Ok(normalized(&names.join("/"))),
        _ => Err(CimError::parameter(
            "LOCALNAMESPACEPATH has to have NAMESPACEs with a NAME each",
        )),
    }
}

pub(crate) fn write_namespace(w: &mut Writer, namespace: &str) {
    w.element("LOCALNAMESPACEPATH", &[], |w| {
        for name in namespace.split('/') {
            w.empty("NAMESPACE", &[("NAME", name)]);
        }
    });
}

pub(crate) fn write_namespace_path(w: &mut Writer, host: &str, namespace: &str) {
    w.element("NAMESPACEPATH", &[], |w| {
        w.leaf("HOST", &[], host);
        write_namespace(w, namespace);
    });
}
