//! What two elements rule out together, as source and target. Knows nothing of their states.

use crate::built::BuiltType;
use crate::facts::{AssociationKey, Element};
use crate::reason::Reason;
use crate::request::End;
use crate::verdict::Worst;

/// Every pair that the two ends come to: members in their order, or one source with every target.
pub(super) fn ends(source: End<'_>, target: End<'_>, built: &BuiltType, worst: &mut Worst) {
    match (source, target) {
        (End::Group(source), End::Group(target)) => {
            for (source, target) in source.members.iter().zip(target.members) {
                pair(source, target, built, worst);
            }
        }
        _ => {
            for source in source.members() {
                for target in target.members() {
                    pair(source, target, built, worst);
                }
            }
        }
    }
}

fn pair(source: &Element<'_>, target: &Element<'_>, built: &BuiltType, worst: &mut Worst) {
    let key = AssociationKey {
        system_element: source.id,
        synced_element: target.id,
    };
    worst.add_if(exists(source, target, key), Reason::Exists(key));
    worst.add_if(
        source.sources.contains(&target.id),
        Reason::WouldBeCycle {
            source: source.id,
            target: target.id,
        },
    );
    worst.add_if(
        source.block_bytes != target.block_bytes,
        Reason::BlockSizesDiffer {
            source_bytes: source.block_bytes,
            target_bytes: target.block_bytes,
        },
    );
    worst.add_if(
        built.equal_sizes && target.size_bytes > source.size_bytes,
        Reason::SizesDiffer {
            source_bytes: source.size_bytes,
            target_bytes: target.size_bytes,
        },
    );
    worst.add_if(
        target.size_bytes < source.size_bytes,
        Reason::TargetTooSmall {
            source_bytes: source.size_bytes,
            target_bytes: target.size_bytes,
        },
    );
}

/// Whether the two have an association already, as far as either of them says.
fn exists(source: &Element<'_>, target: &Element<'_>, key: AssociationKey) -> bool {
    source.has_relation(key)
        || target.has_relation(key)
        || target.sources.first() == Some(&source.id)
}
