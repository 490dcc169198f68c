//! The rules: what each command needs to be allowed, and what it does. Every check comes before the
//! first change, so a refused command leaves no trace.

mod access;
mod clones;
mod families;
mod groups;
mod mirrors;
mod parameters;
mod peers;
mod shared_identity;
mod targets;
mod volumes;

use crate::command::{Change, Command};
use crate::document::Catalog;
use crate::error::CatalogError;

pub(crate) use access::{chaps, shares_secret};
pub(crate) use groups::check_schedule;
pub(crate) use mirrors::{check_not_mirrored, consistent as mirrors_consistent};
pub(crate) use shared_identity::check as check_shared;
pub(crate) use volumes::{check_path, check_size, check_space_limits};

#[allow(
    clippy::too_many_lines,
    reason = "an arm for each command, and none is left out"
)]
pub(crate) fn apply(catalog: &mut Catalog, command: Command) -> Result<Vec<Change>, CatalogError> {
    match command {
        Command::CreateVolume(new) => volumes::create(catalog, new),
        Command::ResizeVolume { volume, size_bytes } => {
            volumes::resize(catalog, volume, size_bytes)
        }
        Command::SetSpaceLimits { volume, limits } => {
            volumes::set_space_limits(catalog, volume, limits)
        }
        Command::SetWriteCache { volume, enabled } => {
            volumes::set_write_cache(catalog, volume, enabled)
        }
        Command::SetAsymmetricAccess {
            volume,
            changes,
            by,
        } => volumes::set_access(catalog, volume, &changes, by),
        Command::DeleteVolume { volume } => volumes::delete(catalog, &volume),
        Command::JoinFamily { volume, place } => families::join(catalog, volume, place),
        Command::LeaveFamily { volume } => families::leave(catalog, volume),
        Command::CreateClone(new) => families::create_clone(catalog, new),
        Command::BeginHydration { volume, hydration } => clones::begin(catalog, volume, hydration),
        Command::NoteHydration { volume, progress } => clones::note(catalog, &volume, progress),
        Command::EndHydration { volume } => clones::end(catalog, volume),
        Command::PartClone { volume } => clones::part(catalog, volume),
        Command::DetachClone { volume } => clones::detach(catalog, volume),
        Command::PromoteClone {
            volume,
            intent,
            snapshots,
        } => clones::promote(catalog, volume, intent, snapshots),
        Command::CreateMirror(mirror) => mirrors::create(catalog, mirror),
        Command::SetMirror {
            mirror,
            source,
            rest,
        } => mirrors::set(catalog, mirror, source, rest),
        Command::SetMirrorMode { mirror, mode } => mirrors::set_mode(catalog, mirror, mode),
        Command::SetMirrorResyncLimit { mirror, limit } => {
            mirrors::set_resync_limit(catalog, mirror, limit)
        }
        Command::SetMirrorCompression {
            mirror,
            compression,
        } => mirrors::set_compression(catalog, mirror, compression),
        Command::SetMirrorFailover { mirror, failover } => {
            mirrors::set_failover(catalog, mirror, failover)
        }
        Command::DeleteMirror { mirror } => mirrors::delete(catalog, mirror),
        Command::Intend(intent) => clones::intend(catalog, intent),
        Command::Fulfil { intent } => Ok(clones::fulfil(catalog, intent)),
        Command::SetHeadSize { volume, size_bytes } => {
            families::set_size(catalog, volume, size_bytes)
        }
        Command::MapSnapshot {
            target,
            snapshot,
            place,
            size_bytes,
            number,
        } => families::map_snapshot(catalog, target, &snapshot, place, size_bytes, number),
        Command::CreateGroup { group, volumes } => groups::create(catalog, group, volumes),
        Command::DeleteGroup { group } => groups::delete(catalog, &group),
        Command::AddToGroup { group, volumes } => groups::add(catalog, &group, volumes),
        Command::RemoveFromGroup { group, volume } => groups::remove(catalog, &group, &volume),
        Command::SetSchedule { volume, schedule } => {
            groups::set_schedule(catalog, volume, schedule)
        }
        Command::ShareIdentity { volume, identity } => {
            shared_identity::share(catalog, volume, identity)
        }
        Command::UnshareIdentity { volume } => shared_identity::unshare(catalog, volume),
        Command::AddPeer(peer) => peers::add(catalog, peer),
        Command::SetPeerAddress { peer, address } => peers::set_address(catalog, &peer, address),
        Command::RemovePeer { peer } => peers::remove(catalog, &peer),
        Command::CreateTarget {
            target,
            portal_groups,
        } => targets::create(catalog, target, portal_groups),
        Command::SetPortalGroups {
            target,
            portal_groups,
        } => targets::set_portal_groups(catalog, target, portal_groups),
        Command::DeleteTarget { target, force } => targets::delete(catalog, &target, force),
        Command::MapLun {
            target,
            volume,
            number,
            read_only,
        } => targets::map(catalog, target, volume, number, read_only),
        Command::UnmapLun { target, number } => targets::unmap(catalog, target, number),
        Command::SetRedirect { target, redirect } => {
            targets::set_redirect(catalog, target, redirect)
        }
        Command::SetParameters {
            target,
            subject,
            set,
            reset,
        } => parameters::set(catalog, target, subject, set, &reset),
        Command::SetAccess { scope, entry } => access::set(catalog, scope, entry),
        Command::RemoveAccess { scope, subject } => access::remove(catalog, scope, subject),
    }
}

#[cfg(test)]
mod tests;
