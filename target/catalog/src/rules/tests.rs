//! Each rule, and random histories that keep all of them.

mod clones;
mod families;
mod mirrors;

use uuid::Uuid;

use super::*;
use crate::document::ACL_ENTRIES_MAX;
use crate::error::ErrorKind;
use crate::{
    Access, AccessChange, AccessState, AclEntry, AclScope, AlteredBy, BlockSize, ChapAccess,
    ChapUser, Credentials, DaemonIdentity, GroupAccess, InitiatorPattern, IscsiName, LunNumber,
    NewVolume, PortalGroupTag, PortalGroups, Secret, Subject, VolumeId, VolumeName,
};

const GIB: u64 = 1 << 30;

fn empty() -> Catalog {
    Catalog::new(DaemonIdentity(Uuid::from_u128(1)))
}

fn volume(name: &str) -> VolumeName {
    VolumeName::new(name).unwrap()
}

fn target(name: &str) -> IscsiName {
    format!("iqn.2024-01.com.example:{name}").parse().unwrap()
}

fn lun(number: u16) -> LunNumber {
    LunNumber::new(number).unwrap()
}

fn new_volume(name: &str) -> NewVolume {
    NewVolume {
        name: volume(name),
        id: VolumeId(Uuid::from_u128(
            u128::from(name.as_bytes()[0]) * 0x0101_0101_0101_0101_0101_0101_0101_0101,
        )),
        path: format!("/volumes/{name}"),
        size_bytes: GIB,
        block_size: BlockSize::B512,
        managed: true,
        preallocated: false,
        direct: false,
        write_cache: true,
        integrity: crate::volume::Integrity::Usual,
        limits: crate::volume::SpaceLimits::default(),
    }
}

fn map(at: &str, what: &str, number: Option<u16>) -> Command {
    Command::MapLun {
        target: target(at),
        volume: volume(what),
        number: number.map(lun),
        read_only: false,
    }
}

/// Volumes a, b, c and targets x, y; x shows a as LUN 0.
fn furnished() -> Catalog {
    let mut catalog = empty();
    for name in ["a", "b", "c"] {
        catalog
            .apply(Command::CreateVolume(new_volume(name)))
            .unwrap();
    }
    for name in ["x", "y"] {
        let create = Command::CreateTarget {
            target: target(name),
            portal_groups: PortalGroups::ALL,
        };
        catalog.apply(create).unwrap();
    }
    catalog.apply(map("x", "a", None)).unwrap();
    catalog
}

fn refused(catalog: &Catalog, command: Command) -> CatalogError {
    let mut changed = catalog.clone();
    let error = changed.apply(command).unwrap_err();
    assert_eq!(*catalog, changed, "a refused command left a trace");
    error
}

#[test]
fn a_volume_needs_a_name_a_file_an_identity_and_a_size_of_its_own() {
    let catalog = furnished();
    type Case = (fn(&mut NewVolume), ErrorKind, &'static str);
    let cases: [Case; 13] = [
        (
            |v| v.name = volume("a"),
            ErrorKind::Conflict,
            "there is a volume a already",
        ),
        (
            |v| v.path = "/volumes/b".into(),
            ErrorKind::Conflict,
            "the file of volume b already",
        ),
        (
            |v| v.id = new_volume("c").id,
            ErrorKind::Conflict,
            "belongs to volume c",
        ),
        (
            |v| v.size_bytes = 0,
            ErrorKind::Invalid,
            "at least one block",
        ),
        (
            |v| v.size_bytes = 513,
            ErrorKind::Invalid,
            "not a multiple of the block size, 512",
        ),
        (
            |v| (v.size_bytes, v.block_size) = (4096 + 512, BlockSize::B4096),
            ErrorKind::Invalid,
            "not a multiple of the block size, 4096",
        ),
        (|v| v.size_bytes = 1 << 63, ErrorKind::Invalid, "at most"),
        (|v| v.size_bytes = u64::MAX, ErrorKind::Invalid, "at most"),
        (
            |v| v.path = "volumes/d".into(),
            ErrorKind::Invalid,
            "isn't absolute",
        ),
        (
            |v| v.path = String::new(),
            ErrorKind::Invalid,
            "isn't absolute",
        ),
        (
            |v| v.path = "/volumes/".into(),
            ErrorKind::Invalid,
            "names a folder",
        ),
        (
            |v| v.path = "/a\nb".into(),
            ErrorKind::Invalid,
            "control characters",
        ),
        (
            |v| v.path = format!("/{}", "x".repeat(4_095)),
            ErrorKind::Invalid,
            "longer than 4095",
        ),
    ];
    for (change, kind, says) in cases {
        let mut new = new_volume("d");
        change(&mut new);
        let error = refused(&catalog, Command::CreateVolume(new));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}: {says}");
    }
}

