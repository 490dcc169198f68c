//! GetInstance, EnumerateInstances, EnumerateInstanceNames, GetProperty, and CreateInstance and DeleteInstance of what
//! clients subscribe with (DSP0200 5.4.2).

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

/// Only what clients subscribe with can be made, in the namespace in which they begin.
pub(super) fn create_instance(context: &Context<'_>, given: &Parameters<'_>) -> Result<Answer> {
    given.only(&["NewInstance"])?;
    let instance = given.instance("NewInstance")?;
    find_class(&instance.class)?;
    in_interop(context)?;
    let system = &context.view.inventory().system.name;
    let path = context
        .indications
        .create(instance, system, context.model)?;
    Ok(Answer::of(|w| path.write_name(w)))
}

pub(super) fn delete_instance(context: &Context<'_>, given: &Parameters<'_>) -> Result<Answer> {
    given.only(&["InstanceName"])?;
    let path = given.object("InstanceName")?;
    find_class(&path.class)?;
    in_interop(context)?;
    context.indications.delete(path, context.model)?;
    Ok(Answer::default())
}

fn in_interop(context: &Context<'_>) -> Result<()> {
    if context.namespace == crate::view::INTEROP {
        return Ok(());
    }
    let text = "only filters, destinations and subscriptions are made and deleted by clients, in the namespace interop";
    Err(CimError::new(StatusCode::NotSupported, text))
}
