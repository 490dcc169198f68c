//! Types and values of properties and parameters (DSP0004 5.2), read from CIM-XML and written to it.

use crate::error::{CimError, Result};
use crate::instance::Instance;
use crate::path::InstancePath;
use crate::write::Writer;
use crate::xml::short;

/// The type of a property or parameter, or of the elements of an array of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A truth value.
    Boolean,
    /// 8 bits.
    Uint8,
    /// 16 bits.
    Uint16,
    /// 32 bits.
    Uint32,
    /// 64 bits.
    Uint64,
    /// Text.
    String,
    /// A moment or an interval.
    Datetime,
    /// An instance of this class or one of its subclasses.
    Reference(&'static str),
    /// An instance of this class, or of any if there is none, written into a text.
    Embedded(&'static str),
}

impl Type {
    /// As the attribute TYPE has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::String | Self::Embedded(_) => "string",
            Self::Datetime => "datetime",
            Self::Reference(_) => "reference",
        }
    }

    const fn highest(self) -> u64 {
        match self {
            Self::Uint8 => u8::MAX as u64,
            Self::Uint16 => u16::MAX as u64,
            Self::Uint32 => u32::MAX as u64,
            _ => u64::MAX,
        }
    }

    /// What a text means as a value of this type. References aren't texts.
    pub(crate) fn read(self, name: &str, text: &str) -> Result<Value> {
        let wrong = || {
            let text = format!("{}: {:?} is no {}", short(name), short(text), self.name());
            CimError::parameter(text)
        };
        match self {
            Self::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(wrong()),
            },
            Self::Uint8 | Self::Uint16 | Self::Uint32 | Self::Uint64 => {
                let text = text.trim();
                let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                    Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
                    _ => text.parse(),
                };
                number
                    .ok()
                    .filter(|number| *number <= self.highest())
                    .map(Value::Number)
                    .ok_or_else(wrong)
            }
            Self::String | Self::Datetime | Self::Embedded(_) => Ok(Value::Text(text.to_owned())),
            Self::Reference(_) => Err(wrong()),
        }
    }
}

/// A value that isn't NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a boolean.
    Boolean(bool),
    /// Of a number.
    Number(u64),
    /// Of a string or datetime.
    Text(String),
    /// Of a reference.
    Reference(InstancePath),
    /// Of an embedded instance.
    Instance(Box<Instance>),
    /// Of an array.
    Array(Vec<Self>),
}

impl Value {
    /// Numbers, in order.
    pub(crate) fn numbers(all: impl IntoIterator<Item = impl Into<u64>>) -> Self {
        Self::Array(all.into_iter().map(|it| Self::Number(it.into())).collect())
    }

    /// References, in order.
    pub(crate) fn references(all: impl Iterator<Item = InstancePath>) -> Self {
        Self::Array(all.map(Self::Reference).collect())
    }

    /// The text of a value that has one.
    fn text(&self) -> String {
        match self {
            Self::Boolean(true) => "TRUE".to_owned(),
            Self::Boolean(false) => "FALSE".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Instance(instance) => instance.embedded(),
            Self::Reference(_) | Self::Array(_) => String::new(),
        }
    }

    /// VALUE, VALUE.REFERENCE, VALUE.ARRAY or VALUE.REFARRAY.
    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Self::Reference(path) => {
                w.element("VALUE.REFERENCE", &[], |w| path.write_local(w));
            }
            Self::Array(all) => {
                let references = matches!(all.first(), Some(Self::Reference(_)));
                let name = if references {
                    "VALUE.REFARRAY"
                } else {
                    "VALUE.ARRAY"
                };
                w.element(name, &[], |w| {
                    for value in all {
                        value.write(w);
                    }
                });
            }
            scalar => w.leaf("VALUE", &[], &scalar.text()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Boolean(it)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<InstancePath> for Value {
    fn from(path: InstancePath) -> Self {
        Self::Reference(path)
    }
}
