//! The server: a request in, an answer out. Which operation it is, and how answers are put together. It keeps
//! nothing but the enumerations that are open, and what clients have subscribed to.

mod associations;
mod classes;
mod instances;
mod invoke;
mod parameters;
mod pull;

use std::time::Duration;

use crate::error::{CimError, Result, StatusCode};
use crate::indications::{Delivery, Indications};
use crate::message::{Call, Intrinsic, NotValid, Request, parse};
use crate::model::{Model, Refused};
use crate::view::{View, namespace};
use crate::write::Writer;
use crate::xml::{Limits, short};
use parameters::Parameters;
use pull::Enumerations;

/// What came over HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming<'a> {
    /// The header CIMOperation.
    pub cim_operation: Option<&'a str>,
    /// The header CIMMethod.
    pub cim_method: Option<&'a str>,
    /// Who asks, by the name that was proved.
    pub user: &'a str,
    /// What the client calls this host.
    pub host: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The HTTP status.
    pub status: u16,
    /// The header CIMError, if there is no answer in CIM-XML.
    pub cim_error: Option<&'static str>,
    /// The body: CIM-XML with status 200, and else plain text.
    pub body: String,
}

/// The server.
#[derive(Debug, Default)]
pub struct Server {
    limits: Limits,
    enumerations: Enumerations,
    indications: Indications,
}

/// What an operation is done with.
pub(crate) struct Context<'a> {
    pub(crate) model: &'a dyn Model,
    pub(crate) indications: &'a Indications,
    pub(crate) view: View<'a>,
    pub(crate) namespace: &'static str,
    pub(crate) host: &'a str,
    pub(crate) user: &'a str,
    pub(crate) now: Duration,
}

impl<'a> Context<'a> {
    /// What there is at this moment, after something was made.
    pub(crate) fn view_now(&self) -> View<'a> {
        View::new(self.model, self.indications)
    }
}

/// What an operation writes: what comes into IRETURNVALUE, and out parameters behind it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Absent for what returns nothing.
    pub(crate) value: Option<String>,
    pub(crate) parameters: String,
}

impl Server {
    /// A server with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            enumerations: Enumerations::default(),
            indications: Indications::default(),
        }
    }

    /// Answers a request; `now` is the time since any fixed moment.
    pub fn answer(&self, incoming: &Incoming<'_>, model: &dyn Model, now: Duration) -> Outgoing {
        match self.try_answer(incoming, model, now) {
            Ok(body) => Outgoing {
                status: 200,
                cim_error: None,
                body,
            },
            Err(error) => Outgoing {
                status: error.status(),
                cim_error: Some(error.name()),
                body: format!("{error}\n"),
            },
        }
    }

    /// Takes up the subscriptions that were kept.
    ///
    /// # Errors
    /// They can't be read.
    pub fn restore(&self, kept: &str) -> std::result::Result<(), CimError> {
        self.indications.restore(kept)
    }

    /// Whether somebody wants to be told what happens.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.indications.has_subscribers()
    }

    /// What has happened since the last look, for those who want to be told; `at` is this moment (RFC 3339, UTC).
    pub fn observe(&self, model: &dyn Model, at: &str) -> Vec<Delivery> {
        self.indications.observe(model, at)
    }

    fn try_answer(
        &self,
        incoming: &Incoming<'_>,
        model: &dyn Model,
        now: Duration,
    ) -> std::result::Result<String, NotValid> {
        let operation = incoming.cim_operation.unwrap_or_default();
        if !operation.eq_ignore_ascii_case("MethodCall") {
            let text = "the header CIMOperation has to be there and be MethodCall";
            return Err(NotValid::HeaderMismatch(text.to_owned()));
        }
        let request = parse(incoming.body, &self.limits)?;
        if let Some(method) = incoming.cim_method
            && !method.eq_ignore_ascii_case(&request.name)
        {
            let text = format!(
                "the header CIMMethod is {}, and the message calls {}",
                short(method),
                short(&request.name)
            );
            return Err(NotValid::HeaderMismatch(text));
        }
        let (response, inside) = match &request.call {
            Call::Intrinsic(call) => {
                let answer = call
                    .clone()
                    .and_then(|call| self.intrinsic(&request.name, &call, incoming, model, now));
                ("IMETHODRESPONSE", answer.map(Answer::finish))
            }
            Call::Method(call) => {
                let answer = call.clone().and_then(|call| {
                    let server = (&self.indications, model);
                    invoke::invoke(&request.name, &call, incoming, server, now)
                });
                ("METHODRESPONSE", answer)
            }
        };
        Ok(respond(&request, response, inside))
    }

    fn intrinsic(
        &self,
        name: &str,
        call: &Intrinsic,
        incoming: &Incoming<'_>,
        model: &dyn Model,
        now: Duration,
    ) -> Result<Answer> {
        let server = (&self.indications, model);
        let context = Context::new(&call.namespace, incoming, server, now)?;
        let given = Parameters::new(&call.parameters);
        match name {
            "GetClass" => classes::get_class(&given),
            "EnumerateClasses" => classes::enumerate_classes(&given),
            "EnumerateClassNames" => classes::enumerate_class_names(&given),
            "GetInstance" => instances::get_instance(&context, &given),
            "EnumerateInstances" => instances::enumerate_instances(&context, &given),
            "EnumerateInstanceNames" => instances::enumerate_instance_names(&context, &given),
            "GetProperty" => instances::get_property(&context, &given),
            "Associators" | "AssociatorNames" | "References" | "ReferenceNames" => {
                associations::associations(&context, name, &given)
            }
            "OpenEnumerateInstances"
            | "OpenEnumerateInstancePaths"
            | "OpenAssociatorInstances"
            | "OpenAssociatorInstancePaths"
            | "OpenReferenceInstances"
            | "OpenReferenceInstancePaths" => self.enumerations.open(&context, name, &given),
            "PullInstancesWithPath" | "PullInstancePaths" => {
                self.enumerations.pull(&context, name, &given)
            }
            "CloseEnumeration" => self.enumerations.close(&context, &given),
            "CreateInstance" => instances::create_instance(&context, &given),
            "DeleteInstance" => instances::delete_instance(&context, &given),
            "ExecQuery" | "OpenQueryInstances" => Err(CimError::new(
                StatusCode::NotSupported,
                "queries aren't answered: use EnumerateInstances or Associators",
            )),
            other => Err(CimError::new(
                StatusCode::NotSupported,
                format!("{} isn't an operation that is answered here", short(other)),
            )),
        }
    }
}

