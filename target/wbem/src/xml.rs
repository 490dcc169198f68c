//! Reading XML within limits. No DTD, no entities but the five of XML itself, nothing from elsewhere. Knows
//! nothing of CIM.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use thiserror::Error;

/// How much a document may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a document.
    pub bytes: usize,
    /// Elements within elements.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            depth: 48,
            elements: 50_000,
            attributes: 16,
        }
    }
}

/// Why a document isn't read. The text says what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// It is too long.
    #[error("the document has {found} bytes, and at most {limit} are read")]
    TooLong {
        /// How long it is.
        found: usize,
        /// How long it may be.
        limit: usize,
    },
    /// CIM-XML comes in UTF-8 here.
    #[error("the document isn't UTF-8: send it in UTF-8")]
    NotUtf8,
    /// It says that it is in something else.
    #[error("the document says that it is in {0}: send it in UTF-8")]
    Encoding(String),
    /// Elements within elements within elements.
    #[error("elements are nested more than {0} deep")]
    TooDeep(usize),
    /// There are too many.
    #[error("there are more than {0} elements")]
    TooManyElements(usize),
    /// There are too many.
    #[error("an element has more than {0} attributes")]
    TooManyAttributes(usize),
    /// A DTD could make a short document endless, or name files.
    #[error("a document type declaration isn't read: leave <!DOCTYPE ...> out")]
    DocType,
    /// Only `lt`, `gt`, `amp`, `apos` and `quot` are known.
    #[error("the entity &{0}; isn't known: use a character reference")]
    Entity(String),
    /// Not a document.
    #[error("the document is not well-formed: {0}")]
    NotWellFormed(String),
}

/// An element with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    attributes: Vec<(String, String)>,
    /// Elements directly in it, in order.
    pub children: Vec<Self>,
    /// Characters directly in it.
    pub text: String,
}

impl Element {
    /// An attribute's value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(it, _)| it == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first element directly in it that is called so.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The elements directly in it that are called so.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document.
///
/// # Errors
/// It breaks a limit or isn't XML.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Element, XmlError> {
    if bytes.len() > limits.bytes {
        return Err(XmlError::TooLong {
            found: bytes.len(),
            limit: limits.bytes,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Building::new(limits).document(text)
}

/// A tree that grows.
struct Building<'a> {
    limits: &'a Limits,
    elements: usize,
    /// The elements that aren't closed yet, the outermost first.
    open: Vec<Element>,
    root: Option<Element>,
}

impl<'a> Building<'a> {
    const fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            elements: 0,
            open: Vec::new(),
            root: None,
        }
    }

    fn document(mut self, text: &str) -> Result<Element, XmlError> {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.check_end_names = true;
        config.allow_dangling_amp = false;
        loop {
            match reader.read_event().map_err(not_well_formed)? {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let mut buffer = [0; 4];
                    let text = match reference.resolve_char_ref().map_err(not_well_formed)? {
                        Some(char) if is_char(char) => &*char.encode_utf8(&mut buffer),
                        Some(_) => return Err(XmlError::NotWellFormed(NOT_A_CHAR.to_owned())),
                        None => quick_xml::escape::resolve_predefined_entity(&reference)
                            .ok_or_else(|| XmlError::Entity(short(&reference)))?,
                    };
                    self.text(text)?;
                }
                Event::DocType(_) => return Err(XmlError::DocType),
                Event::Decl(declaration) => {
                    if let Some(Ok(encoding)) = declaration.encoding()
                        && !encoding.eq_ignore_ascii_case("utf-8")
                    {
                        return Err(XmlError::Encoding(short(&encoding)));
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match (self.root, self.open.pop()) {
            (_, Some(open)) => Err(XmlError::NotWellFormed(format!(
                "{} isn't closed",
                short(&open.name)
            ))),
            (None, None) => Err(XmlError::NotWellFormed("there is no element".to_owned())),
            (Some(root), None) => Ok(root),
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        if self.open.is_empty() && self.root.is_some() {
            let two = "there is more than one element at the top".to_owned();
            return Err(XmlError::NotWellFormed(two));
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::TooDeep(self.limits.depth));
        }
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(XmlError::TooManyElements(self.limits.elements));
        }
        let mut element = Element {
            name: start.name().as_ref().to_owned(),
            ..Element::default()
        };
        // Twice the same is looked for here, among few, and not by the reader among many.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(not_well_formed)?;
            if element.attributes.len() >= self.limits.attributes {
                return Err(XmlError::TooManyAttributes(self.limits.attributes));
            }
            let name = attribute.key.as_ref();
            if element.attribute(name).is_some() {
                let twice = format!("the attribute {} is there twice", short(name));
                return Err(XmlError::NotWellFormed(twice));
            }
            let name = name.to_owned();
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(not_well_formed)?;
            if !value.chars().all(is_char) {
                return Err(XmlError::NotWellFormed(NOT_A_CHAR.to_owned()));
            }
            element.attributes.push((name, value.into_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) {
        // The reader has seen to it that something is open.
        let Some(element) = self.open.pop() else {
            return;
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        if !text.chars().all(is_char) {
            return Err(XmlError::NotWellFormed(NOT_A_CHAR.to_owned()));
        }
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => {
                let outside = "there is text outside of all elements".to_owned();
                return Err(XmlError::NotWellFormed(outside));
            }
        }
        Ok(())
    }
}

const NOT_A_CHAR: &str = "a character isn't allowed in XML";

/// Char of XML 1.0, 2.2.
const fn is_char(it: char) -> bool {
    matches!(it, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn not_well_formed(error: impl std::fmt::Display) -> XmlError {
    XmlError::NotWellFormed(short(&error.to_string()))
}

/// What others wrote, as far as it is told again.
pub(crate) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut short: String = text
        .chars()
        .take(CHARS_MAX)
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests;
