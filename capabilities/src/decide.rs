//! The decision: a request and the facts become twelve verdicts. The rules are elsewhere.

use crate::facts::{Facts, PeerId};
use crate::reason::Reason;
use crate::request::{Problem, Question, Request, question};
use crate::rules;
use crate::triple::Triple;
use crate::values::{LocalOrRemote, ReturnCode};
use crate::verdict::{Verdict, Worst};

/// The answer to a request, with all that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The state of the daemon in which it was decided.
    pub generation: u64,
    /// What was decided for each of [`Triple::ALL`], or why there was nothing to decide.
    outcome: Result<Decided, Problem>,
}

/// The verdicts, and what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decided {
    locality: LocalOrRemote,
    verdicts: [Verdict; Triple::COUNT],
}

/// Decides a request. The same facts give the same answer, whatever the order of what they list.
#[must_use]
pub fn decide(request: &Request, facts: &Facts<'_>) -> Decision {
    let outcome = question(request, facts).map(|question| Decided {
        locality: question.locality,
        verdicts: Triple::ALL.map(|triple| verdict(&question, triple, facts)),
    });
    Decision {
        generation: facts.generation,
        outcome,
    }
}

/// Puts one combination before every rule.
fn verdict(question: &Question<'_>, triple: Triple, facts: &Facts<'_>) -> Verdict {
    let mut worst = Worst::default();
    let replication_type = triple.replication_type(question.locality);
    match facts.built.of(replication_type) {
        None => worst.add(Reason::NotBuilt(replication_type)),
        Some(built) => {
            rules::built(question, built, triple.local_element_role, &mut worst);
            rules::ends(
                question,
                built,
                triple.local_element_role,
                facts,
                &mut worst,
            );
            rules::peer(question, built, &mut worst);
        }
    }
    worst.verdict()
}

impl Decision {
    /// The return code: success if anything is supported, else the code of the least lasting obstacle.
    #[must_use]
    pub fn return_code(&self) -> ReturnCode {
        let decided = match &self.outcome {
            Err(problem) => return problem.return_code(),
            Ok(decided) => decided,
        };
        let mut least = None;
        for verdict in &decided.verdicts {
            match (verdict.obstacle(), least) {
                (None, _) => return ReturnCode::Success,
                (Some(this), Some(kept)) if this >= kept => (),
                (this, _) => least = this,
            }
        }
        least.map_or(ReturnCode::NotSupported, |it| it.return_code())
    }

    /// What is supported, in the order of [`Triple::ALL`].
    pub fn supported(&self) -> impl Iterator<Item = Triple> {
        self.explain()
            .filter(|(_, verdict)| verdict.is_supported())
            .map(|(triple, _)| triple)
    }

    /// The verdict on every combination; nothing if the request itself is the problem.
    pub fn explain(&self) -> impl Iterator<Item = (Triple, Verdict)> {
        let verdicts = self.outcome.as_ref().ok().map(|it| it.verdicts);
        verdicts
            .into_iter()
            .flat_map(|verdicts| Triple::ALL.into_iter().zip(verdicts))
    }

    /// The verdict on one combination; `None` if the request itself is the problem.
    #[must_use]
    pub fn verdict(&self, triple: Triple) -> Option<Verdict> {
        let mut all = self.explain();
        all.find(|(it, _)| *it == triple)
            .map(|(_, verdict)| verdict)
    }

    /// What is wrong with the request, if there was nothing to decide.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        self.outcome.err()
    }

    /// Whether the copies asked about are local or remote.
    #[must_use]
    pub fn locality(&self) -> Option<LocalOrRemote> {
        self.outcome.ok().map(|it| it.locality)
    }

    /// The peer whose answer would change this one. If there is none, it needn't be asked: what is
    /// known here decides.
    #[must_use]
    pub fn hinges_on(&self) -> Option<PeerId> {
        self.explain()
            .find_map(|(_, verdict)| match verdict.reason() {
                Some(Reason::PeerNotAsked(peer)) => Some(peer),
                _ => None,
            })
    }
}
