//! Enumerations that are opened, pulled and closed (DSP0200 5.4.2.24). What is open is bounded in number, size
//! and time, and is pulled only by whoever has opened it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::associations::traverse;
use super::instances::enumeration;
use super::parameters::Parameters;
use super::{Answer, Context};
use crate::error::{CimError, Result, StatusCode};
use crate::instance::{Instance, Selection};
use crate::write::Writer;

/// Enumerations that are open at once.
const OPEN_MAX: usize = 32;
/// Objects in all of them.
const OBJECTS_MAX: usize = 200_000;
/// Objects in one answer.
const OBJECTS_PER_ANSWER_MAX: u64 = 10_000;
/// Seconds between two operations on one; the standard wants some default.
const TIMEOUT_SECONDS: u64 = 60;
/// Seconds that may be asked for.
const TIMEOUT_SECONDS_MAX: u64 = 600;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Enumerations {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    all: BTreeMap<u64, Enumeration>,
}

#[derive(Debug)]
struct Enumeration {
    user: String,
    namespace: &'static str,
    paths_only: bool,
    selection: Selection,
    objects: VecDeque<Instance>,
    timeout: Duration,
    deadline: Duration,
}

impl Enumerations {
    pub(super) fn open(
        &self,
        context: &Context<'_>,
        name: &str,
        given: &Parameters<'_>,
    ) -> Result<Answer> {
        let paths_only = name.ends_with("Paths");
        given.only(&known(name, paths_only))?;
        common(given)?;
        let timeout = timeout(given)?;
        let (objects, selection) = if name.starts_with("OpenEnumerate") {
            enumeration(context, given, true)?
        } else {
            let found = traverse(context, name, given, "InstanceName")?;
            (found.instances, found.selection)
        };
        let enumeration = Enumeration {
            user: context.user.to_owned(),
            namespace: context.namespace,
            paths_only,
            selection,
            objects: objects.into(),
            timeout,
            deadline: context.now.saturating_add(timeout),
        };
        // Nothing is sent along unless it is asked for.
        let count = given.number("MaxObjectCount")?.unwrap_or(0);
        self.go_on(context, None, enumeration, count)
    }

    pub(super) fn pull(
        &self,
        context: &Context<'_>,
        name: &str,
        given: &Parameters<'_>,
    ) -> Result<Answer> {
        given.only(&["EnumerationContext", "MaxObjectCount"])?;
        let count = given.number("MaxObjectCount")?.ok_or_else(|| {
            CimError::parameter("MaxObjectCount is missing: say how many to send")
        })?;
        let (id, mut enumeration) = self.take(context, given)?;
        if enumeration.paths_only != (name == "PullInstancePaths") {
            self.lock().all.insert(id, enumeration);
            let text = format!("{name} isn't the operation for what was opened");
            return Err(CimError::new(StatusCode::InvalidEnumerationContext, text));
        }
        enumeration.deadline = context.now.saturating_add(enumeration.timeout);
        self.go_on(context, Some(id), enumeration, count)
    }

    pub(super) fn close(&self, context: &Context<'_>, given: &Parameters<'_>) -> Result<Answer> {
        given.only(&["EnumerationContext"])?;
        self.take(context, given)?;
        Ok(Answer::default())
    }

    /// Sends so many objects, and keeps the rest.
    fn go_on(
        &self,
        context: &Context<'_>,
        id: Option<u64>,
        mut enumeration: Enumeration,
        count: u64,
    ) -> Result<Answer> {
        let count = usize::try_from(count.min(OBJECTS_PER_ANSWER_MAX)).unwrap_or(0);
        let count = count.min(enumeration.objects.len());
        let now: Vec<Instance> = enumeration.objects.drain(..count).collect();
        let value = written(context, &enumeration, &now);
        let kept = if enumeration.objects.is_empty() {
            None
        } else {
            Some(self.keep(context.now, id, enumeration)?)
        };
        let mut w = Writer::default();
        out(
            &mut w,
            "EndOfSequence",
            "boolean",
            if kept.is_none() { "TRUE" } else { "FALSE" },
        );
        let handle = kept.map(|id| id.to_string()).unwrap_or_default();
        out(&mut w, "EnumerationContext", "string", &handle);
        Ok(Answer {
            value: Some(value),
            parameters: w.finish(),
        })
    }

