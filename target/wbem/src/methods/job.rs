//! CIM_ConcreteJob: RequestStateChange, by which a job is told to end, and GetError, which says why it has failed.

use tidelock_capabilities::values::ReturnCode;

use super::{Arguments, Outcome, Returned};
use crate::errors::cim_error;
use crate::instance::Instance;
use crate::model::Refused;
use crate::server::Context;
use crate::value::Value;
use crate::view::job_id;

/// Terminate and Kill, of RequestedState.
const ENDS: [u16; 2] = [4, 5];

pub(super) fn call(
    context: &Context<'_>,
    instance: &Instance,
    method: &str,
    given: &Arguments,
) -> Outcome {
    if method == "GetError" {
        return Ok(error(instance));
    }
    let state = given.required_number("RequestedState")?;
    if !ENDS.contains(&state) {
        let reason = "a job can only be told to end: RequestedState 4 (Terminate)";
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    let id = job_id(&instance.path());
    if id.is_some_and(|id| context.model.cancel_job(id)) {
        return Ok(Returned::default());
    }
    let reason = "the job has ended, or can't be ended half-way";
    Err(Refused::new(ReturnCode::InUse, reason))
}

/// NULL if nothing is wrong.
fn error(instance: &Instance) -> Returned {
    let description = match instance.value("ErrorDescription") {
        Some(Value::Text(text)) => cim_error(text),
        _ => None,
    };
    Returned::default().with_some("Error", description.map(|it| Value::Instance(Box::new(it))))
}
