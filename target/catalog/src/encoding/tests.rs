//! Encodings: round trips, and a named error for every kind of damage.

use uuid::Uuid;

use super::*;
use crate::{
    Access, AccessChange, AccessState, AclEntry, AclScope, AlteredBy, BlockSize, ChapAccess,
    ChapUser, Command, Credentials, DaemonIdentity, NewVolume, PortalGroupTag, PortalGroups,
    Secret, Subject, VolumeId, VolumeName,
};

const TARGET: &str = "iqn.2024-01.com.example:disks";

fn sample() -> Catalog {
    let credentials = |user, secret| Credentials {
        user: ChapUser::new(user).unwrap(),
        secret: Secret::new(secret).unwrap(),
    };
    let volume = VolumeName::new("db").unwrap();
    let target: crate::IscsiName = TARGET.parse().unwrap();
    let mut catalog = Catalog::new(DaemonIdentity(Uuid::from_u128(7)));
    for command in [
        Command::CreateVolume(NewVolume {
            name: volume.clone(),
            id: VolumeId(Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef)),
            path: "/var/lib/tidelock/volumes/db".into(),
            size_bytes: 1 << 30,
            block_size: BlockSize::B512,
            managed: true,
            preallocated: false,
            direct: false,
            write_cache: true,
            integrity: crate::volume::Integrity::Usual,
            limits: crate::volume::SpaceLimits::default(),
        }),
        Command::SetAsymmetricAccess {
            volume: volume.clone(),
            changes: vec![AccessChange {
                group: PortalGroupTag::new(2).unwrap(),
                state: Some(AccessState::Standby),
                preferred: Some(true),
            }],
            by: AlteredBy::Implicit,
        },
        Command::CreateTarget {
            target: target.clone(),
            portal_groups: PortalGroups::only([PortalGroupTag::new(2).unwrap()]).unwrap(),
        },
        Command::MapLun {
            target: target.clone(),
            volume,
            number: None,
            read_only: false,
        },
        Command::SetAccess {
            scope: AclScope::Target(target),
            entry: AclEntry {
                subject: Subject {
                    initiator: "iqn.2024-01.com.example:host".parse().unwrap(),
                    network: None,
                },
                access: Access::Allow {
                    chap: Some(ChapAccess {
                        initiator: credentials("host", "sesame open now"),
                        mutual: Some(credentials("tidelock", "it is me indeed")),
                    }),
                },
            },
        },
    ] {
        catalog.apply(command).unwrap();
    }
    catalog
}

/// Header and checksum for a body that was changed on purpose.
fn seal(body: &str) -> Vec<u8> {
    let head = format!("{MAGIC} {VERSION} length={}", body.len());
    let crc = checksum(head.as_bytes(), body.as_bytes());
    format!("{head} crc32c={crc:08x}\n{body}").into_bytes()
}