#[test]
fn identities_that_differ_only_outside_the_designator_are_not_both_taken() {
    let mut catalog = empty();
    let mut one = new_volume("one");
    one.id = VolumeId(Uuid::from_u128(0x11 << 64));
    let mut other = new_volume("other");
    other.id = VolumeId(Uuid::from_u128(0x22 << 64));
    assert_eq!(one.id.to_naa(), other.id.to_naa());
    catalog.apply(Command::CreateVolume(one)).unwrap();
    let error = refused(&catalog, Command::CreateVolume(other));
    assert!(
        matches!(error, CatalogError::IdentityInUse { .. }),
        "{error}"
    );
}

#[test]
fn a_volume_keeps_its_identifiers_through_everything_but_deletion() {
    let mut catalog = furnished();
    let before = catalog.volume(&volume("a")).unwrap().clone();
    for command in [
        Command::ResizeVolume {
            volume: volume("a"),
            size_bytes: 2 * GIB,
        },
        Command::SetWriteCache {
            volume: volume("a"),
            enabled: false,
        },
        Command::UnmapLun {
            target: target("x"),
            number: lun(0),
        },
        map("y", "a", Some(7)),
        map("x", "a", Some(3)),
    ] {
        catalog.apply(command).unwrap();
    }
    let after = catalog.volume(&volume("a")).unwrap();
    assert_eq!(
        (before.naa, &before.serial, before.id),
        (after.naa, &after.serial, after.id)
    );
    assert_eq!((after.size_bytes, after.write_cache), (2 * GIB, false));
}

#[test]
fn volumes_grow_and_never_shrink() {
    let mut catalog = furnished();
    let resize = |size_bytes| Command::ResizeVolume {
        volume: volume("a"),
        size_bytes,
    };
    assert_eq!(
        catalog.apply(resize(2 * GIB)).unwrap(),
        [Change::VolumeResized {
            volume: volume("a"),
            from_bytes: GIB,
            to_bytes: 2 * GIB
        }]
    );
    let error = refused(&catalog, resize(GIB));
    assert!(matches!(error, CatalogError::WouldShrink { .. }), "{error}");
    assert!(error.hint().contains("smaller volume"));
    assert!(matches!(
        refused(&catalog, resize(0)),
        CatalogError::SizeOutOfRange { .. }
    ));
    assert!(matches!(
        refused(&catalog, resize(2 * GIB + 1)),
        CatalogError::SizeNotWholeBlocks { .. }
    ));
}

#[test]
fn what_is_so_already_changes_nothing_and_is_no_new_generation() {
    let mut catalog = furnished();
    let allow = Command::SetAccess {
        scope: AclScope::Target(target("x")),
        entry: AclEntry {
            subject: Subject::EVERYBODY,
            access: Access::Deny,
        },
    };
    catalog.apply(allow.clone()).unwrap();
    let generation = catalog.generation();
    for command in [
        Command::ResizeVolume {
            volume: volume("a"),
            size_bytes: GIB,
        },
        Command::SetWriteCache {
            volume: volume("a"),
            enabled: true,
        },
        allow,
    ] {
        assert_eq!(catalog.apply(command).unwrap(), []);
    }
    assert_eq!(catalog.generation(), generation);
}

