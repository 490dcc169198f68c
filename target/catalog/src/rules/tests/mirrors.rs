//! Rules about mirrors.

use super::*;
use crate::{Mirror, MirrorEnd, MirrorId, MirrorRest, MirrorSide, OnFailure};

fn end(name: &str, node: u128) -> MirrorEnd {
    MirrorEnd {
        volume: volume(name),
        node: Uuid::from_u128(node),
    }
}

fn mirror(id: u128, first: MirrorEnd, second: MirrorEnd) -> Mirror {
    Mirror {
        id: MirrorId(Uuid::from_u128(id)),
        first,
        second,
        source: MirrorSide::First,
        on_failure: OnFailure::Halt,
        rest: MirrorRest::Linked,
    }
}

fn create(id: u128, first: MirrorEnd, second: MirrorEnd) -> Command {
    Command::CreateMirror(mirror(id, first, second))
}

#[test]
fn a_volume_is_in_one_mirror_and_nothing_is_done_to_it_that_the_other_end_would_not_know_of() {
    let mut catalog = furnished();
    catalog
        .apply(create(1, end("a", 10), end("b", 11)))
        .unwrap();
    let found = catalog.mirror_of(&volume("b")).unwrap();
    assert_eq!(found.side_of(&volume("b")), Some(MirrorSide::Second));
    assert!(catalog.mirror_of(&volume("c")).is_none());
    let before = catalog.clone();
    for (command, part) in [
        (
            create(2, end("b", 12), end("c", 13)),
            "b is mirrored with a",
        ),
        (
            create(2, end("c", 12), end("a", 13)),
            "a is mirrored with b",
        ),
        (create(2, end("c", 12), end("c", 13)), "with itself"),
        (
            create(2, end("c", 12), end("nobody", 13)),
            "no volume nobody",
        ),
        (
            Command::DeleteVolume {
                volume: volume("b"),
            },
            "b is mirrored with a",
        ),
        (
            Command::ResizeVolume {
                volume: volume("a"),
                size_bytes: 2 * GIB,
            },
            "a is mirrored with b",
        ),
    ] {
        let error = catalog.apply(command).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.hint().is_empty());
        assert_eq!(catalog, before);
    }
    let gone = MirrorId(Uuid::from_u128(1));
    let deleted = catalog
        .apply(Command::DeleteMirror { mirror: gone })
        .unwrap();
    assert!(matches!(deleted[..], [Change::MirrorDeleted(_)]));
    let twice = catalog.apply(Command::DeleteMirror { mirror: gone });
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::NotFound);
    catalog
        .apply(create(2, end("b", 12), end("c", 13)))
        .unwrap();
}

#[test]
fn ends_are_alike_and_have_names_of_their_own() {
    let mut catalog = furnished();
    let larger = NewVolume {
        size_bytes: 2 * GIB,
        ..new_volume("larger")
    };
    catalog.apply(Command::CreateVolume(larger)).unwrap();
    let error = catalog.apply(create(1, end("a", 10), end("larger", 11)));
    assert!(matches!(error, Err(CatalogError::MirrorSizes { .. })));
    let same = catalog.apply(create(1, end("a", 10), end("b", 10)));
    assert!(matches!(
        same,
        Err(CatalogError::MirrorIdentityInUse { .. })
    ));
    catalog
        .apply(create(1, end("a", 10), end("b", 11)))
        .unwrap();
    catalog
        .apply(Command::CreateVolume(new_volume("d")))
        .unwrap();
    let taken = catalog.apply(create(2, end("c", 11), end("d", 12)));
    assert!(matches!(
        taken,
        Err(CatalogError::MirrorIdentityInUse { .. })
    ));
}

#[test]
fn what_is_wanted_survives_encoding_and_what_no_history_leads_to_is_refused() {
    let mut catalog = furnished();
    catalog
        .apply(create(1, end("a", 10), end("b", 11)))
        .unwrap();
    let mirror = MirrorId(Uuid::from_u128(1));
    for (source, rest) in [
        (MirrorSide::Second, MirrorRest::Linked),
        (MirrorSide::First, MirrorRest::Suspended),
        (MirrorSide::First, MirrorRest::Fractured),
        (MirrorSide::Second, MirrorRest::Split),
        (MirrorSide::First, MirrorRest::FailedOver),
    ] {
        let set = Command::SetMirror {
            mirror,
            source,
            rest,
        };
        assert_eq!(catalog.apply(set.clone()).unwrap(), [Change::Noted]);
        assert_eq!(catalog.apply(set).unwrap(), [], "it is like that already");
        let kept = catalog.mirror(mirror).unwrap();
        let serving = match rest {
            MirrorRest::FailedOver => source.opposite(),
            _ => source,
        };
        assert_eq!(kept.serving(), serving);
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }
    catalog.volumes.remove(&volume("b"));
    let error = Catalog::decode(&catalog.encode()).unwrap_err().to_string();
    assert!(error.contains("no volume b"), "{error}");
}
