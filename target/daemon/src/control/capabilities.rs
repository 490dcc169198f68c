//! What elements support, in the words of the API.

use tidelock_admin::v1;
use tidelock_capabilities::SynchronizationSupported;
use tidelock_capabilities::values::LocalElementRole;
use tidelock_catalog::PeerName;

use super::DaemonControl;
use crate::admin_server::CapabilityControl;
use crate::registry::EndName;
use crate::registry::capabilities::{Answer, Asked, ElementName, Via};

impl CapabilityControl for DaemonControl {
    fn capabilities(
        &self,
        element: &str,
        other: Option<&str>,
        via: Option<&str>,
        method_name: u16,
    ) -> v1::Capabilities {
        let registry = &self.shared.registry;
        let catalog = registry.catalog();
        let read = |text: &str| ElementName::read(text, method_name, &catalog);
        let named = read(element);
        let peer = via.map(PeerName::new);
        let other_named = other.map(read).map(|other| match (other, &peer) {
            // A name of that peer's, then, not of this daemon's.
            (ElementName::Dataset(dataset), Some(Ok(peer))) if dataset.snapshot.is_none() => {
                ElementName::AtPeer(EndName {
                    peer: Some(peer.clone()),
                    volume: dataset.volume,
                })
            }
            (other, _) => other,
        });
        let answer = registry.answer(Asked {
            element: Some(&named),
            other: other_named.as_ref(),
            via: match &peer {
                None => Via::Nobody,
                Some(Ok(peer)) => Via::Peer(peer),
                Some(Err(_)) => Via::Unreadable,
            },
            method_name,
        });
        v1::Capabilities {
            element: element.to_owned(),
            other_element: other.map(str::to_owned),
            via: via.map(str::to_owned),
            method_name,
            ..in_words(&answer)
        }
    }
}

fn in_words(answer: &Answer) -> v1::Capabilities {
    let decision = &answer.decision;
    let supported = SynchronizationSupported::from(decision);
    let verdicts = decision.explain().map(|(triple, verdict)| {
        let reason = verdict.reason();
        let told = reason.map(|reason| reason.sentence(answer.names()).to_string());
        let role = match triple.local_element_role {
            LocalElementRole::SystemElement => "SystemElement",
            LocalElementRole::SyncedElement => "SyncedElement",
        };
        v1::SynchronizationVerdict {
            sync_type: triple.sync_type.name().to_owned(),
            mode: triple.mode.name().to_owned(),
            local_element_role: role.to_owned(),
            supported: verdict.is_supported(),
            obstacle: verdict
                .obstacle()
                .map(|obstacle| format!("{obstacle:?}"))
                .unwrap_or_default(),
            reason: told.unwrap_or_default(),
        }
    });
    v1::Capabilities {
        element: String::new(),
        other_element: None,
        via: None,
        method_name: 0,
        generation: decision.generation,
        return_code: supported.return_code.value(),
        return_code_name: supported.return_code.name().to_owned(),
        sync_types: supported.sync_types.iter().map(|it| it.value()).collect(),
        modes: supported.modes.iter().map(|it| it.value()).collect(),
        local_element_role: supported
            .local_element_role
            .iter()
            .map(|it| it.value())
            .collect(),
        problem: decision
            .problem()
            .map(|problem| problem.to_string())
            .unwrap_or_default(),
        verdicts: verdicts.collect(),
    }
}
