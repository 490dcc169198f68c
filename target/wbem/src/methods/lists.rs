//! CreateListReplica and ModifyListSynchronization: several copies by one call, each made or changed as if it had been
//! asked for alone. What is done stays done if a later one is refused.

use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::values::{CopyState, Operation, ReturnCode, WaitMethodName};

use super::replicas::{Wanted, known, name_of};
use super::{Arguments, JOB_STARTED, Outcome, Returned, missing};
use crate::model::{Made, Modification, NewReplica, Refused, StorageAssociation};
use crate::server::Context;
use crate::value::Value;
use crate::view::{View, association_key};

/// How many are done by one call.
const LIST_MAX: usize = 64;

pub(super) fn create(context: &Context<'_>, given: &Arguments) -> Outcome {
    let wanted = Wanted::read(context, given, WaitMethodName::CreateListReplica)?;
    let all = replicas(context, given, &wanted)?;
    let mut done = Vec::new();
    let mut refused = Problems::new(all.len());
    for (at, replica) in all.iter().enumerate() {
        match context.model.create_element_replica(replica) {
            Ok(made) => done.push(made),
            Err(error) => {
                refused.add(format!("SourceElements[{at}]"), error);
                if wanted.settings.stops_after_an_error() {
                    break;
                }
            }
        }
    }
    // Whose the copies are isn't known of what there was before.
    let now = wanted.peer.as_ref().map(|_| context.view_now());
    let view = now.as_ref().unwrap_or(&context.view);
    let targets = done
        .iter()
        .map(|it| view.element_path(it.association.synced_element));
    let ties = done.iter().map(|it| view.association_path(it.association));
    let returned = Returned::default()
        .with("TargetElements", Value::references(targets))
        .with("Synchronizations", Value::references(ties));
    let early = [CopyState::Initialized, CopyState::Unsynchronized];
    let is_waited_for = !early.into_iter().any(|it| wanted.is_content_with(it));
    let jobs = done
        .iter()
        .filter_map(|it: &Made| it.job.filter(|_| is_waited_for));
    Ok(finish(
        context,
        "CreateListReplica",
        returned,
        refused,
        jobs.collect(),
    ))
}

/// What is to be made; nothing is made if one of them can't be read.
fn replicas(
    context: &Context<'_>,
    given: &Arguments,
    wanted: &Wanted,
) -> Result<Vec<NewReplica>, Refused> {
    let sources = given.paths("SourceElements").unwrap_or_default();
    if sources.is_empty() {
        return Err(missing("SourceElements"));
    }
    if sources.len() > LIST_MAX {
        return Err(too_many());
    }
    let targets = given.paths("TargetElements").unwrap_or_default();
    if !targets.is_empty() && targets.len() != sources.len() {
        return Err(invalid(format!(
            "there are {} SourceElements and {} TargetElements: give as many of both, or no targets",
            sources.len(),
            targets.len()
        )));
    }
    let names = given.texts("ElementNames");
    if names.len() > sources.len() {
        return Err(invalid(
            "there are more ElementNames than SourceElements".to_owned(),
        ));
    }
    let all = sources.iter().enumerate().map(|(at, source)| {
        let target = targets.get(at);
        Ok(NewReplica {
            source: known(context, source, "SourceElements")?,
            target: target
                .map(|it| known(context, it, "TargetElements"))
                .transpose()?,
            peer: wanted.peer.clone(),
            sync_type: wanted.sync_type,
            mode: wanted.mode,
            name: names
                .get(at)
                .map_or(Ok(None), |name| name_of(name, "ElementNames"))?,
            wait_for: wanted.wait_for,
            stops_hosts: wanted.settings.stops_hosts(),
        })
    });
    all.collect()
}

