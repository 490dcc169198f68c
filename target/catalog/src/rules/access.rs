//! Rules about access lists.

use std::collections::HashSet;

use crate::acl::{Access, Acl, AclEntry, Subject};
use crate::command::{AclScope, Change};
use crate::document::{ACL_ENTRIES_MAX, Catalog};
use crate::error::CatalogError;
use crate::secret::ChapAccess;

pub(super) fn set(
    catalog: &mut Catalog,
    scope: AclScope,
    entry: AclEntry,
) -> Result<Vec<Change>, CatalogError> {
    let AclEntry { subject, access } = entry;
    let acl = find(catalog, &scope)?;
    let before = acl.entries.get(&subject);
    if before == Some(&access) {
        return Ok(Vec::new());
    }
    if before.is_none() && acl.entries.len() >= ACL_ENTRIES_MAX {
        let what = "entries in an access list";
        return Err(CatalogError::TooMany {
            what,
            limit: ACL_ENTRIES_MAX,
        });
    }
    if let Access::Allow { chap: Some(chap) } = &access {
        // The entry that is about to be replaced no longer counts.
        let others = chaps(catalog)
            .filter(|(at, whom, _)| *whom != &subject || *at != scope)
            .map(|(_, _, chap)| chap);
        if shares_secret(others.chain([chap])) {
            return Err(CatalogError::MutualSecretReused);
        }
    }
    let acl = find(catalog, &scope)?;
    if access == Access::Deny {
        acl.parameters.remove(&subject);
    }
    acl.entries.insert(subject.clone(), access);
    Ok(vec![Change::AccessChanged { scope, subject }])
}

pub(super) fn remove(
    catalog: &mut Catalog,
    scope: AclScope,
    subject: Subject,
) -> Result<Vec<Change>, CatalogError> {
    let acl = find(catalog, &scope)?;
    acl.parameters.remove(&subject);
    match acl.entries.remove(&subject) {
        Some(_) => Ok(vec![Change::AccessChanged { scope, subject }]),
        None => Err(CatalogError::NoSuchAccess { scope, subject }),
    }
}

/// True if some target's secret is also some initiator's.
///
/// RFC 7143 §9.2.1 forbids one secret for both directions. That holds across entries too: whoever may log
/// in by one entry could have the target answer the challenge that another entry's initiator is
/// to answer.
pub(crate) fn shares_secret<'a>(chaps: impl Iterator<Item = &'a ChapAccess>) -> bool {
    let mut initiators = HashSet::new();
    let mut targets = HashSet::new();
    for chap in chaps {
        initiators.insert(chap.initiator.secret.expose());
        targets.extend(chap.mutual.iter().map(|mutual| mutual.secret.expose()));
    }
    !initiators.is_disjoint(&targets)
}

/// Every CHAP access of every list.
pub(crate) fn chaps(catalog: &Catalog) -> impl Iterator<Item = (AclScope, &Subject, &ChapAccess)> {
    let targets = catalog
        .targets
        .values()
        .map(|target| (AclScope::Target(target.name.clone()), &target.acl));
    std::iter::once((AclScope::Discovery, &catalog.discovery))
        .chain(targets)
        .flat_map(|(scope, acl)| {
            acl.entries()
                .filter_map(move |(subject, access)| match access {
                    Access::Allow { chap: Some(chap) } => Some((scope.clone(), subject, chap)),
                    Access::Allow { chap: None } | Access::Deny => None,
                })
        })
}

fn find<'a>(catalog: &'a mut Catalog, scope: &AclScope) -> Result<&'a mut Acl, CatalogError> {
    match scope {
        AclScope::Discovery => Ok(&mut catalog.discovery),
        AclScope::Target(name) => catalog
            .targets
            .get_mut(name)
            .map(|target| &mut target.acl)
            .ok_or_else(|| CatalogError::NoSuchTarget {
                target: name.clone(),
            }),
    }
}
