//! What one association rules out for one of its ends. This is the table of states, by kind of end.

use super::element;
use crate::built::BuiltType;
use crate::facts::{Association, Element};
use crate::machine::required_operation;
use crate::reason::Reason;
use crate::values::{CopyState, LocalElementRole, ProgressStatus, SyncType};
use crate::verdict::Worst;

/// Everything that follows from one association of `subject`.
pub(super) fn relation(
    subject: &Element<'_>,
    association: &Association,
    built: &BuiltType,
    role: LocalElementRole,
    worst: &mut Worst,
) {
    let key = association.key;
    let is_source = key.system_element == subject.id;
    let is_target = key.synced_element == subject.id;
    if !is_source && !is_target {
        return;
    }
    between_operations(association, worst);
    let question = Asked {
        built,
        copy: built.sync_type(),
        role,
    };
    if is_source {
        of_source(association, &question, worst);
    }
    if is_target {
        of_target(subject, association, &question, worst);
    }
}

/// What is asked about the subject.
struct Asked<'a> {
    built: &'a BuiltType,
    copy: SyncType,
    role: LocalElementRole,
}

impl Asked<'_> {
    /// Whether it is only to be read: a point in time is taken from it.
    fn reads(&self) -> bool {
        self.role == LocalElementRole::SystemElement && self.copy != SyncType::Mirror
    }

    /// Whether it is to be the source of a mirror.
    fn mirrors(&self) -> bool {
        self.role == LocalElementRole::SystemElement && self.copy == SyncType::Mirror
    }
}

/// What holds up both ends, whatever is asked.
fn between_operations(association: &Association, worst: &mut Worst) {
    let key = association.key;
    worst.add_if(association.is_restoring(), Reason::BeingRestored(key));
    let next = required_operation(association.progress_status);
    worst.add_if(
        next.is_some() || association.copy_state == CopyState::Restored,
        Reason::Unfinished { key, next },
    );
    worst.add_if(
        matches!(
            association.progress_status,
            ProgressStatus::FailingOver | ProgressStatus::FailingBack
        ),
        Reason::ChangingOver(key),
    );
}

/// The subject is the source of it.
fn of_source(association: &Association, asked: &Asked<'_>, worst: &mut Worst) {
    let key = association.key;
    worst.add_if(
        !association.source_consistent && asked.role == LocalElementRole::SystemElement,
        Reason::HalfRestored(key),
    );
    match association.sync_type {
        SyncType::Mirror => match association.copy_state {
            CopyState::Failedover => worst.add(Reason::FailedOver(key)),
            // Its own data is known, so points in time can be taken from it.
            state if is_unknown(state) => worst.add_if(!asked.reads(), unknown(association)),
            _ => {
                worst.add_if(
                    asked.role == LocalElementRole::SyncedElement,
                    Reason::IsSource(key),
                );
                worst.add_if(
                    asked.mirrors() && association.is_copying(),
                    Reason::Copying(key),
                );
            }
        },
        // A clone that still reads from it would read what is written over it.
        SyncType::Clone => worst.add_if(
            asked.role == LocalElementRole::SyncedElement && association.is_copying(),
            Reason::IsSource(key),
        ),
        SyncType::Snapshot => (),
    }
}

/// The subject is the target of it.
fn of_target(
    subject: &Element<'_>,
    association: &Association,
    asked: &Asked<'_>,
    worst: &mut Worst,
) {
    let key = association.key;
    // That a snapshot can't be written or mirrored is known already.
    if asked.reads() || association.sync_type == SyncType::Snapshot {
        if let Some(reason) = unreadable_target(association) {
            worst.add(reason);
        }
        return;
    }
    match association.copy_state {
        CopyState::Broken => worst.add(Reason::Broken(key)),
        state if is_unknown(state) => worst.add(unknown(association)),
        _ => (),
    }
    let taken = Reason::IsTarget(key);
    if asked.mirrors() && association.sync_type == SyncType::Mirror {
        element::chain(subject, asked.built, taken, worst);
    } else {
        worst.add(taken);
    }
}

/// Why the target of an association can't be copied itself: it holds no image of any moment.
pub(crate) fn unreadable_target(association: &Association) -> Option<Reason> {
    let key = association.key;
    if association.sync_type == SyncType::Snapshot {
        return unreadable_snapshot(association);
    }
    if has_image(association) {
        return None;
    }
    Some(match association.copy_state {
        CopyState::Broken => Reason::Broken(key),
        state if is_unknown(state) => unknown(association),
        _ if association.is_copying() => Reason::Copying(key),
        copy_state => Reason::NoConsistentImage { key, copy_state },
    })
}

fn unreadable_snapshot(association: &Association) -> Option<Reason> {
    let key = association.key;
    Some(match association.copy_state {
        CopyState::Broken => Reason::Broken(key),
        state if is_unknown(state) => unknown(association),
        // The point in time is being replaced by another one.
        _ if association.is_copying() => Reason::Copying(key),
        CopyState::Synchronized | CopyState::Skewed | CopyState::Restored => return None,
        copy_state => Reason::SnapshotState { key, copy_state },
    })
}

/// Whether what the target holds is the source as it was at some moment.
const fn has_image(association: &Association) -> bool {
    if association.target_consistent {
        return true;
    }
    match association.copy_state {
        CopyState::Synchronized => !association.is_copying(),
        CopyState::Split | CopyState::Failedover => true,
        // A clone that was written after it was complete is a volume like any other.
        CopyState::Skewed => matches!(association.sync_type, SyncType::Clone),
        _ => false,
    }
}

/// States that say that the state isn't known. Mixed and Not Applicable are no states of an element.
const fn is_unknown(copy_state: CopyState) -> bool {
    matches!(
        copy_state,
        CopyState::Partitioned | CopyState::Invalid | CopyState::Mixed | CopyState::NotApplicable
    )
}

const fn unknown(association: &Association) -> Reason {
    Reason::StateUnknown {
        key: association.key,
        copy_state: association.copy_state,
    }
}
