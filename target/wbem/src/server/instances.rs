//! GetInstance, EnumerateInstances, EnumerateInstanceNames, GetProperty (DSP0200 5.4.2).

use super::parameters::{Parameters, find_class};
use super::{Answer, Context};
use crate::error::{CimError, Result, StatusCode};
use crate::instance::{Instance, Selection};
use crate::path::InstancePath;
use crate::schema::Class;
use crate::xml::short;

/// The instance of a path.
pub(super) fn find(context: &Context<'_>, path: &InstancePath) -> Result<Instance> {
    let class = find_class(&path.class)?;
    let namespace = match &path.namespace {
        Some(namespace) => crate::view::namespace(namespace).ok_or_else(|| {
            let text = format!("there is no namespace {}", short(namespace));
            CimError::new(StatusCode::InvalidNamespace, text)
        })?,
        None => context.namespace,
    };
    let wanted = path.canonical(namespace);
    let mut all = context.view.instances(class, namespace).into_iter();
    all.find(|instance| instance.path().canonical(namespace) == wanted)
        .ok_or_else(|| {
            let text = format!(
                "there is no such instance of {}: EnumerateInstanceNames lists them",
                class.name
            );
            CimError::new(StatusCode::NotFound, text)
        })
}

pub(super) fn get_instance(context: &Context<'_>, given: &Parameters<'_>) -> Result<Answer> {
    given.only(&[
        "InstanceName",
        "LocalOnly",
        "IncludeQualifiers",
        "IncludeClassOrigin",
        "PropertyList",
    ])?;
    let selection = given.selection()?;
    let instance = find(context, given.object("InstanceName")?)?;
    Ok(Answer::of(|w| instance.write(w, &selection)))
}

/// What EnumerateInstances and its like select: without DeepInheritance only what the class itself has.
pub(super) fn enumeration(
    context: &Context<'_>,
    given: &Parameters<'_>,
    deep_by_default: bool,
) -> Result<(Vec<Instance>, Selection)> {
    let class: &'static Class = given.class("ClassName")?;
    let deep = given.boolean("DeepInheritance", deep_by_default)?;
    let selection = Selection {
        of_class: (!deep).then_some(class),
        ..given.selection()?
    };
    Ok((
        context.view.all_instances(class, context.namespace),
        selection,
    ))
}

pub(super) fn enumerate_instances(context: &Context<'_>, given: &Parameters<'_>) -> Result<Answer> {
    given.only(&[
        "ClassName",
        "LocalOnly",
        "DeepInheritance",
        "IncludeQualifiers",
        "IncludeClassOrigin",
        "PropertyList",
    ])?;
    let (found, selection) = enumeration(context, given, true)?;
    Ok(Answer::of(|w| {
        for instance in found {
            w.element("VALUE.NAMEDINSTANCE", &[], |w| {
                instance.path().write_name(w);
                instance.write(w, &selection);
            });
        }
    }))
}

pub(super) fn enumerate_instance_names(
    context: &Context<'_>,
    given: &Parameters<'_>,
) -> Result<Answer> {
    given.only(&["ClassName"])?;
    let class = given.class("ClassName")?;
    let found = context.view.all_instances(class, context.namespace);
    Ok(Answer::of(|w| {
        for instance in found {
            instance.path().write_name(w);
        }
    }))
}

pub(super) fn get_property(context: &Context<'_>, given: &Parameters<'_>) -> Result<Answer> {
    given.only(&["InstanceName", "PropertyName"])?;
    let instance = find(context, given.object("InstanceName")?)?;
    let name = given
        .text("PropertyName")?
        .ok_or_else(|| CimError::parameter("PropertyName is missing"))?;
    if instance.class().property(name).is_none() {
        let text = format!("{} has no property {}", instance.class().name, short(name));
        return Err(CimError::new(StatusCode::NoSuchProperty, text));
    }
    Ok(match instance.value(name) {
        Some(value) => Answer::of(|w| value.write(w)),
        None => Answer::default(),
    })
}
