//! Rules about the parameters of sessions.

use crate::acl::{Access, Subject};
use crate::command::{AclScope, Change};
use crate::document::Catalog;
use crate::error::CatalogError;
use crate::iscsi_name::IscsiName;
use crate::parameters::SessionParameters;

pub(super) fn set(
    catalog: &mut Catalog,
    name: IscsiName,
    subject: Option<Subject>,
    set: SessionParameters,
    reset: &[String],
) -> Result<Vec<Change>, CatalogError> {
    let target = catalog
        .targets
        .get_mut(&name)
        .ok_or_else(|| CatalogError::NoSuchTarget {
            target: name.clone(),
        })?;
    let before = match &subject {
        None => target.parameters,
        Some(subject) => match target.acl.entries.get(subject) {
            Some(Access::Allow { .. }) => target.acl.parameters(subject),
            Some(Access::Deny) => {
                return Err(CatalogError::DeniedHasNoParameters {
                    subject: subject.clone(),
                });
            }
            None => {
                return Err(CatalogError::NoSuchAccess {
                    scope: AclScope::Target(name),
                    subject: subject.clone(),
                });
            }
        },
    };
    let mut after = before;
    for name in reset {
        after.reset(name)?;
    }
    let after = set.over(after);
    after.check()?;
    if after == before {
        return Ok(Vec::new());
    }
    match &subject {
        None => target.parameters = after,
        Some(subject) if after.is_empty() => {
            target.acl.parameters.remove(subject);
        }
        Some(subject) => {
            target.acl.parameters.insert(subject.clone(), after);
        }
    }
    Ok(vec![Change::ParametersSet {
        target: name,
        subject,
    }])
}