pub(super) fn modify(context: &Context<'_>, given: &Arguments) -> Outcome {
    let operation: Operation = given
        .mapped("Operation")?
        .ok_or_else(|| missing("Operation"))?;
    given.not_built(&["ReplicationSettingData"])?;
    let force = given.boolean("Force");
    let wait_for = given.mapped::<CopyState>("WaitForCopyState")?;
    let all = associations(context, given)?;
    let Some(first) = all.first() else {
        return Err(missing("Synchronization"));
    };
    let kind = StorageAssociation::replication_type;
    if all.iter().any(|it| kind(it) != kind(first)) {
        return Err(invalid(
            "all of a list have to have the same SyncType, Mode and locality: ask for each kind by itself"
                .to_owned(),
        ));
    }
    let of = first.replication_type();
    let class = context.view.capabilities();
    let offered = class.get_supported_list_operations(of.value(), None, None);
    if !offered.is_ok_and(|it| it.supported_operations.contains(&operation)) {
        let reason = format!("{operation} isn't possible for a list of {of}");
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    let method = WaitMethodName::ModifyListSynchronization;
    super::modify::check_wait(context, of, method, operation, wait_for)?;
    // Nothing is changed if one of them can't be.
    let keys: Vec<AssociationKey> = all.iter().map(|it| it.key).collect();
    for (at, key) in keys.iter().enumerate() {
        let admitted = context.model.admit_operation(*key, operation, force);
        admitted.map_err(|error| {
            let reason = format!(
                "Synchronization[{at}]: {}; nothing was changed",
                error.reason
            );
            Refused::new(error.return_code, reason)
        })?;
    }
    let mut jobs = Vec::new();
    let mut refused = Problems::new(keys.len());
    for (at, key) in keys.into_iter().enumerate() {
        match context.model.modify(&Modification {
            association: key,
            operation,
            force,
            wait_for,
        }) {
            Ok(job) => jobs.extend(job),
            Err(error) => {
                refused.add(format!("Synchronization[{at}]"), error);
                break;
            }
        }
    }
    let returned = Returned::default();
    Ok(finish(
        context,
        "ModifyListSynchronization",
        returned,
        refused,
        jobs,
    ))
}

fn associations<'c>(
    context: &'c Context<'_>,
    given: &Arguments,
) -> Result<Vec<&'c StorageAssociation>, Refused> {
    let paths = given.paths("Synchronization").unwrap_or_default();
    if paths.len() > LIST_MAX {
        return Err(too_many());
    }
    let mut found: Vec<&StorageAssociation> = Vec::new();
    for (at, path) in paths.into_iter().enumerate() {
        let key = association_key(path);
        let mut all = context.view.inventory().associations.iter();
        let association = key.and_then(|key| all.find(|it| it.key == key));
        let association = association.ok_or_else(|| {
            invalid(format!(
                "Synchronization[{at}] is no StorageSynchronized that is known here: list the associations again"
            ))
        })?;
        if found.iter().any(|it| it.key == association.key) {
            return Err(invalid(format!(
                "Synchronization[{at}] is in the list twice"
            )));
        }
        found.push(association);
    }
    Ok(found)
}

/// What was refused of a list.
struct Problems {
    of: usize,
    first: Option<Refused>,
    count: usize,
}

impl Problems {
    const fn new(of: usize) -> Self {
        Self {
            of,
            first: None,
            count: 0,
        }
    }

    fn add(&mut self, what: String, error: Refused) {
        self.count += 1;
        self.first.get_or_insert_with(|| {
            Refused::new(error.return_code, format!("{what}: {}", error.reason))
        });
    }
}

/// The return code of the first that was refused, with its reason; or one job for all that goes on.
fn finish(
    context: &Context<'_>,
    method: &str,
    returned: Returned,
    problems: Problems,
    jobs: Vec<u64>,
) -> Returned {
    let (code, job) = match (problems.first, jobs.as_slice()) {
        (Some(first), _) => {
            let reason = format!(
                "{} ({} of {} were refused)",
                first.reason, problems.count, problems.of
            );
            let refused = Refused::new(first.return_code, reason);
            let told = context.refused(method, &refused);
            (u32::from(first.return_code.value()), Some(told))
        }
        (None, []) => (0, None),
        (None, [one]) => (JOB_STARTED, Some(*one)),
        (None, several) => (JOB_STARTED, Some(context.model.all_of(method, several))),
    };
    Returned { code, ..returned }.with_some("Job", job.map(View::job_path))
}

fn too_many() -> Refused {
    invalid(format!(
        "more than {LIST_MAX} at once: ask for them in parts"
    ))
}

fn invalid(reason: String) -> Refused {
    Refused::new(ReturnCode::InvalidParameter, reason)
}
