//! The API's answers as text for people.

mod alua;
mod capabilities;
mod clone;
mod family_tree;
mod job;
mod mirror;
mod peer;
mod session;
mod snapshot;
mod status;
mod target;
mod volume;

pub(crate) use alua::asymmetric_access;
pub(crate) use capabilities::capabilities;
pub(crate) use clone::{clone, cloned, clones, hydrating, promoted};
pub(crate) use family_tree::family_tree;
pub(crate) use job::{job, job_ended, job_line, jobs};
pub(crate) use mirror::{job_line_begun, mirror, mirror_failover, mirror_line, mirrors};
pub(crate) use peer::{peer, peer_added, peer_identity, peers};
pub(crate) use session::sessions;
pub(crate) use snapshot::{
    diff, group, groups, members, receive_status, received, restored, schedules, snapshot,
    snapshots, taken,
};
pub(crate) use status::status;
pub(crate) use target::{access_list, parameters_set, portal_groups, target, targets};
pub(crate) use volume::{check_report, over_limit, space_limits, volume, volumes};

#[cfg(test)]
mod tests;