#[test]
fn a_mapped_volume_is_not_deleted_and_the_refusal_says_where_it_is_mapped() {
    let mut catalog = furnished();
    catalog.apply(map("y", "a", Some(5))).unwrap();
    let delete = Command::DeleteVolume {
        volume: volume("a"),
    };
    let error = refused(&catalog, delete.clone());
    assert_eq!(
        error.to_string(),
        "volume a is mapped: LUN 0 of iqn.2024-01.com.example:x, LUN 5 of \
         iqn.2024-01.com.example:y"
    );
    assert!(error.hint().contains("tidelock lun unmap"));
    for (at, number) in [("x", 0), ("y", 5)] {
        catalog
            .apply(Command::UnmapLun {
                target: target(at),
                number: lun(number),
            })
            .unwrap();
    }
    let changes = catalog.apply(delete).unwrap();
    assert!(
        matches!(&changes[..], [Change::VolumeDeleted(gone)] if gone.path.as_deref() == Some("/volumes/a"))
    );
}

#[test]
fn what_is_not_there_is_named() {
    let catalog = furnished();
    let (v, t) = (volume("none"), target("none"));
    let deny = AclEntry {
        subject: Subject::EVERYBODY,
        access: Access::Deny,
    };
    for command in [
        Command::ResizeVolume {
            volume: v.clone(),
            size_bytes: GIB,
        },
        Command::SetWriteCache {
            volume: v.clone(),
            enabled: true,
        },
        Command::DeleteVolume { volume: v },
        map("x", "none", None),
        map("none", "a", None),
        Command::DeleteTarget {
            target: t.clone(),
            force: true,
        },
        Command::UnmapLun {
            target: t.clone(),
            number: lun(0),
        },
        Command::UnmapLun {
            target: target("x"),
            number: lun(9),
        },
        Command::SetAccess {
            scope: AclScope::Target(t.clone()),
            entry: deny,
        },
        Command::RemoveAccess {
            scope: AclScope::Target(t),
            subject: Subject::EVERYBODY,
        },
        Command::RemoveAccess {
            scope: AclScope::Discovery,
            subject: Subject::EVERYBODY,
        },
    ] {
        let error = refused(&catalog, command);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("no "), "{error}");
    }
}

#[test]
fn luns_get_the_lowest_free_number_unless_they_ask_for_one() {
    let mut catalog = furnished();
    catalog.apply(map("x", "c", Some(2))).unwrap();
    catalog.apply(map("x", "b", None)).unwrap();
    let numbers: Vec<_> = catalog
        .target(&target("x"))
        .unwrap()
        .luns
        .values()
        .map(|lun| (lun.number.get(), lun.volume.to_string()))
        .collect();
    assert_eq!(numbers, [(0, "a".into()), (1, "b".into()), (2, "c".into())]);
}

#[test]
fn a_number_and_a_volume_are_used_once_per_target() {
    let mut catalog = furnished();
    let error = refused(&catalog, map("x", "b", Some(0)));
    assert!(matches!(error, CatalogError::LunInUse { .. }), "{error}");
    let error = refused(&catalog, map("x", "a", Some(1)));
    assert!(
        matches!(error, CatalogError::AlreadyMapped { .. }),
        "{error}"
    );
    catalog.apply(map("y", "a", Some(16_383))).unwrap();
    assert_eq!(catalog.mappings(&volume("a")).count(), 2);
    assert_eq!(LunNumber::new(16_384), None);
}