impl<'a> Context<'a> {
    /// Tells why a method does nothing; the job that has the words.
    pub(crate) fn refused(&self, method: &str, refused: &Refused) -> u64 {
        self.indications.refused(method, refused);
        self.model.note(method, refused)
    }

    pub(crate) fn new(
        called: &str,
        incoming: &Incoming<'a>,
        (indications, model): (&'a Indications, &'a dyn Model),
        now: Duration,
    ) -> Result<Self> {
        let namespace = namespace(called).ok_or_else(|| {
            let text = format!(
                "there is no namespace {}: use {} or {}",
                short(called),
                crate::view::NAMESPACE,
                crate::view::INTEROP
            );
            CimError::new(StatusCode::InvalidNamespace, text)
        })?;
        Ok(Self {
            view: View::new(model, indications),
            model,
            indications,
            namespace,
            host: incoming.host,
            user: incoming.user,
            now,
        })
    }
}

impl Answer {
    /// With a value that `inside` writes.
    pub(crate) fn of(inside: impl FnOnce(&mut Writer)) -> Self {
        let mut w = Writer::default();
        inside(&mut w);
        Self {
            value: Some(w.finish()),
            parameters: String::new(),
        }
    }

    fn finish(self) -> String {
        let mut w = Writer::default();
        if let Some(value) = &self.value {
            w.element("IRETURNVALUE", &[], |w| w.raw(value));
        }
        w.raw(&self.parameters);
        w.finish()
    }
}

fn respond(request: &Request, response: &str, inside: Result<String>) -> String {
    let mut w = Writer::default();
    w.raw("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    w.element(
        "CIM",
        &[("CIMVERSION", "2.0"), ("DTDVERSION", "2.0")],
        |w| {
            let attributes = [("ID", request.id.as_str()), ("PROTOCOLVERSION", "1.0")];
            w.element("MESSAGE", &attributes, |w| {
                w.element("SIMPLERSP", &[], |w| {
                    w.element(response, &[("NAME", &request.name)], |w| match inside {
                        Ok(inside) => w.raw(&inside),
                        Err(error) => {
                            let code = error.code.value().to_string();
                            let said = error.description.as_str();
                            w.empty("ERROR", &[("CODE", &code), ("DESCRIPTION", said)]);
                        }
                    });
                });
            });
        },
    );
    w.raw("\n");
    w.finish()
}
