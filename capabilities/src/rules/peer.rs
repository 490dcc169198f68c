//! What the peer rules out whom a remote copy hinges on.

use crate::built::BuiltType;
use crate::facts::Reach;
use crate::reason::Reason;
use crate::request::Question;
use crate::verdict::Worst;

/// Whether the peer can be the other end.
pub(crate) fn peer(question: &Question<'_>, built: &BuiltType, worst: &mut Worst) {
    let (id, peer) = match question.peer {
        None => return,
        Some((id, Some(peer))) => (id, peer),
        // Nothing was gathered about it, so it wasn't asked.
        Some((id, None)) => return worst.add(Reason::PeerNotAsked(id)),
    };
    match peer.reach {
        Reach::Answers => worst.add_if(
            !peer.types.contains(built.replication_type),
            Reason::PeerLacksType(id, built.replication_type),
        ),
        Reach::NotAsked => worst.add(Reason::PeerNotAsked(id)),
        Reach::Silent => worst.add(Reason::PeerSilent(id)),
        Reach::Faulty(fault) => worst.add(Reason::PeerFaulty(id, fault)),
        Reach::Incompatible => worst.add(Reason::PeerIncompatible(id)),
    }
}