#[test]
fn relative_ports_differ_and_are_not_soon_given_again() {
    let mut catalog = furnished();
    let port = |catalog: &Catalog, name| catalog.target(&target(name)).unwrap().relative_port;
    assert_eq!((port(&catalog, "x"), port(&catalog, "y")), (1, 2));
    catalog
        .apply(Command::DeleteTarget {
            target: target("y"),
            force: false,
        })
        .unwrap();
    let create = |name| Command::CreateTarget {
        target: target(name),
        portal_groups: PortalGroups::ALL,
    };
    catalog.apply(create("y")).unwrap();
    assert_eq!(port(&catalog, "y"), 3);
    // After the last one come those that are free, from the lowest on.
    catalog.last_relative_port = 4_095;
    catalog.apply(create("z")).unwrap();
    assert_eq!(port(&catalog, "z"), 2);
    let error = refused(&catalog, create("z"));
    assert!(
        matches!(error, CatalogError::TargetExists { .. }),
        "{error}"
    );
}

#[test]
fn every_port_of_every_target_has_an_identifier_of_its_own() {
    let mut catalog = furnished();
    for (name, port) in [("x", 1), ("y", 4_095)] {
        catalog
            .targets
            .get_mut(&target(name))
            .unwrap()
            .relative_port = port;
    }
    let identifiers = |catalog: &Catalog, name| {
        let target = catalog.target(&target(name)).unwrap().clone();
        PortalGroupTag::all()
            .filter_map(|tag| target.relative_port_identifier(tag))
            .collect::<Vec<_>>()
    };
    let x = identifiers(&catalog, "x");
    assert_eq!((x.len(), x[0], x[1], x[15]), (16, 1, 0x1001, 0xf001));
    let y = identifiers(&catalog, "y");
    assert_eq!((y[0], y[1], y[15]), (0x0fff, 0x1fff, 0xffff));
    // One of a former time is kept, and has no port but the one that it had then.
    catalog.targets.get_mut(&target("y")).unwrap().relative_port = 4_096;
    assert_eq!(identifiers(&catalog, "y"), [4_096]);
}

#[test]
fn a_target_is_reached_through_all_portal_groups_until_it_is_restricted() {
    let mut catalog = furnished();
    let two = PortalGroupTag::new(2).unwrap();
    let restrict = |portal_groups| Command::SetPortalGroups {
        target: target("x"),
        portal_groups,
    };
    assert_eq!(catalog.apply(restrict(PortalGroups::ALL)).unwrap(), []);
    let only = PortalGroups::only([two]).unwrap();
    assert_eq!(
        catalog.apply(restrict(only)).unwrap(),
        [Change::PortalGroupsChanged {
            target: target("x"),
            portal_groups: only
        }]
    );
    let x = catalog.target(&target("x")).unwrap();
    assert_eq!(x.relative_port_identifier(PortalGroupTag::DEFAULT), None);
    assert_eq!(x.relative_port_identifier(two), Some(0x1001));
    let missing = Command::SetPortalGroups {
        target: target("none"),
        portal_groups: only,
    };
    assert_eq!(refused(&catalog, missing).kind(), ErrorKind::NotFound);
}

#[test]
fn access_states_are_kept_while_they_are_not_the_first_ones() {
    let mut catalog = furnished();
    let two = PortalGroupTag::new(2).unwrap();
    let set = |state, preferred, by| Command::SetAsymmetricAccess {
        volume: volume("a"),
        changes: vec![AccessChange {
            group: two,
            state,
            preferred,
        }],
        by,
    };
    let first = Some(AccessState::ActiveOptimized);
    let explicit = AlteredBy::Explicit;
    assert_eq!(
        catalog.apply(set(first, Some(false), explicit)).unwrap(),
        []
    );
    assert_eq!(catalog.apply(set(None, None, explicit)).unwrap(), []);
    let standby = GroupAccess {
        state: AccessState::Standby,
        preferred: false,
        altered_by: explicit,
    };
    let changes = catalog
        .apply(set(Some(AccessState::Standby), None, explicit))
        .unwrap();
    let access = [(two, standby)].into();
    let volume_a = volume("a");
    let volume = volume_a.clone();
    assert_eq!(
        changes,
        [Change::AsymmetricAccessChanged { volume, access }]
    );
    // Being preferred is not a state: who altered the state stays.
    catalog
        .apply(set(None, Some(true), AlteredBy::Implicit))
        .unwrap();
    let kept = catalog.volume(&volume_a).unwrap().access[&two];
    assert_eq!((kept.preferred, kept.altered_by), (true, explicit));
    let missing = Command::SetAsymmetricAccess {
        volume: VolumeName::new("none").unwrap(),
        changes: Vec::new(),
        by: explicit,
    };
    assert_eq!(refused(&catalog, missing).kind(), ErrorKind::NotFound);
}

