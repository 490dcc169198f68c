//! Random histories of commands: whatever is asked in whatever order, the catalog stays one that it
//! would itself accept, refusals leave no trace, and what hosts remember doesn't change.

#![allow(clippy::unwrap_used, reason = "a test: what is generated is valid")]

use std::collections::HashMap;

use proptest::prelude::*;
use tidelock_catalog::{
    Access, AccessChange, AccessState, AclEntry, AclScope, AlteredBy, BlockSize, Catalog,
    ChapAccess, ChapUser, Command, Credentials, DaemonIdentity, IscsiName, LunNumber, NewVolume,
    PortalGroupTag, PortalGroups, Redirect, Secret, SessionParameters, Subject, VolumeId,
    VolumeName,
};
use uuid::Uuid;

fn volume() -> impl Strategy<Value = VolumeName> {
    (0..4).prop_map(|n| VolumeName::new(&format!("v{n}")).unwrap())
}

fn target() -> impl Strategy<Value = IscsiName> {
    (0..3).prop_map(|n| IscsiName::new(&format!("iqn.2024-01.com.example:t{n}")).unwrap())
}

fn subject() -> impl Strategy<Value = Subject> {
    (0..4, 0..3).prop_map(|(name, network)| Subject {
        initiator: match name {
            0 => "*".to_owned(),
            1 => "iqn.2024-01.com.example:*".to_owned(),
            n => format!("iqn.2024-01.com.example:i{n}"),
        }
        .parse()
        .unwrap(),
        network: match network {
            0 => None,
            1 => Some("10.0.0.0/8".parse().unwrap()),
            _ => Some("fd00::/8".parse().unwrap()),
        },
    })
}

fn scope() -> impl Strategy<Value = AclScope> {
    prop_oneof![
        Just(AclScope::Discovery),
        target().prop_map(AclScope::Target)
    ]
}

fn credentials() -> impl Strategy<Value = Credentials> {
    (0..3).prop_map(|n| Credentials {
        user: ChapUser::new(&format!("user {n}")).unwrap(),
        secret: Secret::new(&format!("a secret \"{n}\" of ü")).unwrap(),
    })
}

fn access() -> impl Strategy<Value = Access> {
    let chap = (credentials(), proptest::option::of(credentials()))
        .prop_map(|(initiator, mutual)| ChapAccess { initiator, mutual });
    prop_oneof![
        Just(Access::Deny),
        proptest::option::of(chap).prop_map(|chap| Access::Allow { chap }),
    ]
}

fn redirect() -> impl Strategy<Value = Redirect> {
    let to = prop_oneof![
        Just("192.0.2.1"),
        Just("[fd00::1]:3261"),
        Just("storage.example.com")
    ];
    (to, any::<bool>()).prop_map(|(to, permanent)| Redirect {
        to: to.parse().unwrap(),
        permanent,
    })
}

fn parameters() -> impl Strategy<Value = SessionParameters> {
    let length = || proptest::option::of(prop_oneof![Just(511_u32), Just(512), Just(1 << 20)]);
    (length(), length(), proptest::option::of(any::<bool>())).prop_map(
        |(first_burst_length, max_burst_length, initial_r2t)| SessionParameters {
            first_burst_length,
            max_burst_length,
            initial_r2t,
            ..SessionParameters::default()
        },
    )
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1_000),
        Just(512),
        Just(1 << 20),
        Just(1 << 30),
        any::<u64>()
    ]
}

fn new_volume() -> impl Strategy<Value = NewVolume> {
    (volume(), 0..6_u128, 0..6, size(), any::<[bool; 5]>()).prop_map(
        |(name, id, path, size_bytes, [native, managed, preallocated, direct, write_cache])| {
            NewVolume {
                name,
                id: VolumeId(Uuid::from_u128(id)),
                path: if path == 0 {
                    "relative".into()
                } else {
                    format!("/volumes/{path}")
                },
                size_bytes,
                block_size: if native {
                    BlockSize::B4096
                } else {
                    BlockSize::B512
                },
                managed,
                preallocated,
                direct,
                write_cache,
                integrity: tidelock_catalog::Integrity::Usual,
                limits: tidelock_catalog::SpaceLimits::default(),
            }
        },
    )
}

fn number() -> impl Strategy<Value = LunNumber> {
    (0..4_u16).prop_map(|n| LunNumber::new(n).unwrap())
}

fn group() -> impl Strategy<Value = PortalGroupTag> {
    (1..=16_u16).prop_map(|tag| PortalGroupTag::new(tag).unwrap())
}