fn body() -> String {
    let text = String::from_utf8(sample().encode()).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn what_was_encoded_is_decoded_again() {
    let catalog = sample();
    assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
    let empty = Catalog::new(DaemonIdentity(Uuid::nil()));
    assert_eq!(Catalog::decode(&empty.encode()), Ok(empty));
}

/// The bytes that a released version wrote must be read for ever.
#[test]
fn the_format_is_the_one_of_version_1() {
    let text = String::from_utf8(Catalog::new(DaemonIdentity(Uuid::nil())).encode()).unwrap();
    assert_eq!(
        text,
        "tidelock-catalog 1 length=154 crc32c=ef7f6f40\n{\n  \"daemon\": \
         \"00000000-0000-0000-0000-000000000000\",\n  \"generation\": 0,\n  \
         \"last_relative_port\": 0,\n  \"volumes\": [],\n  \"targets\": [],\n  \
         \"discovery\": []\n}\n"
    );
}

#[test]
fn a_catalog_cut_off_anywhere_is_a_named_error() {
    let bytes = sample().encode();
    for len in 0..bytes.len() {
        let error = Catalog::decode(&bytes[..len]).unwrap_err();
        let head = bytes.iter().position(|&b| b == b'\n').unwrap();
        match error {
            DecodeError::NotACatalog => assert!(len <= MAGIC.len()),
            DecodeError::Version { .. } => assert_eq!(len, MAGIC.len() + 1),
            DecodeError::Header { .. } => assert!(len <= head),
            DecodeError::Length { found, .. } => assert_eq!(found, len - head - 1),
            other => panic!("{len}: {other}"),
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_a_named_error() {
    let bytes = sample().encode();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1 << bit;
            let error = Catalog::decode(&damaged).unwrap_err();
            assert!(
                !matches!(
                    error,
                    DecodeError::Body { .. } | DecodeError::Inconsistent { .. }
                ),
                "byte {index}, bit {bit}: noticed only by {error}"
            );
        }
    }
}

#[test]
fn bytes_after_the_end_are_noticed() {
    let mut bytes = sample().encode();
    bytes.push(b'\n');
    assert!(matches!(
        Catalog::decode(&bytes),
        Err(DecodeError::Length { .. })
    ));
}

#[test]
fn another_version_is_named() {
    let text = String::from_utf8(sample().encode()).unwrap();
    for version in ["2", "0", "01", "next", ""] {
        let text = text.replacen(" 1 ", &format!(" {version} "), 1);
        let error = Catalog::decode(text.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            DecodeError::Version {
                found: version.into()
            }
        );
    }
}

#[test]
fn a_field_that_this_version_does_not_know_is_refused_by_its_name() {
    for (place, field) in [
        ("\"generation\"", "quorum"),
        ("\"naa\"", "encrypted"),
        ("\"relative_port\"", "alua_state"),
        ("\"group\"", "weight"),
        ("\"read_only\"", "priority"),
        ("\"allow\"", "from_network"),
        ("\"secret\"", "expires"),
    ] {
        let body = body().replacen(place, &format!("\"{field}\": true, {place}"), 1);
        let error = Catalog::decode(&seal(&body)).unwrap_err();
        assert!(matches!(error, DecodeError::Body { .. }), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn a_field_that_is_missing_is_named() {
    let body = body().replacen("\"generation\": 5,", "", 1);
    let error = Catalog::decode(&seal(&body)).unwrap_err().to_string();
    assert!(error.contains("missing field `generation`"), "{error}");
}

#[test]
fn no_error_contains_a_secret() {
    for (from, to) in [
        ("\"sesame open now\"", "[\"sesame open now\"]"),
        ("\"generation\": 5", "\"generation\": \"sesame open now\""),
        ("\"sesame open now\"", "\"sesame\\nopen now\""),
        ("sesame open now", "sesame"),
        ("it is me indeed", "sesame open now"),
    ] {
        let changed = body().replacen(from, to, 1);
        assert_ne!(changed, body());
        let error = Catalog::decode(&seal(&changed)).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("sesame"),
            "{error:?}"
        );
    }
}

#[test]
fn what_no_history_leads_to_is_refused_with_its_place() {
    let lun = "\"number\": 0,\n          \"volume\": \"db\"";
    for (from, to, says) in [
        (
            "\"name\": \"db\"",
            "\"name\": \"other\"",
            "LUN 0: there is no volume db",
        ),
        (
            lun,
            "\"number\": 16384,\n          \"volume\": \"db\"",
            "no LUN can have number 16384",
        ),
        (
            "\"relative_port\": 1",
            "\"relative_port\": 0",
            "relative port",
        ),
        (
            "\"size_bytes\": 1073741824",
            "\"size_bytes\": 1000",
            "volume db: 1000 bytes is not",
        ),
        (
            "\"block_bytes\": 512",
            "\"block_bytes\": 520",
            "volume db: its block size",
        ),
        (
            "\"naa\": \"3",
            "\"naa\": \"6",
            "volume db: its NAA designator",
        ),
        (
            "\"naa\": \"3",
            "\"naa\": \"+3",
            "volume db: its NAA designator",
        ),
        ("\"path\": \"/", "\"path\": \"", "it isn't absolute"),
        (
            "\"allow\": true",
            "\"allow\": false",
            "a denial has no CHAP",
        ),
        (
            "it is me indeed",
            "sesame open now",
            "CHAP secret is also an initiator's",
        ),
        (
            "iqn.2024-01.com.example:host",
            "example host",
            "can't be in an iSCSI name",
        ),
    ] {
        let changed = body().replacen(from, to, 1);
        assert_ne!(changed, body(), "{from}");
        let error = Catalog::decode(&seal(&changed)).unwrap_err();
        if !says.is_empty() {
            assert!(
                matches!(error, DecodeError::Inconsistent { .. }),
                "{error:?}"
            );
        }
        assert!(error.to_string().contains(says), "{error}: {says}");
    }
}

#[test]
fn groups_and_states_that_cannot_be_are_refused() {
    for (from, to, says) in [
        (
            "\"group\": 2",
            "\"group\": 17",
            "17 can't be a portal group",
        ),
        (
            "\"state\": \"standby\"",
            "\"state\": \"asleep\"",
            "unknown access state",
        ),
        (
            "\"portal_groups\": [\n        2\n      ]",
            "\"portal_groups\": []",
            "it has no portal group",
        ),
    ] {
        let changed = body().replacen(from, to, 1);
        assert_ne!(changed, body(), "{from}");
        let error = Catalog::decode(&seal(&changed)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}: {says}");
    }
}

/// The tag of a target of former catalogs had no portals of its own: it is read, and forgotten.
#[test]
fn a_catalog_from_before_portal_groups_is_read() {
    let old = body()
        .replacen(
            "\"portal_groups\": [\n        2\n      ]",
            "\"portal_group_tag\": 4000",
            1,
        )
        .replacen("\"access\": [", "\"former\": [", 1);
    let mut document: serde_json::Value = serde_json::from_str(&old).unwrap();
    let volume = document["volumes"][0].as_object_mut().unwrap();
    assert!(volume.remove("former").is_some());
    let catalog = Catalog::decode(&seal(&document.to_string())).unwrap();
    let target = catalog.targets().next().unwrap();
    assert_eq!(target.portal_groups, PortalGroups::ALL);
    assert!(catalog.volumes().next().unwrap().access.is_empty());
    let again = String::from_utf8(catalog.encode()).unwrap();
    assert!(!again.contains("portal_group") && !again.contains("access"));
}

#[test]
fn what_is_there_twice_is_refused() {
    let document: serde_json::Value = serde_json::from_str(&body()).unwrap();
    for list in [
        "/volumes",
        "/targets",
        "/targets/0/luns",
        "/targets/0/acl",
        "/volumes/0/access",
    ] {
        let mut document = document.clone();
        let items = document.pointer_mut(list).unwrap().as_array_mut().unwrap();
        items.push(items[0].clone());
        let error = Catalog::decode(&seal(&document.to_string())).unwrap_err();
        assert!(error.to_string().contains("twice"), "{list}: {error}");
    }
}

#[test]
fn identifiers_that_hosts_remember_are_unique() {
    let document: serde_json::Value = serde_json::from_str(&body()).unwrap();
    let all = ["id", "naa", "serial", "path"];
    for same in all {
        let mut document = document.clone();
        let volumes = document
            .pointer_mut("/volumes")
            .unwrap()
            .as_array_mut()
            .unwrap();
        let mut other = volumes[0].clone();
        other["name"] = "other".into();
        for field in all.into_iter().filter(|&field| field != same) {
            other[field] = match field {
                "id" => "00000000-0000-0000-0000-000000000001",
                "naa" => "3000000000000001",
                "serial" => "1",
                _ => "/1",
            }
            .into();
        }
        volumes.push(other);
        let error = Catalog::decode(&seal(&document.to_string())).unwrap_err();
        assert!(
            error.to_string().contains("same file or identity"),
            "{same}: {error}"
        );
    }
}

#[test]
fn deep_nesting_and_absurd_lengths_are_refused() {
    let error = Catalog::decode(&seal(&"[".repeat(100_000))).unwrap_err();
    assert!(matches!(error, DecodeError::Body { .. }), "{error}");
    let absurd = format!("{MAGIC} 1 length=99999999999999999999 crc32c=00000000\n");
    assert!(matches!(
        Catalog::decode(absurd.as_bytes()),
        Err(DecodeError::Header { .. })
    ));
    let endless = format!("{MAGIC} 1 length={}", "9".repeat(1 << 20));
    assert!(matches!(
        Catalog::decode(endless.as_bytes()),
        Err(DecodeError::Header { .. })
    ));
}

#[test]
fn an_access_list_of_the_first_release_is_read_as_it_was_meant() {
    let discovery = "\"discovery\": [{\"initiator\": \"*\", \"allow\": false}, {\"initiator\": \
                     \"iqn.2024-01.com.example:a\", \"allow\": true}]";
    let body = body().replacen("\"discovery\": []", discovery, 1);
    let catalog = Catalog::decode(&seal(&body)).unwrap();
    let entries: Vec<_> = catalog
        .discovery()
        .entries()
        .map(|(subject, access)| (subject.to_string(), *access == Access::Deny))
        .collect();
    assert_eq!(
        entries,
        [
            ("*".to_owned(), true),
            ("iqn.2024-01.com.example:a".to_owned(), false)
        ]
    );
}

#[test]
fn networks_and_beginnings_of_names_survive_encoding_and_bad_ones_are_refused() {
    let with = |initiator: &str, network: &str| {
        let entry = format!(
            "\"discovery\": [{{\"initiator\": \"{initiator}\", \"network\": \"{network}\", \
             \"allow\": true}}]"
        );
        Catalog::decode(&seal(&body().replacen("\"discovery\": []", &entry, 1)))
    };
    let catalog = with("iqn.2024-01.com.example:*", "fd00::/8").unwrap();
    assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
    for (initiator, network, says) in [
        ("*", "10.0.0.1/8", "write 10.0.0.0/8"),
        ("*", "everywhere", "is not a network"),
        ("a*", "10.0.0.0/8", "the beginning of an iSCSI name"),
    ] {
        let error = with(initiator, network).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_redirection_survives_encoding_and_a_bad_one_is_refused() {
    let with = |redirect: &str| {
        let field = format!("\"redirect\": {redirect}, \"relative_port\"");
        Catalog::decode(&seal(&body().replacen("\"relative_port\"", &field, 1)))
    };
    let catalog = with(r#"{"to": "[fd00::1]:3261", "permanent": true}"#).unwrap();
    assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
    for (redirect, says) in [
        (
            r#"{"to": "192.0.2.1,1", "permanent": true}"#,
            "portal group tag",
        ),
        (
            r#"{"to": "0.0.0.0", "permanent": true}"#,
            "nobody can log in",
        ),
        (r#"{"to": "a", "permanent": true, "until": 1}"#, "until"),
        (r#"{"to": "a"}"#, "missing field `permanent`"),
    ] {
        let error = with(redirect).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn parameters_survive_encoding_and_bad_ones_are_refused() {
    let with = |place: &str, parameters: &str| {
        let field = format!("\"parameters\": {parameters}, {place}");
        let changed = body().replacen(place, &field, 1);
        assert_ne!(changed, body());
        Catalog::decode(&seal(&changed))
    };
    for place in ["\"relative_port\"", "\"allow\""] {
        let set = r#"{"header_digest": "required", "initial_r2t": false, "queue_depth": 4}"#;
        let catalog = with(place, set).unwrap();
        assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
        for (parameters, says) in [
            (r#"{"queue_depth": 0}"#, "queue_depth can't be 0"),
            (r#"{"queue-depth": 1}"#, "queue-depth"),
            (
                r#"{"max_burst_length": 512, "first_burst_length": 513}"#,
                "can't be more than",
            ),
            (r#"{"header_digest": "sometimes"}"#, "unknown variant"),
        ] {
            let error = with(place, parameters).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
    let denied = body()
        .replacen("\"discovery\": []", "\"discovery\": [{\"initiator\": \"*\", \"allow\": false, \"parameters\": {\"queue_depth\": 4}}]", 1);
    let error = Catalog::decode(&seal(&denied)).unwrap_err().to_string();
    assert!(error.contains("a denial has no parameters"), "{error}");
}

#[test]
fn limits_and_integrity_come_back_and_a_plain_file_with_full_integrity_is_refused() {
    use crate::volume::{Integrity, SpaceLimits};
    let mut catalog = sample();
    let volume = VolumeName::new("safe").unwrap();
    let new = NewVolume {
        name: volume.clone(),
        id: VolumeId(Uuid::from_u128(77)),
        path: "/var/lib/tidelock/volumes/safe".into(),
        size_bytes: 1 << 30,
        block_size: BlockSize::B512,
        managed: true,
        preallocated: false,
        direct: false,
        write_cache: true,
        integrity: Integrity::Full,
        limits: SpaceLimits {
            limit_bytes: Some(1 << 30),
            warn_percent: Some(80),
        },
    };
    catalog.apply(Command::CreateVolume(new)).unwrap();
    let error = Catalog::decode(&catalog.encode()).unwrap_err();
    assert!(
        error.to_string().contains("and it is a plain file"),
        "{error}"
    );
    let place = crate::Place {
        family: crate::FamilyId(Uuid::from_u128(1)),
        dataset: crate::DatasetId(Uuid::from_u128(2)),
    };
    let join = Command::JoinFamily {
        volume: volume.clone(),
        place,
    };
    catalog.apply(join).unwrap();
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    // It never becomes a plain file again.
    let error = catalog.apply(Command::LeaveFamily {
        volume: volume.clone(),
    });
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("can't be a plain file")
    );
    for (limit_bytes, warn_percent) in [
        (Some(4_096), None),
        (None, Some(80)),
        (Some(1 << 30), Some(0)),
        (Some(1 << 30), Some(100)),
    ] {
        let limits = SpaceLimits {
            limit_bytes,
            warn_percent,
        };
        let volume = volume.clone();
        let before = catalog.clone();
        assert!(
            catalog
                .apply(Command::SetSpaceLimits { volume, limits })
                .is_err()
        );
        assert_eq!(catalog, before);
    }
    let limits = SpaceLimits::default();
    catalog
        .apply(Command::SetSpaceLimits { volume, limits })
        .unwrap();
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
}