#[test]
fn a_target_with_luns_goes_only_by_force_and_its_luns_with_it() {
    let mut catalog = furnished();
    let delete = |force| Command::DeleteTarget {
        target: target("x"),
        force,
    };
    let error = refused(&catalog, delete(false));
    assert_eq!(
        error.to_string(),
        "target iqn.2024-01.com.example:x has 1 LUN(s)"
    );
    let changes = catalog.apply(delete(true)).unwrap();
    assert!(matches!(
        &changes[..],
        [Change::LunUnmapped { lun, .. }, Change::TargetDeleted(gone)]
            if lun.volume == volume("a") && gone.luns.is_empty()
    ));
    assert!(catalog.volume(&volume("a")).is_ok());
}

fn allow(secret: &str, mutual: Option<&str>) -> Access {
    let credentials = |secret| Credentials {
        user: ChapUser::new("user").unwrap(),
        secret: Secret::new(secret).unwrap(),
    };
    let chap = ChapAccess {
        initiator: credentials(secret),
        mutual: mutual.map(credentials),
    };
    Access::Allow { chap: Some(chap) }
}

fn set(scope: AclScope, initiator: &str, access: Access) -> Command {
    let initiator = match initiator {
        "*" => InitiatorPattern::Any,
        name => InitiatorPattern::Name(target(name)),
    };
    Command::SetAccess {
        scope,
        entry: AclEntry {
            subject: initiator.into(),
            access,
        },
    }
}

#[test]
fn one_secret_never_serves_both_directions() {
    let mut catalog = furnished();
    let x = || AclScope::Target(target("x"));
    let y = || AclScope::Target(target("y"));
    let (one, two, three) = (
        "secret number one",
        "secret number two",
        "secret number three",
    );
    let reused = |catalog: &Catalog, command| {
        assert_eq!(refused(catalog, command), CatalogError::MutualSecretReused);
    };
    reused(&catalog, set(x(), "i", allow(one, Some(one))));
    catalog.apply(set(x(), "i", allow(one, Some(two)))).unwrap();
    reused(&catalog, set(x(), "j", allow(three, Some(one))));
    reused(&catalog, set(y(), "j", allow(two, None)));
    reused(&catalog, set(AclScope::Discovery, "*", allow(two, None)));
    // One target's secret for all initiators, and one initiator's for all targets, are fine.
    catalog
        .apply(set(x(), "j", allow(three, Some(two))))
        .unwrap();
    catalog
        .apply(set(AclScope::Discovery, "i", allow(one, None)))
        .unwrap();
    // An entry may swap its secrets: what it said before no longer counts.
    catalog.apply(set(x(), "j", Access::Deny)).unwrap();
    catalog
        .apply(Command::RemoveAccess {
            scope: AclScope::Discovery,
            subject: InitiatorPattern::Name(target("i")).into(),
        })
        .unwrap();
    catalog.apply(set(x(), "i", allow(two, Some(one)))).unwrap();
}

#[test]
fn an_access_list_ends_somewhere() {
    let mut catalog = furnished();
    for n in 0..ACL_ENTRIES_MAX {
        catalog
            .apply(set(AclScope::Discovery, &format!("i{n}"), Access::Deny))
            .unwrap();
    }
    let error = refused(&catalog, set(AclScope::Discovery, "one-more", Access::Deny));
    assert_eq!(error.kind(), ErrorKind::Limit);
    let replaced = set(AclScope::Discovery, "i0", Access::Allow { chap: None });
    catalog.apply(replaced).unwrap();
}

