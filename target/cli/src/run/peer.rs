//! `tidelock peer ...`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::PeerVerb;
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;
use crate::show;

pub(super) async fn run(verb: PeerVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    let now = context.terminal.now_unix_ms;
    match verb {
        PeerVerb::Add {
            name,
            address,
            fingerprint,
        } => {
            let request = v1::AddPeer {
                name,
                address,
                fingerprint,
            };
            let peer = context.client.add_peer(&request).await?;
            let identity = context.client.peers().await?.identity;
            let added = json!({"peer": peer, "identity": identity});
            context.print(&added, |_| show::peer_added(&peer, &identity))
        }
        PeerVerb::Accept {
            request,
            name,
            address,
        } => {
            let request = v1::AcceptPeer {
                request,
                name,
                address,
            };
            let peer = context.client.accept_peer(&request).await?;
            context.print(&peer, |peer| {
                format!("{} at {} is a peer\n", peer.name, peer.address)
            })
        }
        PeerVerb::List => {
            let list = context.client.peers().await?;
            context.print(&list, |list| show::peers(list, now))
        }
        PeerVerb::Show { name: Some(name) } => {
            let peer = context.client.peer(&name).await?;
            context.print(&peer, |peer| show::peer(peer, now))
        }
        PeerVerb::Show { name: None } => {
            let identity = context.client.peers().await?.identity;
            context.print(&identity, show::peer_identity)
        }
        PeerVerb::Set { name, address } => {
            let request = v1::SetPeer { address };
            let peer = context.client.set_peer(&name, &request).await?;
            context.print(&peer, |peer| {
                format!("peer {} is looked for at {}\n", peer.name, peer.address)
            })
        }
        PeerVerb::Remove { name, yes } => {
            let what = format!(
                "Peer {name} is trusted no longer: to be one again it has to be added or accepted anew."
            );
            confirm(&what, yes, context.terminal)?;
            context.client.remove_peer(&name).await?;
            context.print(&json!({"removed": name}), |_| {
                format!("peer {name} removed; remove this daemon there as well\n")
            })
        }
    }
}
