//! Who may log in to what, and what a discovery shows. Reads the catalog; changes nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tidelock_catalog::{ChapAccess, IscsiName, PortalGroupTag, SessionParameters, Verdict};
use tidelock_iscsi::auth::{ChapPolicy, Secret};
use tidelock_iscsi::login::{Access, LoginIdentity, LoginStatus, Redirect, SessionType};
use tidelock_iscsi::session::{SendTargets, TargetRecord};

use super::{Registry, Target, View};
use crate::directory::SessionLimits;
use crate::portal::Portal;

/// By which way an initiator has come.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its address.
    pub from: IpAddr,
    /// The address of ours that it has reached.
    pub at: Option<SocketAddr>,
    /// The portal group that this is in.
    pub group: PortalGroupTag,
}

/// The terms on which an initiator is let in.
#[derive(Debug)]
pub struct Granted {
    /// How it must prove itself, and where it is sent.
    pub access: Access,
    /// What it has come for; `None` in a discovery session.
    pub target: Option<Arc<Target>>,
    /// What the target and the access list's entry set for its session.
    pub parameters: SessionParameters,
    /// How many sessions there may be.
    pub limits: SessionLimits,
}

impl Granted {
    fn discovery(chap: Option<&ChapAccess>) -> Result<Self, LoginStatus> {
        Ok(Self {
            access: access(chap, 0)?,
            target: None,
            parameters: SessionParameters::default(),
            limits: SessionLimits::default(),
        })
    }
}

impl Registry {
    /// Whether an initiator may go on with its login, and how it must prove who it is.
    ///
    /// # Errors
    /// The login status to refuse it with.
    pub fn authorize(
        &self,
        identity: &LoginIdentity,
        arrival: Arrival,
    ) -> Result<Granted, LoginStatus> {
        let view = self.view();
        if !view.loaded {
            // Retryable: initiators come back (RFC 7143 §11.13.5). Target Not Found would make some
            // of them give up for good.
            return Err(LoginStatus::SERVICE_UNAVAILABLE);
        }
        let Arrival { from, at, group } = arrival;
        let initiator = IscsiName::new(&identity.initiator_name).map_err(|error| {
            // The status on the wire doesn't say what is wrong with it: the operator has to be told.
            let name = identity.initiator_name.as_str();
            tracing::info!(name, %error, "refused: this is no iSCSI name");
            LoginStatus::INITIATOR_ERROR
        })?;
        if identity.session_type == SessionType::Discovery {
            return match view.catalog.discovery().verdict(&initiator, from) {
                Verdict::Allowed { chap, .. } => Granted::discovery(chap),
                Verdict::NotListed if view.catalog.discovery().is_empty() => {
                    Granted::discovery(None)
                }
                Verdict::Denied | Verdict::NotListed => Err(LoginStatus::AUTHORIZATION_FAILURE),
            };
        }
        let name = identity
            .target_name
            .as_deref()
            .ok_or(LoginStatus::MISSING_PARAMETER)?;
        let name = IscsiName::new(name).map_err(|_| LoginStatus::NOT_FOUND)?;
        let record = view
            .catalog
            .target(&name)
            .map_err(|_| LoginStatus::NOT_FOUND)?;
        if record.relative_port_identifier(group).is_none() {
            return Err(LoginStatus::NOT_FOUND);
        }
        let target = view.targets.get(&name).ok_or(LoginStatus::NOT_FOUND)?;
        match record.acl.verdict(&initiator, from) {
            Verdict::Allowed { chap, parameters } => {
                let access = Access {
                    redirect: redirect(record, identity, at),
                    ..access(chap, group.get())?
                };
                let limits = SessionLimits {
                    of_target: record.parameters.max_sessions,
                    of_initiator: parameters.max_sessions,
                };
                Ok(Granted {
                    access,
                    target: Some(Arc::clone(target)),
                    parameters: parameters.over(record.parameters),
                    limits,
                })
            }
            Verdict::Denied | Verdict::NotListed => Err(LoginStatus::AUTHORIZATION_FAILURE),
        }
    }