#[test]
fn a_redirection_is_set_replaced_and_taken_away() {
    let mut catalog = furnished();
    let set = |to: Option<&str>| Command::SetRedirect {
        target: target("x"),
        redirect: to.map(|to| crate::Redirect {
            to: to.parse().unwrap(),
            permanent: false,
        }),
    };
    assert_eq!(catalog.apply(set(None)).unwrap(), []);
    for to in [Some("192.0.2.1"), Some("192.0.2.2"), None] {
        assert_eq!(catalog.apply(set(to)).unwrap().len(), 1);
        assert_eq!(catalog.apply(set(to)).unwrap(), [], "it was like that");
        let redirect = &catalog.target(&target("x")).unwrap().redirect;
        let to = to.map(|to| format!("{to}:3260"));
        assert_eq!(
            redirect.as_ref().map(|redirect| redirect.to.to_string()),
            to
        );
    }
    let nowhere = Command::SetRedirect {
        target: target("none"),
        redirect: None,
    };
    assert_eq!(refused(&catalog, nowhere).kind(), ErrorKind::NotFound);
}

#[test]
fn parameters_are_set_one_by_one_and_go_with_their_entry() {
    let mut catalog = furnished();
    let me = target("me");
    let subject: Subject = InitiatorPattern::Name(me.clone()).into();
    let command = |subject: Option<&Subject>, queue_depth, reset: &[&str]| Command::SetParameters {
        target: target("x"),
        subject: subject.cloned(),
        set: crate::SessionParameters {
            queue_depth,
            ..crate::SessionParameters::default()
        },
        reset: reset.iter().map(ToString::to_string).collect(),
    };
    let scope = AclScope::Target(target("x"));
    let error = refused(&catalog, command(Some(&subject), Some(4), &[]));
    assert!(
        matches!(error, CatalogError::NoSuchAccess { .. }),
        "{error}"
    );
    let access = |access| set(scope.clone(), "me", access);
    catalog.apply(access(Access::Deny)).unwrap();
    let error = refused(&catalog, command(Some(&subject), Some(4), &[]));
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    catalog.apply(access(Access::Allow { chap: None })).unwrap();
    assert_eq!(catalog.apply(command(None, Some(8), &[])).unwrap().len(), 1);
    assert_eq!(catalog.apply(command(None, Some(8), &[])).unwrap(), []);
    assert_eq!(
        catalog
            .apply(command(Some(&subject), Some(4), &[]))
            .unwrap()
            .len(),
        1
    );
    let parameters = |catalog: &Catalog| {
        let from = "10.0.0.1".parse().unwrap();
        match catalog.target(&target("x")).unwrap().acl.verdict(&me, from) {
            crate::Verdict::Allowed { parameters, .. } => parameters.queue_depth,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(parameters(&catalog), Some(4));
    for (depth, reset, kind) in [
        (Some(0), &[][..], ErrorKind::Invalid),
        (None, &["nothing"][..], ErrorKind::Invalid),
    ] {
        let error = refused(&catalog, command(None, depth, reset));
        assert_eq!(error.kind(), kind, "{error}");
    }
    // Another CHAP leaves them, a denial and a removal take them along.
    let initiator = Credentials {
        user: ChapUser::new("user").unwrap(),
        secret: Secret::new("a secret of mine").unwrap(),
    };
    let mutual = None;
    let chap = Some(ChapAccess { initiator, mutual });
    catalog.apply(access(Access::Allow { chap })).unwrap();
    assert_eq!(parameters(&catalog), Some(4));
    catalog.apply(access(Access::Deny)).unwrap();
    catalog.apply(access(Access::Allow { chap: None })).unwrap();
    assert_eq!(parameters(&catalog), None);
    catalog
        .apply(command(Some(&subject), Some(4), &[]))
        .unwrap();
    catalog
        .apply(command(Some(&subject), None, &["queue_depth"]))
        .unwrap();
    assert_eq!(parameters(&catalog), None);
}
