//! Methods of classes: the object, the parameters by their declaration, and what comes back (DSP0200 5.3).

use std::time::Duration;

use super::instances::find;
use super::parameters::find_class;
use super::{Context, Incoming};
use crate::error::{CimError, Result, StatusCode};
use crate::indications::Indications;
use crate::message::{Input, MethodCall, Object};
use crate::methods::{self, Arguments, Returned};
use crate::model::Model;
use crate::schema::{Method, Parameter};
use crate::value::{Type, Value};
use crate::write::Writer;
use crate::xml::short;

pub(super) fn invoke(
    name: &str,
    call: &MethodCall,
    incoming: &Incoming<'_>,
    server: (&Indications, &dyn Model),
    now: Duration,
) -> Result<String> {
    let (namespace, class_name) = match &call.object {
        Object::Class { namespace, name } => (namespace.as_str(), name.as_str()),
        Object::Instance(path) => {
            let namespace = path.namespace.as_deref().unwrap_or_default();
            (namespace, path.class.as_str())
        }
    };
    let context = Context::new(namespace, incoming, server, now)?;
    let class = find_class(class_name)?;
    let method = class.method(name).ok_or_else(|| {
        let text = format!("{} has no method {} here", class.name, short(name));
        CimError::new(StatusCode::MethodNotFound, text)
    })?;
    let Object::Instance(path) = &call.object else {
        let text = format!(
            "{} is a method of instances: give the path of one",
            method.name
        );
        return Err(CimError::parameter(text));
    };
    let instance = find(&context, path)?;
    let arguments = Arguments::new(read_all(method, &call.parameters)?);
    let returned = methods::call(&context, &instance, method, &arguments);
    Ok(write(method, &returned))
}

fn read_all(method: &Method, given: &[(String, Input)]) -> Result<Vec<(&'static str, Value)>> {
    let mut all = Vec::new();
    for (name, input) in given {
        let mut declared = method.parameters.iter();
        let parameter = declared.find(|it| it.name.eq_ignore_ascii_case(name));
        let parameter = parameter.ok_or_else(|| {
            let text = format!("{} has no parameter {} here", method.name, short(name));
            CimError::parameter(text)
        })?;
        if let Some(value) = read(parameter, input)?
            && parameter.input
        {
            all.push((parameter.name, value));
        }
    }
    Ok(all)
}

/// `None` for NULL.
fn read(parameter: &Parameter, input: &Input) -> Result<Option<Value>> {
    let is_reference = matches!(parameter.of, Type::Reference(_));
    let name = parameter.name;
    let value = match (input, parameter.array, is_reference) {
        (Input::Null, ..) => return Ok(None),
        (Input::Text(text), false, false) => parameter.of.read(name, text)?,
        (Input::Texts(texts), true, false) => Value::Array(
            texts
                .iter()
                .flatten()
                .map(|text| parameter.of.read(name, text))
                .collect::<Result<_>>()?,
        ),
        (Input::Path(path), false, true) => Value::Reference(path.clone()),
        (Input::Paths(paths), true, true) => {
            Value::Array(paths.iter().cloned().map(Value::Reference).collect())
        }
        // An empty array says nothing of what it is one of.
        (Input::Texts(texts), true, true) if texts.is_empty() => Value::Array(Vec::new()),
        _ => {
            let array = if parameter.array {
                "an array of "
            } else {
                "a "
            };
            let text = format!("{name} has to be {array}{}", parameter.of.name());
            return Err(CimError::parameter(text));
        }
    };
    Ok(Some(value))
}

fn write(method: &Method, returned: &Returned) -> String {
    let mut w = Writer::default();
    w.element("RETURNVALUE", &[("PARAMTYPE", "uint32")], |w| {
        w.leaf("VALUE", &[], &returned.code.to_string());
    });
    for parameter in method.parameters.iter().filter(|it| it.output) {
        let Some(value) = returned.value(parameter.name) else {
            continue;
        };
        let mut attributes = vec![("NAME", parameter.name), ("PARAMTYPE", parameter.of.name())];
        if matches!(parameter.of, Type::Embedded(_)) {
            attributes.push(("EmbeddedObject", "instance"));
        }
        w.element("PARAMVALUE", &attributes, |w| match value {
            Value::Array(all) if all.is_empty() && matches!(parameter.of, Type::Reference(_)) => {
                w.empty("VALUE.REFARRAY", &[]);
            }
            value => value.write(w),
        });
    }
    w.finish()
}
