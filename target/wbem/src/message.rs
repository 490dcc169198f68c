//! A request as it comes: CIM-XML (DSP0201) in, what is asked for out. Doesn't look whether it can be done.

use thiserror::Error;

use crate::error::{CimError, Result};
use crate::given::GivenInstance;
use crate::path::{InstancePath, read_namespace};
use crate::xml::{Element, Limits, XmlError, read, short};

/// Parameters of one call.
const PARAMETERS_MAX: usize = 64;

/// Why there is no answer in CIM-XML. The name is that of the header CIMError (DSP0200 8.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotValid {
    /// It isn't XML, or too much of it.
    #[error("{0}")]
    NotWellFormed(#[from] XmlError),
    /// It isn't CIM-XML.
    #[error("{0}")]
    NotLooselyValid(String),
    /// It is of another version.
    #[error("CIMVERSION is {0}: 2.x is understood")]
    CimVersion(String),
    /// It is of another version.
    #[error("DTDVERSION is {0}: 2.x is understood")]
    DtdVersion(String),
    /// It is of another version.
    #[error("PROTOCOLVERSION is {0}: 1.x is understood")]
    ProtocolVersion(String),
    /// Several requests in one.
    #[error("several requests in one message aren't answered: send one at a time")]
    Multiple,
    /// What the header says isn't what the message says.
    #[error("{0}")]
    HeaderMismatch(String),
}

impl NotValid {
    /// The value of CIMError.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotWellFormed(_) => "request-not-well-formed",
            Self::NotLooselyValid(_) => "request-not-loosely-valid",
            Self::CimVersion(_) => "unsupported-cim-version",
            Self::DtdVersion(_) => "unsupported-dtd-version",
            Self::ProtocolVersion(_) => "unsupported-protocol-version",
            Self::Multiple => "multiple-requests-unsupported",
            Self::HeaderMismatch(_) => "header-mismatch",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::CimVersion(_)
            | Self::DtdVersion(_)
            | Self::ProtocolVersion(_)
            | Self::Multiple => 501,
            _ => 400,
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the answer is told from others by.
    pub id: String,
    /// The operation or method.
    pub name: String,
    /// What is called.
    pub call: Call,
}

/// What is called.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// An operation of the protocol, or what is wrong with its parameters.
    Intrinsic(Result<Intrinsic>),
    /// A method of a class, or what is wrong with its parameters.
    Method(Result<MethodCall>),
}

/// An operation of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Intrinsic {
    /// The namespace.
    pub namespace: String,
    /// The parameters.
    pub parameters: Vec<(String, Input)>,
}

/// A method of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodCall {
    /// The object; its namespace is always given.
    pub object: Object,
    /// The parameters.
    pub parameters: Vec<(String, Input)>,
}

/// What a method is called of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A class.
    Class {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// An instance.
    Instance(InstancePath),
}

/// What was given for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Nothing.
    Null,
    /// A value.
    Text(String),
    /// Values; NULL is possible for each.
    Texts(Vec<Option<String>>),
    /// A class.
    Class(String),
    /// An instance.
    Path(InstancePath),
    /// Instances.
    Paths(Vec<InstancePath>),
    /// An instance with its properties.
    Instance(GivenInstance),
    /// Something that no operation here takes, by the name of its element.
    Other(String),
}

/// Reads a message.
///
/// # Errors
/// It can't be answered in CIM-XML.
pub fn parse(body: &[u8], limits: &Limits) -> std::result::Result<Request, NotValid> {
    let root = read(body, limits)?;
    let loose = |text: &str| NotValid::NotLooselyValid(text.to_owned());
    if root.name != "CIM" {
        return Err(loose("the outermost element has to be CIM"));
    }
    let version = |element: &Element, name: &str| {
        let value = element.attribute(name).unwrap_or_default();
        (
            value.to_owned(),
            value.split('.').next() == Some(if name == "PROTOCOLVERSION" { "1" } else { "2" }),
        )
    };
    if let (found, false) = version(&root, "CIMVERSION") {
        return Err(NotValid::CimVersion(short(&found)));
    }
    if let (found, false) = version(&root, "DTDVERSION") {
        return Err(NotValid::DtdVersion(short(&found)));
    }
    let message = root
        .child("MESSAGE")
        .ok_or_else(|| loose("CIM has to have one MESSAGE in it"))?;
    if let (found, false) = version(message, "PROTOCOLVERSION") {
        return Err(NotValid::ProtocolVersion(short(&found)));
    }
    let id = message
        .attribute("ID")
        .ok_or_else(|| loose("MESSAGE has no ID"))?;
    let request = match message.children.as_slice() {
        [one] if one.name == "SIMPLEREQ" => one,
        [one] if one.name == "MULTIREQ" => return Err(NotValid::Multiple),
        _ => return Err(loose("MESSAGE has to have one SIMPLEREQ in it")),
    };
    // A <CORRELATOR> may come first, and means nothing here.
    let call = request.children.iter().find(|it| it.name != "CORRELATOR");
    let call = call.ok_or_else(|| loose("SIMPLEREQ has nothing in it"))?;
    let name = call
        .attribute("NAME")
        .ok_or_else(|| loose("what is called has no NAME"))?;
    let call = match call.name.as_str() {
        "IMETHODCALL" => Call::Intrinsic(Intrinsic::read(call)),
        "METHODCALL" => Call::Method(MethodCall::read(call)),
        _ => {
            return Err(loose(
                "SIMPLEREQ has to have IMETHODCALL or METHODCALL in it",
            ));
        }
    };
    Ok(Request {
        id: id.to_owned(),
        name: name.to_owned(),
        call,
    })
}

