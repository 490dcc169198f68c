//! GetClass, EnumerateClasses, EnumerateClassNames (DSP0200 5.4.2). Both namespaces have the same classes.

use super::Answer;
use super::parameters::Parameters;
use crate::error::{CimError, Result, StatusCode};
use crate::schema::{Class, ClassShape, class, classes};
use crate::xml::short;

fn shape(given: &Parameters<'_>) -> Result<ClassShape> {
    Ok(ClassShape {
        local_only: given.boolean("LocalOnly", true)?,
        qualifiers: given.boolean("IncludeQualifiers", true)?,
        class_origin: given.boolean("IncludeClassOrigin", false)?,
        properties: given.property_list()?,
    })
}

pub(super) fn get_class(given: &Parameters<'_>) -> Result<Answer> {
    given.only(&[
        "ClassName",
        "LocalOnly",
        "IncludeQualifiers",
        "IncludeClassOrigin",
        "PropertyList",
    ])?;
    let name = given
        .class_name("ClassName")?
        .ok_or_else(|| CimError::parameter("ClassName is missing"))?;
    // Of this operation the standard says NOT_FOUND, and of all others INVALID_CLASS.
    let class = class(name).ok_or_else(|| {
        let text = format!(
            "there is no class {}: EnumerateClassNames lists them",
            short(name)
        );
        CimError::new(StatusCode::NotFound, text)
    })?;
    let shape = shape(given)?;
    Ok(Answer::of(|w| class.write(w, &shape)))
}

/// The classes that are derived from the one that is named, or from none.
fn below(given: &Parameters<'_>) -> Result<Vec<&'static Class>> {
    let deep = given.boolean("DeepInheritance", false)?;
    Ok(match given.optional_class("ClassName")? {
        Some(parent) if deep => {
            let family = parent.family();
            family.filter(|class| class.name != parent.name).collect()
        }
        Some(parent) => parent.children().collect(),
        None if deep => classes().collect(),
        None => classes()
            .filter(|class| class.superclass.is_none())
            .collect(),
    })
}

pub(super) fn enumerate_classes(given: &Parameters<'_>) -> Result<Answer> {
    given.only(&[
        "ClassName",
        "DeepInheritance",
        "LocalOnly",
        "IncludeQualifiers",
        "IncludeClassOrigin",
    ])?;
    let (found, shape) = (below(given)?, shape(given)?);
    Ok(Answer::of(|w| {
        for class in found {
            class.write(w, &shape);
        }
    }))
}

pub(super) fn enumerate_class_names(given: &Parameters<'_>) -> Result<Answer> {
    given.only(&["ClassName", "DeepInheritance"])?;
    let found = below(given)?;
    Ok(Answer::of(|w| {
        for class in found {
            w.empty("CLASSNAME", &[("NAME", class.name)]);
        }
    }))
}
