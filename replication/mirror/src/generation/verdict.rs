//! Who is right, when two ends meet: a pure comparison of what they have gone through. Both ends compute it from
//! the same two views and come to opposite ends of the same answer.

use super::lineage::Generation;
use super::record::{Role, View};
use crate::id::GenerationId;

/// What follows from two views, seen from one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// We send: what has changed since a generation, or everything.
    Send {
        /// The generation that the peer's content is of, so that only what has changed since then differs;
        /// `None`: everything is sent. If it is our current one, only what was on its way may differ.
        base: Option<GenerationId>,
        /// The peer has changes of its own since then, and the operator has said that they are dropped. They
        /// differ as well.
        drops_theirs: bool,
    },
    /// The peer sends; what is said in [`Self::Send`], seen from there.
    Receive {
        /// As there.
        base: Option<GenerationId>,
        /// We have changes of our own, and the operator has said that they are dropped.
        drops_ours: bool,
    },
    /// No end is a source. Nothing flows until one is made one.
    NoSource,
    /// Both have changes that the other doesn't have. Never resolved without the operator.
    SplitBrain {
        /// The newest generation that both have gone through.
        common: GenerationId,
        /// What has been begun here since.
        ours: Vec<Generation>,
        /// And there.
        theirs: Vec<Generation>,
    },
    /// They have nothing in common, or so long ago that it isn't remembered.
    Unrelated,
    /// Both claim to be the source of the same generation, or the source has less than its target: a record was
    /// brought back from elsewhere. Never resolved without the operator.
    Contradiction,
}

impl Verdict {
    /// Whether only the operator can go on from here.
    #[must_use]
    pub const fn needs_operator(&self) -> bool {
        matches!(
            self,
            Self::SplitBrain { .. } | Self::Unrelated | Self::Contradiction
        )
    }

    /// The same, seen from the other end.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::Send { base, drops_theirs } => Self::Receive {
                base,
                drops_ours: drops_theirs,
            },
            Self::Receive { base, drops_ours } => Self::Send {
                base,
                drops_theirs: drops_ours,
            },
            Self::SplitBrain {
                common,
                ours,
                theirs,
            } => Self::SplitBrain {
                common,
                ours: theirs,
                theirs: ours,
            },
            same @ (Self::NoSource | Self::Unrelated | Self::Contradiction) => same,
        }
    }
}

/// Compares two ends.
#[must_use]
pub fn verdict(ours: &View, theirs: &View) -> Verdict {
    match (ours.lineage.current(), theirs.lineage.current()) {
        (None, None) => Verdict::NoSource,
        (Some(_), None) => sends_everything(ours),
        (None, Some(_)) => sends_everything(theirs).mirrored(),
        (Some(our), Some(their)) if our == their => of_the_same(ours, theirs, our),
        (Some(_), Some(their)) if ours.lineage.contains(their) => ahead(ours, theirs, their),
        (Some(our), Some(_)) if theirs.lineage.contains(our) => ahead(theirs, ours, our).mirrored(),
        (Some(_), Some(_)) => forked(ours, theirs),
    }
}

/// `ours` has content and the other has none.
fn sends_everything(ours: &View) -> Verdict {
    match ours.role {
        Role::Source => Verdict::Send {
            base: None,
            drops_theirs: false,
        },
        Role::Target => Verdict::NoSource,
    }
}

fn of_the_same(ours: &View, theirs: &View, current: GenerationId) -> Verdict {
    let send = Verdict::Send {
        base: Some(current),
        drops_theirs: false,
    };
    match (ours.role, theirs.role) {
        (Role::Source, Role::Target) => send,
        (Role::Target, Role::Source) => send.mirrored(),
        (Role::Target, Role::Target) => Verdict::NoSource,
        (Role::Source, Role::Source) => Verdict::Contradiction,
    }
}

/// `ours` has gone through all that the other has, and more.
fn ahead(ours: &View, theirs: &View, their: GenerationId) -> Verdict {
    match (ours.role, theirs.role) {
        (Role::Source, _) => Verdict::Send {
            base: Some(their),
            drops_theirs: false,
        },
        (Role::Target, Role::Target) => Verdict::NoSource,
        (Role::Target, Role::Source) if ours.yielded && !theirs.yielded => Verdict::Receive {
            base: Some(their),
            drops_ours: true,
        },
        (Role::Target, Role::Source) => Verdict::Contradiction,
    }
}