impl Intrinsic {
    fn read(element: &Element) -> Result<Self> {
        let place = element.child("LOCALNAMESPACEPATH");
        let place =
            place.ok_or_else(|| CimError::parameter("IMETHODCALL has no LOCALNAMESPACEPATH"))?;
        Ok(Self {
            namespace: read_namespace(place)?,
            parameters: parameters(element, "IPARAMVALUE")?,
        })
    }
}

impl MethodCall {
    fn read(element: &Element) -> Result<Self> {
        let object = if let Some(path) = element.child("LOCALINSTANCEPATH") {
            Object::Instance(InstancePath::read(path)?)
        } else if let Some(path) = element.child("LOCALCLASSPATH")
            && let Some(place) = path.child("LOCALNAMESPACEPATH")
            && let Some(name) = path.child("CLASSNAME").and_then(|it| it.attribute("NAME"))
        {
            Object::Class {
                namespace: read_namespace(place)?,
                name: name.to_owned(),
            }
        } else {
            let text = "METHODCALL has to have LOCALINSTANCEPATH or LOCALCLASSPATH in it";
            return Err(CimError::parameter(text));
        };
        Ok(Self {
            object,
            parameters: parameters(element, "PARAMVALUE")?,
        })
    }
}

fn parameters(element: &Element, called: &str) -> Result<Vec<(String, Input)>> {
    let mut all: Vec<(String, Input)> = Vec::new();
    for parameter in element.children_named(called) {
        if all.len() >= PARAMETERS_MAX {
            let text = format!("there are more than {PARAMETERS_MAX} parameters");
            return Err(CimError::parameter(text));
        }
        let name = parameter.attribute("NAME");
        let name = name.ok_or_else(|| CimError::parameter(format!("a {called} has no NAME")))?;
        if all.iter().any(|(it, _)| it.eq_ignore_ascii_case(name)) {
            let text = format!("the parameter {} is given twice", short(name));
            return Err(CimError::parameter(text));
        }
        all.push((name.to_owned(), Input::read(name, parameter)?));
    }
    Ok(all)
}

impl Input {
    pub(crate) fn read(name: &str, parameter: &Element) -> Result<Self> {
        let wrong = |text: &str| CimError::parameter(format!("{}: {text}", short(name)));
        let value = match parameter.children.as_slice() {
            [] => return Ok(Self::Null),
            [value] => value,
            _ => return Err(wrong("it has more than one value")),
        };
        match value.name.as_str() {
            "VALUE" => Ok(Self::Text(value.text.clone())),
            "VALUE.ARRAY" => value
                .children
                .iter()
                .map(|it| match it.name.as_str() {
                    "VALUE" => Ok(Some(it.text.clone())),
                    "VALUE.NULL" => Ok(None),
                    _ => Err(wrong("VALUE.ARRAY may have VALUE and VALUE.NULL in it")),
                })
                .collect::<Result<_>>()
                .map(Self::Texts),
            "VALUE.REFERENCE" => Ok(match value.children.as_slice() {
                [class] if class.name == "CLASSNAME" => Self::class(class)?,
                _ => Self::Path(InstancePath::read_reference(value)?),
            }),
            "VALUE.REFARRAY" => value
                .children
                .iter()
                .map(|it| match it.name.as_str() {
                    "VALUE.REFERENCE" => InstancePath::read_reference(it),
                    _ => Err(wrong("VALUE.REFARRAY may have VALUE.REFERENCE in it")),
                })
                .collect::<Result<_>>()
                .map(Self::Paths),
            "CLASSNAME" => Self::class(value),
            "INSTANCENAME" | "INSTANCEPATH" | "LOCALINSTANCEPATH" => {
                InstancePath::read(value).map(Self::Path)
            }
            "INSTANCE" => GivenInstance::read(value).map(Self::Instance),
            // Whoever would take it says that it isn't taken.
            other => Ok(Self::Other(short(other))),
        }
    }

    fn class(element: &Element) -> Result<Self> {
        let name = element.attribute("NAME");
        let name = name.ok_or_else(|| CimError::parameter("CLASSNAME has no NAME"))?;
        Ok(Self::Class(name.to_owned()))
    }
}
