//! Rules about mirrors.

use super::*;
use crate::{
    Elsewhere, Fingerprint, Mirror, MirrorCompression, MirrorEnd, MirrorFailover, MirrorId,
    MirrorMode, MirrorRest, MirrorSide, OnFailure, Peer, PeerName,
};

fn end(name: &str, node: u128) -> MirrorEnd {
    MirrorEnd {
        volume: volume(name),
        node: Uuid::from_u128(node),
        elsewhere: None,
    }
}

fn mirror(id: u128, first: MirrorEnd, second: MirrorEnd) -> Mirror {
    Mirror {
        id: MirrorId(Uuid::from_u128(id)),
        first,
        second,
        source: MirrorSide::First,
        on_failure: OnFailure::Halt,
        mode: MirrorMode::Synchronous,
        resync_limit: None,
        compression: MirrorCompression::None,
        rest: MirrorRest::Linked,
        failover: MirrorFailover::Manual,
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
        (MirrorSide::First, MirrorRest::RestoringFractured),
        (MirrorSide::Second, MirrorRest::RestoringSplit),
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
    for limit in [Some(1 << 20), None, Some(64 << 10)] {
        let set = Command::SetMirrorResyncLimit { mirror, limit };
        assert_eq!(catalog.apply(set.clone()).unwrap(), [Change::Noted]);
        assert_eq!(catalog.apply(set).unwrap(), [], "it is like that already");
        assert_eq!(catalog.mirror(mirror).unwrap().resync_limit, limit);
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }
    for limit in [0, (64 << 10) - 1] {
        let limit = Some(limit);
        let set = Command::SetMirrorResyncLimit { mirror, limit };
        let refused = catalog.apply(set).unwrap_err().to_string();
        assert!(refused.contains("64 KiB"), "{refused}");
    }
    for compression in [MirrorCompression::Zstd, MirrorCompression::None] {
        let set = Command::SetMirrorCompression {
            mirror,
            compression,
        };
        let refused = catalog.apply(set);
        match compression {
            MirrorCompression::None => assert_eq!(refused.unwrap(), []),
            MirrorCompression::Zstd => {
                let refused = refused.unwrap_err().to_string();
                assert!(refused.contains("volumes of one daemon"), "{refused}");
            }
        }
    }
    for mode in [
        MirrorMode::Asynchronous { rpo_ms: 5_000 },
        MirrorMode::Synchronous,
    ] {
        let set = Command::SetMirrorMode { mirror, mode };
        assert_eq!(catalog.apply(set.clone()).unwrap(), [Change::Noted]);
        assert_eq!(catalog.apply(set).unwrap(), [], "it is like that already");
        assert_eq!(catalog.mirror(mirror).unwrap().mode, mode);
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }
    catalog.volumes.remove(&volume("b"));
    let error = Catalog::decode(&catalog.encode()).unwrap_err().to_string();
    assert!(error.contains("no volume b"), "{error}");
}

fn at(peer: &str, name: &str, node: u128) -> MirrorEnd {
    MirrorEnd {
        elsewhere: Some(Elsewhere {
            peer: PeerName::new(peer).unwrap(),
            dials: node.is_multiple_of(2),
        }),
        ..end(name, node)
    }
}

/// With two peers.
fn befriended() -> Catalog {
    let mut catalog = furnished();
    for (name, number) in [("east", 71), ("west", 72)] {
        let peer = Peer {
            name: PeerName::new(name).unwrap(),
            address: "192.0.2.7".parse().unwrap(),
            fingerprint: Fingerprint([number; 32]),
            node: Uuid::from_u128(number.into()),
        };
        catalog.apply(Command::AddPeer(peer)).unwrap();
    }
    catalog
}

#[test]
fn the_other_end_may_be_a_volume_of_a_peer_whatever_that_is_called() {
    let mut catalog = befriended();
    // The same name, a name that is another volume's here, and one that nothing here has; here first, or there first.
    for command in [
        create(1, end("a", 10), at("east", "a", 11)),
        create(2, at("east", "c", 20), end("b", 21)),
        create(3, end("c", 30), at("west", "copy", 32)),
    ] {
        catalog.apply(command).unwrap();
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }
    for (name, id, side, other) in [
        ("a", 1, MirrorSide::First, "east:a"),
        ("b", 2, MirrorSide::Second, "east:c"),
        ("c", 3, MirrorSide::First, "west:copy"),
    ] {
        let mirror = catalog.mirror_of(&volume(name)).unwrap();
        assert_eq!(mirror.id, MirrorId(Uuid::from_u128(id)));
        assert_eq!(mirror.side_of(&volume(name)), Some(side));
        let (remote, _) = mirror.remote().unwrap();
        assert_eq!(remote, side.opposite());
        assert_eq!(mirror.end(remote).to_string(), other);
        let delete = Command::DeleteVolume {
            volume: volume(name),
        };
        let error = catalog.clone().apply(delete).unwrap_err().to_string();
        assert!(error.contains(&format!("mirrored with {other}")), "{error}");
    }
    let of_east = PeerName::new("east").unwrap();
    assert_eq!(catalog.mirrors_with(&of_east).count(), 2);
}

#[test]
fn a_mirror_with_a_peer_has_one_end_here_and_a_peer_that_is_known() {
    let mut catalog = befriended();
    catalog
        .apply(create(1, end("a", 10), at("east", "copy", 11)))
        .unwrap();
    let before = catalog.clone();
    for (command, part) in [
        (
            create(2, end("b", 12), at("nobody", "copy", 13)),
            "no peer nobody",
        ),
        (
            create(2, at("east", "x", 12), at("west", "y", 13)),
            "neither east:x nor west:y",
        ),
        (
            create(2, end("nothing", 12), at("west", "y", 13)),
            "no volume nothing",
        ),
        (
            create(2, end("a", 12), at("west", "y", 13)),
            "a is mirrored with east:copy",
        ),
        (
            create(2, end("b", 12), at("east", "copy", 13)),
            "east:copy is mirrored with volume a",
        ),
        (
            create(2, end("b", 12), at("west", "copy", 11)),
            "an identity of mirror",
        ),
        (
            Command::RemovePeer {
                peer: PeerName::new("east").unwrap(),
            },
            "peer east has the other end of the mirror of volume a",
        ),
    ] {
        let error = catalog.apply(command).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.hint().is_empty());
        assert_eq!(catalog, before);
    }
    // The same name at another peer is another volume.
    catalog
        .apply(create(2, end("b", 12), at("west", "copy", 13)))
        .unwrap();
    let mirror = MirrorId(Uuid::from_u128(1));
    catalog.apply(Command::DeleteMirror { mirror }).unwrap();
    let peer = PeerName::new("east").unwrap();
    catalog.apply(Command::RemovePeer { peer }).unwrap();
    // A file in which a mirror's peer is missing comes from nowhere.
    catalog.peers.clear();
    let error = Catalog::decode(&catalog.encode()).unwrap_err().to_string();
    assert!(error.contains("no peer west"), "{error}");
}