/// Both have gone through something that the other hasn't.
fn forked(ours: &View, theirs: &View) -> Verdict {
    let common = ours.lineage.common(&theirs.lineage);
    let send = Verdict::Send {
        base: common,
        drops_theirs: true,
    };
    if theirs.yielded && !ours.yielded && ours.role == Role::Source {
        return send;
    }
    if ours.yielded && !theirs.yielded && theirs.role == Role::Source {
        return send.mirrored();
    }
    match common {
        None => Verdict::Unrelated,
        Some(common) => Verdict::SplitBrain {
            common,
            ours: ours.lineage.since(common).to_vec(),
            theirs: theirs.lineage.since(common).to_vec(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generation::{Lineage, Why};
    use crate::id::NodeId;

    /// `1 2 3*`: generations, and whether it is the source; `!`: it has yielded.
    fn end(text: &str) -> View {
        let generations = text
            .split(|it: char| !it.is_ascii_digit())
            .filter(|it| !it.is_empty());
        View {
            lineage: Lineage::new(generations.map(|it| Generation {
                id: GenerationId(it.parse().unwrap()),
                by: NodeId(1),
                why: Why::Joined,
            })),
            role: if text.contains('*') {
                Role::Source
            } else {
                Role::Target
            },
            receiving: None,
            yielded: text.contains('!'),
        }
    }

    fn send(base: Option<u128>) -> Verdict {
        Verdict::Send {
            base: base.map(GenerationId),
            drops_theirs: false,
        }
    }

    #[test]
    fn the_table_of_the_protocol() {
        let says = |ours: &str, theirs: &str| verdict(&end(ours), &end(theirs));
        assert_eq!(says("1 2*", ""), send(None));
        assert_eq!(says("1 2*", "1 2"), send(Some(2)));
        assert_eq!(says("1 2 3*", "1 2"), send(Some(2)));
        assert_eq!(
            says("1 2 6*", "1 2*"),
            send(Some(2)),
            "a source that is behind"
        );
        assert_eq!(says("1 2", "1 2"), Verdict::NoSource);
        assert_eq!(says("1 2", "1 2 3"), Verdict::NoSource);
        assert_eq!(says("", ""), Verdict::NoSource);
        assert_eq!(says("1*", "2"), Verdict::Unrelated);
        assert_eq!(says("1 2*", "1 2*"), Verdict::Contradiction);
        assert_eq!(says("1 2 3", "1 2*"), Verdict::Contradiction);
    }

    #[test]
    fn a_split_brain_names_what_each_has_done_and_waits_for_the_operator() {
        let Verdict::SplitBrain {
            common,
            ours,
            theirs,
        } = verdict(&end("1 2 3*"), &end("1 2 6 7*"))
        else {
            panic!("it is one");
        };
        assert_eq!(common, GenerationId(2));
        assert_eq!(ours.iter().map(|it| it.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(theirs.iter().map(|it| it.id.0).collect::<Vec<_>>(), [6, 7]);
        let dropping = |base: Option<u128>| Verdict::Send {
            base: base.map(GenerationId),
            drops_theirs: true,
        };
        assert_eq!(verdict(&end("1 2 3*"), &end("1 2 6 7!")), dropping(Some(2)));
        assert_eq!(verdict(&end("1*"), &end("2!")), dropping(None));
        assert_eq!(verdict(&end("1 2*"), &end("1 2 6!")), dropping(Some(2)));
        let both = verdict(&end("1 2 3!"), &end("1 2 6!"));
        assert!(both.needs_operator(), "nobody is left to send");
    }

    fn any_end() -> impl Strategy<Value = View> {
        let tail = prop::collection::vec(1_u128..5, 0..3);
        (tail, any::<bool>(), any::<bool>()).prop_map(|(tail, source, yielded)| {
            let ids = tail.iter().scan(0, |at, it| {
                *at = *at * 10 + it;
                Some(at.to_string())
            });
            let ids: Vec<String> = ids.collect();
            end(&format!(
                "{}{}{}",
                ids.join(" "),
                if source { "*" } else { "" },
                if yielded { "!" } else { "" }
            ))
        })
    }

    proptest! {
        #[test]
        fn both_ends_come_to_opposite_ends_of_the_same_answer(ours in any_end(), theirs in any_end()) {
            let (one, other) = (verdict(&ours, &theirs), verdict(&theirs, &ours));
            prop_assert_eq!(one.clone().mirrored(), other);
            if let Verdict::Send { base, drops_theirs } = one {
                prop_assert!(ours.role == Role::Source);
                let current = theirs.lineage.current();
                let has_all = current.is_none_or(|it| ours.lineage.contains(it));
                prop_assert!(has_all || (drops_theirs && theirs.yielded), "nothing is dropped unasked");
                prop_assert!(base.is_none_or(|it| ours.lineage.contains(it) && theirs.lineage.contains(it)));
            }
        }
    }
}
