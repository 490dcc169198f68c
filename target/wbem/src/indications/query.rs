//! The queries of filters: what of WQL and DMTF:CQL is understood. All conditions have to hold.
//!
//! `SELECT * FROM CLASS [WHERE CONDITION [AND CONDITION]...]`, where a condition is `SourceInstance ISA CLASS`, or
//! `SourceInstance.PROPERTY <> PreviousInstance.PROPERTY`, each property perhaps with `CLASS::` before it.

use super::events::Event;
use crate::error::{CimError, Result, StatusCode};
use crate::schema::{Class, class};
use crate::xml::short;

/// Longer than any that says something.
const QUERY_BYTES_MAX: usize = 1024;
const LANGUAGES: [&str; 3] = ["WQL", "DMTF:CQL", "CIM:CQL"];

/// What a filter lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// The class of indications.
    pub(super) of: &'static Class,
    /// What SourceInstance has to be.
    pub(super) source: Option<&'static Class>,
    /// Properties that have to differ.
    changed: Vec<String>,
}

impl Query {
    pub(super) fn read(text: &str, language: &str) -> Result<Self> {
        let known = LANGUAGES.iter().any(|it| it.eq_ignore_ascii_case(language));
        if !known {
            let text = format!(
                "QueryLanguage {} isn't understood: use WQL or DMTF:CQL",
                short(language)
            );
            return Err(CimError::new(StatusCode::QueryLanguageNotSupported, text));
        }
        if text.len() > QUERY_BYTES_MAX {
            return Err(invalid("it is too long"));
        }
        let spaced = text.replace("<>", " <> ").replace("!=", " <> ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let [select, star, from, of, rest @ ..] = words.as_slice() else {
            return Err(invalid("it has to begin with SELECT * FROM and a class"));
        };
        let is = |word: &str, keyword: &str| word.eq_ignore_ascii_case(keyword);
        if !is(select, "SELECT") || *star != "*" || !is(from, "FROM") {
            return Err(invalid("it has to begin with SELECT * FROM and a class"));
        }
        let of = indication(of)?;
        let mut query = Self {
            of,
            source: None,
            changed: Vec::new(),
        };
        match rest {
            [] => return Ok(query),
            [where_, conditions @ ..] if is(where_, "WHERE") => {
                for condition in conditions.split(|word| is(word, "AND")) {
                    query.add(condition)?;
                }
            }
            _ => return Err(invalid("behind the class there may only be WHERE")),
        }
        Ok(query)
    }

    fn add(&mut self, condition: &[&str]) -> Result<()> {
        match condition {
            [source, isa, name]
                if source.eq_ignore_ascii_case("SourceInstance")
                    && isa.eq_ignore_ascii_case("ISA") =>
            {
                let name = name.trim_matches(['"', '\'']);
                let found = class(name)
                    .ok_or_else(|| invalid(&format!("there is no class {}", short(name))))?;
                if self.source.replace(found).is_some() {
                    return Err(invalid("SourceInstance ISA is there twice"));
                }
                Ok(())
            }
            [one, "<>", other] => {
                let one = property(one, "SourceInstance");
                let other = property(other, "PreviousInstance");
                match (one, other) {
                    (Some(one), Some(other)) if one.eq_ignore_ascii_case(other) => {
                        self.changed.push(one.to_owned());
                        Ok(())
                    }
                    _ => Err(invalid(
                        "a comparison has to be SourceInstance.P <> PreviousInstance.P",
                    )),
                }
            }
            _ => Err(invalid(
                "a condition has to be SourceInstance ISA CLASS, or SourceInstance.P <> PreviousInstance.P",
            )),
        }
    }

    /// Whether it lets an event through.
    pub(super) fn fits(&self, event: &Event) -> bool {
        let source_fits = self.source.is_none_or(|wanted| {
            let source = event.source.as_ref();
            source.is_some_and(|it| it.class().is_a(wanted))
        });
        let differs = |name: &String| {
            let (Some(source), Some(previous)) = (&event.source, &event.previous) else {
                return false;
            };
            source.value(name) != previous.value(name)
        };
        event.class.is_a(self.of) && source_fits && self.changed.iter().all(differs)
    }
}

/// `SourceInstance.P` or `SourceInstance.CLASS::P`.
fn property<'t>(text: &'t str, of: &str) -> Option<&'t str> {
    let (instance, property) = text.split_once('.')?;
    let name = property
        .rsplit_once("::")
        .map_or(property, |(_, name)| name);
    instance.eq_ignore_ascii_case(of).then_some(name)
}

fn indication(name: &str) -> Result<&'static Class> {
    let base = class("CIM_Indication");
    class(name)
        .filter(|it| base.is_some_and(|base| it.is_a(base)))
        .ok_or_else(|| {
            invalid(&format!(
                "{} is no class of indications: they are derived from CIM_Indication",
                short(name)
            ))
        })
}

fn invalid(what: &str) -> CimError {
    CimError::new(StatusCode::InvalidQuery, format!("the query: {what}"))
}