#[test]
fn mirrors_of_before_peers_are_read_and_written_as_they_were() {
    let mut catalog = furnished();
    catalog
        .apply(create(1, end("a", 10), end("b", 11)))
        .unwrap();
    let text = String::from_utf8(catalog.encode()).unwrap();
    assert!(!text.contains("elsewhere"), "{text}");
}

#[test]
fn synchronous_mirrors_of_two_daemons_alone_fail_over_by_themselves() {
    let mut catalog = befriended();
    catalog
        .apply(create(1, end("a", 10), at("east", "copy", 11)))
        .unwrap();
    let text = String::from_utf8(catalog.encode()).unwrap();
    assert!(!text.contains("automatic"), "{text}");
    let mirror = MirrorId(Uuid::from_u128(1));
    let set = |failover| Command::SetMirrorFailover { mirror, failover };
    let automatic = set(MirrorFailover::Automatic);
    assert_eq!(catalog.apply(automatic.clone()).unwrap(), [Change::Noted]);
    assert_eq!(catalog.apply(automatic).unwrap(), []);
    assert!(catalog.mirror(mirror).unwrap().is_automatic());
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    let before = catalog.clone();
    let mode = MirrorMode::Asynchronous { rpo_ms: 1_000 };
    let of_one_daemon = Mirror {
        failover: MirrorFailover::Automatic,
        ..self::mirror(2, end("b", 12), end("c", 13))
    };
    for command in [
        Command::SetMirrorMode { mirror, mode },
        Command::CreateMirror(of_one_daemon),
    ] {
        let error = catalog.apply(command).unwrap_err();
        assert!(error.to_string().contains("by itself"), "{error}");
        assert!(error.hint().contains("set-failover"));
        assert_eq!(catalog, before);
    }
    catalog.apply(set(MirrorFailover::Manual)).unwrap();
    catalog
        .apply(Command::SetMirrorMode { mirror, mode })
        .unwrap();
    let error = catalog.apply(set(MirrorFailover::Automatic));
    assert!(matches!(
        error,
        Err(CatalogError::NoAutomaticFailover { .. })
    ));
}
