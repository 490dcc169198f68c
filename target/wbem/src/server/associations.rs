//! Associators, AssociatorNames, References, ReferenceNames (DSP0200 5.4.2).

use std::collections::BTreeSet;

use super::instances::find;
use super::parameters::Parameters;
use super::{Answer, Context};
use crate::error::Result;
use crate::instance::{Instance, Selection};
use crate::path::InstancePath;
use crate::schema::{Class, class, classes};

/// What is found and how it is told.
pub(super) struct Found {
    pub(super) instances: Vec<Instance>,
    pub(super) selection: Selection,
}

pub(super) fn associations(
    context: &Context<'_>,
    name: &str,
    given: &Parameters<'_>,
) -> Result<Answer> {
    let instances = !name.ends_with("Names");
    let mut known = vec!["ObjectName", "ResultClass", "Role"];
    if name.starts_with("Associator") {
        known.extend(["AssocClass", "ResultRole"]);
    }
    if instances {
        known.extend(["IncludeQualifiers", "IncludeClassOrigin", "PropertyList"]);
    }
    given.only(&known)?;
    let found = traverse(context, name, given, "ObjectName")?;
    let (host, namespace) = (context.host, context.namespace);
    Ok(Answer::of(|w| {
        for instance in &found.instances {
            if instances {
                w.element("VALUE.OBJECTWITHPATH", &[], |w| {
                    instance.path().write_full(w, host, namespace);
                    instance.write(w, &found.selection);
                });
            } else {
                w.element("OBJECTPATH", &[], |w| {
                    instance.path().write_full(w, host, namespace);
                });
            }
        }
    }))
}

/// What is tied to an instance, or ties it.
pub(super) fn traverse(
    context: &Context<'_>,
    name: &str,
    given: &Parameters<'_>,
    object: &str,
) -> Result<Found> {
    let selection = given.selection()?;
    let from = given.object(object)?;
    // What isn't there has no associations, and is told as such.
    let start = find(context, from)?.path().canonical(context.namespace);
    let role = given.text("Role")?;
    let result_class = given.optional_class("ResultClass")?;
    if !name.contains("Associator") {
        let ties = ties(context, result_class, &start, role);
        return Ok(Found {
            instances: ties.into_iter().map(|(tie, _)| tie).collect(),
            selection,
        });
    }
    let assoc_class = given.optional_class("AssocClass")?;
    let result_role = given.text("ResultRole")?;
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<InstancePath> = Vec::new();
    for (tie, own_end) in ties(context, assoc_class, &start, role) {
        for (end, path) in tie.references() {
            let is_result = end != own_end
                && result_role.is_none_or(|role| role.eq_ignore_ascii_case(end))
                && result_class.is_none_or(|wanted| {
                    class(&path.class).is_some_and(|class| class.is_a(wanted))
                });
            if is_result && seen.insert(path.canonical(context.namespace)) {
                wanted.push(path.clone());
            }
        }
    }
    Ok(Found {
        instances: look_up(context, &wanted),
        selection,
    })
}

/// The associations that an object is an end of, and as which end.
fn ties(
    context: &Context<'_>,
    wanted: Option<&'static Class>,
    start: &str,
    role: Option<&str>,
) -> Vec<(Instance, &'static str)> {
    let of_class = |class: &&'static Class| {
        class.association && class.concrete && wanted.is_none_or(|wanted| class.is_a(wanted))
    };
    let mut found = Vec::new();
    for class in classes().filter(of_class) {
        for tie in context.view.instances(class, context.namespace) {
            let end = tie.references().find(|(end, path)| {
                role.is_none_or(|role| role.eq_ignore_ascii_case(end))
                    && path.canonical(context.namespace) == start
            });
            if let Some((end, _)) = end {
                found.push((tie, end));
            }
        }
    }
    found
}

/// The instances of paths, class by class, so that each class is gone through once.
fn look_up(context: &Context<'_>, paths: &[InstancePath]) -> Vec<Instance> {
    let canonical = |path: &InstancePath| path.canonical(context.namespace);
    let wanted: BTreeSet<String> = paths.iter().map(canonical).collect();
    let mut places = BTreeSet::new();
    for path in paths {
        let namespace = path.namespace.as_deref().unwrap_or(context.namespace);
        places.insert((namespace, path.class.as_str()));
    }
    let all = places.into_iter().filter_map(|(namespace, name)| {
        let namespace = crate::view::namespace(namespace)?;
        Some(context.view.instances(class(name)?, namespace))
    });
    all.flatten()
        .filter(|instance| wanted.contains(&canonical(&instance.path())))
        .collect()
}