    /// What SendTargets shows to an initiator (RFC 7143 Appendix C): only targets that it may log in
    /// to from where it is, at addresses that reach the portal it came through.
    #[must_use]
    pub fn send_targets(
        &self,
        initiator: &str,
        from: IpAddr,
        current: Option<&str>,
        request: &SendTargets,
        local: Option<SocketAddr>,
    ) -> Vec<TargetRecord> {
        let view = self.view();
        let Ok(initiator) = IscsiName::new(initiator) else {
            return Vec::new();
        };
        let wanted = match request {
            SendTargets::All => None,
            SendTargets::Named(name) => Some(name.as_str()),
            SendTargets::Current => match current {
                Some(name) => Some(name),
                None => return Vec::new(),
            },
        };
        let wanted = match wanted.map(IscsiName::new) {
            None => None,
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return Vec::new(),
        };
        let portals = portals(&view, local);
        let shown = view.catalog.targets().filter(|target| {
            wanted.as_ref().is_none_or(|wanted| *wanted == target.name)
                && matches!(
                    target.acl.verdict(&initiator, from),
                    Verdict::Allowed { .. }
                )
        });
        shown
            .map(|target| TargetRecord {
                name: target.name.to_string(),
                addresses: portals
                    .iter()
                    .filter(|portal| target.relative_port_identifier(portal.group).is_some())
                    .map(|portal| (portal.address.to_string(), portal.group.get()))
                    .collect(),
            })
            .collect()
    }
}

fn access(chap: Option<&ChapAccess>, tag: u16) -> Result<Access, LoginStatus> {
    let chap = match chap {
        None => None,
        Some(chap) => Some(policy(chap).ok_or(LoginStatus::TARGET_ERROR)?),
    };
    Ok(Access {
        chap,
        target_portal_group_tag: tag,
        target_alias: None,
        local: None,
        redirect: None,
    })
}

/// Where an initiator is sent that logs in to a target: not if it has come to that very place, and not
/// with a connection that joins a session which is here.
fn redirect(
    target: &tidelock_catalog::Target,
    identity: &LoginIdentity,
    local: Option<SocketAddr>,
) -> Option<Redirect> {
    let redirect = target.redirect.as_ref()?;
    let here = local.map(|local| SocketAddr::new(local.ip().to_canonical(), local.port()));
    let arrived = here.is_some() && here == redirect.to.socket_address();
    (identity.tsih == 0 && !arrived).then(|| Redirect {
        address: redirect.to.to_string(),
        permanent: redirect.permanent,
    })
}

fn policy(chap: &ChapAccess) -> Option<ChapPolicy> {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    Some(ChapPolicy {
        user: chap.initiator.user.as_str().to_owned(),
        secret: secret(chap.initiator.secret.expose()),
        mutual: chap.mutual.as_ref().map(|mutual| {
            (
                mutual.user.as_str().to_owned(),
                secret(mutual.secret.expose()),
            )
        }),
    })
}

/// Our addresses as the initiator should use them: a portal on all addresses is shown as the one
/// that this connection came in by, which the initiator can reach, and all others as they are.
fn portals(view: &View, local: Option<SocketAddr>) -> Vec<Portal> {
    let mut shown: Vec<Portal> = Vec::new();
    for Portal { group, address } in &view.portals {
        let address = match local {
            Some(local) if address.ip().is_unspecified() => {
                if local.is_ipv6() != address.is_ipv6() {
                    continue;
                }
                SocketAddr::new(local.ip(), address.port())
            }
            // Nobody on another machine can reach it.
            Some(local) if address.ip().is_loopback() && !local.ip().is_loopback() => continue,
            _ => *address,
        };
        if shown.iter().all(|portal| portal.address != address) {
            shown.push(Portal {
                group: *group,
                address,
            });
        }
    }
    shown
}
