//! Targets and access lists as text.

use tidelock_admin::v1::{AccessEntry, AccessKind, AccessList, SessionParameters, Target};

use crate::parameters::words;
use crate::render::{properties, table, yes_no};

pub(crate) fn targets(targets: &[Target]) -> String {
    if targets.is_empty() {
        return "no targets; make one with `tidelock target create IQN`\n".into();
    }
    let row = |target: &Target| {
        [
            target.name.clone(),
            target.luns.len().to_string(),
            target.acl.len().to_string(),
            target.sessions.to_string(),
        ]
    };
    table(
        ["TARGET", "LUNS", "ACL ENTRIES", "SESSIONS"],
        &[1, 2, 3],
        targets.iter().map(row),
    )
}

/// Tags with commas between them, or `all`.
pub(crate) fn portal_groups(target: &Target) -> String {
    target
        .portal_groups
        .as_ref()
        .map_or_else(|| "all".to_owned(), |tags| join(tags))
}

fn join(tags: &[u16]) -> String {
    let tags: Vec<_> = tags.iter().map(u16::to_string).collect();
    tags.join(",")
}

pub(crate) fn target(target: &Target) -> String {
    let head = properties([
        ("name", target.name.clone()),
        ("portal groups", portal_groups(target)),
        ("relative port", target.relative_port.to_string()),
        ("sessions", target.sessions.to_string()),
        ("redirect", redirect(target)),
        ("parameters", set_words(&target.parameters)),
    ]);
    let luns = if target.luns.is_empty() {
        format!(
            "no LUNs; map one with `tidelock lun map {} VOLUME`\n",
            target.name
        )
    } else {
        let row = |lun: &tidelock_admin::v1::Lun| {
            [
                lun.lun.to_string(),
                lun.volume.clone(),
                yes_no(lun.read_only),
            ]
        };
        table(
            ["LUN", "VOLUME", "READ ONLY"],
            &[0],
            target.luns.iter().map(row),
        )
    };
    format!("{head}\n{luns}\n{}", entries(&target.name, &target.acl))
}

/// What is set, as it would be written on the command line.
fn set_words(parameters: &SessionParameters) -> String {
    match words(parameters).as_slice() {
        [] => "as the daemon's settings say".into(),
        words => words.join(" "),
    }
}

pub(crate) fn parameters_set(whose: &str, parameters: &SessionParameters) -> String {
    match words(parameters).as_slice() {
        [] => format!("nothing is set for the sessions of {whose} any more\n"),
        words => format!(
            "from the next login on, for sessions of {whose}: {}\n",
            words.join(" ")
        ),
    }
}

fn redirect(target: &Target) -> String {
    match &target.redirect {
        None => "none".into(),
        Some(to) if to.permanent => format!("to {}, for good", to.address),
        Some(to) => format!("to {}, for now", to.address),
    }
}

pub(crate) fn access_list(list: &AccessList) -> String {
    entries(&list.scope, &list.entries)
}

fn entries(scope: &str, entries: &[AccessEntry]) -> String {
    if entries.is_empty() {
        return if scope == "discovery" {
            "no access list: every initiator may discover, and sees the targets that let it in\n"
                .into()
        } else {
            format!("nobody may log in; allow with `tidelock acl allow {scope} INITIATOR`\n")
        };
    }
    let row = |entry: &AccessEntry| {
        let access = match entry.access {
            AccessKind::Allow => "allow",
            AccessKind::Deny => "deny",
        };
        let (user, mutual) = match &entry.chap {
            Some(chap) => (
                chap.user.clone(),
                chap.mutual_user.clone().unwrap_or_else(|| "-".into()),
            ),
            None => ("-".into(), "-".into()),
        };
        let from = entry.network.clone().unwrap_or_else(|| "anywhere".into());
        [entry.initiator.clone(), from, access.into(), user, mutual]
    };
    let list = table(
        ["INITIATOR", "FROM", "ACCESS", "CHAP USER", "MUTUAL USER"],
        &[],
        entries.iter().map(row),
    );
    let with_parameters = entries.iter().filter(|entry| !entry.parameters.is_empty());
    let set: String = with_parameters
        .map(|entry| {
            let network = entry.network.as_deref();
            let from = network.map_or_else(String::new, |network| format!(" from {network}"));
            format!(
                "{}{from}: {}\n",
                entry.initiator,
                set_words(&entry.parameters)
            )
        })
        .collect();
    if set.is_empty() {
        list
    } else {
        format!("{list}\nset for their sessions:\n{set}")
    }
}