fn portal_groups() -> impl Strategy<Value = PortalGroups> {
    proptest::collection::vec(group(), 0..4)
        .prop_map(|tags| PortalGroups::only(tags).unwrap_or(PortalGroups::ALL))
}

fn access_change() -> impl Strategy<Value = AccessChange> {
    let state = proptest::sample::select(&AccessState::ALL[..]);
    let state = proptest::option::of(state);
    (group(), state, proptest::option::of(any::<bool>())).prop_map(|(group, state, preferred)| {
        AccessChange {
            group,
            state,
            preferred,
        }
    })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => new_volume().prop_map(Command::CreateVolume),
        1 => (volume(), size()).prop_map(|(volume, size_bytes)| {
            Command::ResizeVolume { volume, size_bytes }
        }),
        1 => (volume(), any::<bool>())
            .prop_map(|(volume, enabled)| Command::SetWriteCache { volume, enabled }),
        1 => volume().prop_map(|volume| Command::DeleteVolume { volume }),
        2 => (target(), portal_groups()).prop_map(|(target, portal_groups)| {
            Command::CreateTarget { target, portal_groups }
        }),
        1 => (target(), portal_groups()).prop_map(|(target, portal_groups)| {
            Command::SetPortalGroups { target, portal_groups }
        }),
        2 => (volume(), proptest::collection::vec(access_change(), 0..4), any::<bool>()).prop_map(
            |(volume, changes, explicit)| {
                let by = if explicit { AlteredBy::Explicit } else { AlteredBy::Implicit };
                Command::SetAsymmetricAccess { volume, changes, by }
            }
        ),
        1 => (target(), any::<bool>())
            .prop_map(|(target, force)| Command::DeleteTarget { target, force }),
        4 => (target(), volume(), proptest::option::of(number()), any::<bool>()).prop_map(
            |(target, volume, number, read_only)| {
                Command::MapLun { target, volume, number, read_only }
            }
        ),
        1 => (target(), number()).prop_map(|(target, number)| Command::UnmapLun { target, number }),
        1 => (target(), proptest::option::of(redirect()))
            .prop_map(|(target, redirect)| Command::SetRedirect { target, redirect }),
        2 => (target(), proptest::option::of(subject()), parameters(), any::<bool>()).prop_map(
            |(target, subject, set, reset)| {
                let all = SessionParameters::NAMES.iter().filter(|_| reset);
                let reset = all.map(ToString::to_string).collect();
                Command::SetParameters { target, subject, set, reset }
            }
        ),
        4 => (scope(), subject(), access()).prop_map(|(scope, subject, access)| {
            Command::SetAccess { scope, entry: AclEntry { subject, access } }
        }),
        1 => (scope(), subject())
            .prop_map(|(scope, subject)| Command::RemoveAccess { scope, subject }),
    ]
}

/// What hosts remember of a volume, by its identity, and of a target, while there is one.
fn remembered(catalog: &Catalog) -> HashMap<String, (String, String)> {
    let volumes = catalog
        .volumes()
        .map(|v| (v.id.to_string(), (v.naa_text(), v.serial.clone())));
    let targets = catalog.targets().map(|t| {
        (
            t.name.to_string(),
            (t.relative_port.to_string(), String::new()),
        )
    });
    volumes.chain(targets).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_history_leads_to_a_catalog_that_survives_encoding(
        commands in proptest::collection::vec(command(), 0..60)
    ) {
        let mut catalog = Catalog::new(DaemonIdentity(Uuid::from_u128(1)));
        for command in commands {
            let before = catalog.clone();
            match catalog.apply(command) {
                Ok(changes) => prop_assert_eq!(
                    catalog.generation(),
                    before.generation() + u64::from(!changes.is_empty())
                ),
                Err(error) => {
                    prop_assert_eq!(&catalog, &before);
                    prop_assert!(!error.to_string().contains("a secret \""));
                    prop_assert!(!error.hint().is_empty());
                }
            }
            let known = remembered(&before);
            for (whose, what) in remembered(&catalog) {
                if let Some(known) = known.get(&whose) {
                    prop_assert_eq!(known, &what);
                }
            }
            let encoded = catalog.encode();
            // Decoding also checks that the catalog doesn't contradict itself.
            prop_assert_eq!(Catalog::decode(&encoded), Ok(catalog.clone()));
        }
        let printed = format!("{catalog:?}");
        prop_assert!(!printed.contains("a secret"));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Catalog::decode(&bytes).is_err());
        let mut with_head = b"tidelock-catalog 1 ".to_vec();
        with_head.extend(&bytes);
        prop_assert!(Catalog::decode(&with_head).is_err());
    }
}