    fn keep(&self, now: Duration, id: Option<u64>, enumeration: Enumeration) -> Result<u64> {
        let mut open = self.lock();
        open.forget_expired(now);
        let objects: usize = open.all.values().map(|it| it.objects.len()).sum();
        if open.all.len() >= OPEN_MAX || objects + enumeration.objects.len() > OBJECTS_MAX {
            let text = "too many enumerations are open: close some, or use EnumerateInstances";
            return Err(CimError::new(StatusCode::ServerLimitsExceeded, text));
        }
        let id = id.unwrap_or_else(|| {
            open.last += 1;
            open.last
        });
        open.all.insert(id, enumeration);
        Ok(id)
    }

    /// The one that a context names, which nobody else has meanwhile.
    fn take(&self, context: &Context<'_>, given: &Parameters<'_>) -> Result<(u64, Enumeration)> {
        let text = given.text("EnumerationContext")?.unwrap_or_default();
        let mut open = self.lock();
        open.forget_expired(context.now);
        let id = text.parse().ok().filter(|id| {
            let found = open.all.get(id);
            found.is_some_and(|it| it.user == context.user && it.namespace == context.namespace)
        });
        let found = id.and_then(|id| open.all.remove(&id).map(|it| (id, it)));
        found.ok_or_else(|| {
            let text = "there is no such enumeration: it has ended, or was open for too long";
            CimError::new(StatusCode::InvalidEnumerationContext, text)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn forget_expired(&mut self, now: Duration) {
        self.all.retain(|_, enumeration| enumeration.deadline > now);
    }
}

fn known(name: &str, paths_only: bool) -> Vec<&'static str> {
    let mut known = vec![
        "FilterQueryLanguage",
        "FilterQuery",
        "OperationTimeout",
        "ContinueOnError",
        "MaxObjectCount",
    ];
    if name.starts_with("OpenEnumerate") {
        known.push("ClassName");
        if !paths_only {
            known.push("DeepInheritance");
        }
    } else {
        known.extend(["InstanceName", "ResultClass", "Role"]);
        if name.starts_with("OpenAssociator") {
            known.extend(["AssocClass", "ResultRole"]);
        }
    }
    if !paths_only {
        known.extend(["IncludeClassOrigin", "PropertyList"]);
    }
    known
}

/// What is asked for and not done.
fn common(given: &Parameters<'_>) -> Result<()> {
    let filter = given
        .text("FilterQueryLanguage")?
        .or(given.text("FilterQuery")?);
    if filter.is_some_and(|it| !it.is_empty()) {
        let text = "filters aren't understood: leave FilterQueryLanguage and FilterQuery out";
        return Err(CimError::new(StatusCode::QueryLanguageNotSupported, text));
    }
    if given.boolean("ContinueOnError", false)? {
        let text = "an enumeration ends at an error: leave ContinueOnError out";
        return Err(CimError::new(
            StatusCode::ContinuationOnErrorNotSupported,
            text,
        ));
    }
    Ok(())
}

fn timeout(given: &Parameters<'_>) -> Result<Duration> {
    match given.number("OperationTimeout")? {
        None => Ok(Duration::from_secs(TIMEOUT_SECONDS)),
        Some(seconds) if (1..=TIMEOUT_SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs(seconds))
        }
        Some(_) => {
            let text = format!("OperationTimeout may be 1 to {TIMEOUT_SECONDS_MAX} seconds");
            Err(CimError::new(StatusCode::InvalidOperationTimeout, text))
        }
    }
}

fn written(context: &Context<'_>, enumeration: &Enumeration, objects: &[Instance]) -> String {
    let mut w = Writer::default();
    for instance in objects {
        let path = instance.path();
        if enumeration.paths_only {
            path.write_full(&mut w, context.host, context.namespace);
            continue;
        }
        w.element("VALUE.INSTANCEWITHPATH", &[], |w| {
            path.write_full(w, context.host, context.namespace);
            instance.write(w, &enumeration.selection);
        });
    }
    w.finish()
}

fn out(w: &mut Writer, name: &str, of: &str, value: &str) {
    w.element("PARAMVALUE", &[("NAME", name), ("PARAMTYPE", of)], |w| {
        w.leaf("VALUE", &[], value);
    });
}
