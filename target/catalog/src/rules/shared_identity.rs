//! Rules about volumes that are one logical unit with another daemon's.

use crate::command::Change;
use crate::document::Catalog;
use crate::error::CatalogError;
use crate::rules::volumes::{check_not_mapped, find_writable};
use crate::shared_identity::SharedIdentity;
use crate::volume::VolumeName;

/// Hosts that know a volume as something else would write to what they take for another disk: so it may only be shown
/// as what it was, or not be shown at all.
pub(super) fn share(
    catalog: &mut Catalog,
    name: VolumeName,
    identity: SharedIdentity,
) -> Result<Vec<Change>, CatalogError> {
    let own = SharedIdentity::of(find_writable(catalog, &name)?);
    let now = catalog.shared.get(&name);
    if now == Some(&identity) {
        return Ok(Vec::new());
    }
    if *now.unwrap_or(&own) != identity {
        check_not_mapped(catalog, &name)?;
    }
    check(catalog, &name, &identity)?;
    catalog.shared.insert(name.clone(), identity.clone());
    Ok(vec![Change::IdentityShared {
        volume: name,
        identity,
    }])
}

/// No other volume here may be the same disk to hosts.
pub(crate) fn check(
    catalog: &Catalog,
    name: &VolumeName,
    identity: &SharedIdentity,
) -> Result<(), CatalogError> {
    if !identity.is_possible() {
        let volume = name.clone();
        return Err(CatalogError::SharedIdentity { volume });
    }
    let others = catalog.volumes.values().filter(|it| it.name != *name);
    let others = others.map(|it| (&it.name, it.naa, it.serial.as_str()));
    let shared = catalog.shared.iter().filter(|(it, _)| *it != name);
    let shared = shared.map(|(it, identity)| (it, identity.naa, identity.serial.as_str()));
    let mut all = others.chain(shared);
    match all.find(|(_, naa, serial)| *naa == identity.naa || *serial == identity.serial) {
        Some((other, ..)) => Err(CatalogError::SameDisk {
            volume: name.clone(),
            other: other.clone(),
        }),
        None => Ok(()),
    }
}

/// It is a logical unit of its own again, in the access states that any other begins with.
pub(super) fn unshare(
    catalog: &mut Catalog,
    name: VolumeName,
) -> Result<Vec<Change>, CatalogError> {
    let own = SharedIdentity::of(catalog.volume(&name)?);
    let Some(identity) = catalog.shared.get(&name) else {
        return Ok(Vec::new());
    };
    if *identity != own {
        check_not_mapped(catalog, &name)?;
    }
    catalog.shared.remove(&name);
    if let Some(volume) = catalog.volumes.get_mut(&name) {
        volume.access.clear();
    }
    Ok(vec![Change::IdentityUnshared { volume: name }])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::asymmetric_access::{AccessChange, AccessState, AlteredBy};
    use crate::command::Command;
    use crate::document::DaemonIdentity;
    use crate::portal_group::{PortalGroupTag, PortalGroups};
    use crate::volume::{BlockSize, Integrity, NewVolume, SpaceLimits, VolumeId};

    fn name(text: &str) -> VolumeName {
        VolumeName::new(text).unwrap()
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::new(DaemonIdentity(Uuid::from_u128(1)));
        for (number, volume) in ["a", "b"].into_iter().enumerate() {
            let new = NewVolume {
                name: name(volume),
                id: VolumeId(Uuid::from_u128(0x1234 << 80 | (number as u128 + 1))),
                path: format!("/v/{volume}"),
                size_bytes: 1 << 20,
                block_size: BlockSize::B512,
                managed: true,
                preallocated: false,
                direct: false,
                write_cache: true,
                integrity: Integrity::Usual,
                limits: SpaceLimits::default(),
            };
            catalog.apply(Command::CreateVolume(new)).unwrap();
        }
        catalog
    }

    fn map(catalog: &mut Catalog, volume: &str) {
        let target = crate::IscsiName::new("iqn.2026-11.test:t").unwrap();
        if catalog.target(&target).is_err() {
            let create = Command::CreateTarget {
                target: target.clone(),
                portal_groups: PortalGroups::ALL,
            };
            catalog.apply(create).unwrap();
        }
        let map = Command::MapLun {
            target,
            volume: name(volume),
            number: None,
            read_only: false,
        };
        catalog.apply(map).unwrap();
    }

    fn share(volume: &str, identity: &SharedIdentity) -> Command {
        Command::ShareIdentity {
            volume: name(volume),
            identity: identity.clone(),
        }
    }

    fn elsewhere() -> SharedIdentity {
        SharedIdentity::parse("3fffffffffffffff", "elsewhere").unwrap()
    }

    #[test]
    fn the_source_keeps_its_own_identity_while_hosts_use_it() {
        let mut catalog = catalog();
        map(&mut catalog, "a");
        let own = SharedIdentity::of(catalog.volume(&name("a")).unwrap());
        let changes = catalog.apply(share("a", &own)).unwrap();
        assert!(matches!(changes[..], [Change::IdentityShared { .. }]));
        assert_eq!(catalog.apply(share("a", &own)).unwrap(), []);
        assert_eq!(catalog.shared_identity(&name("a")), Some(&own));
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
        let volume = name("a");
        catalog.apply(Command::UnshareIdentity { volume }).unwrap();
        assert_eq!(catalog.shared_identity(&name("a")), None);
    }

    #[test]
    fn what_hosts_use_does_not_become_another_disk_under_them() {
        let mut catalog = catalog();
        map(&mut catalog, "b");
        let error = catalog.apply(share("b", &elsewhere())).unwrap_err();
        assert!(
            matches!(error, CatalogError::VolumeIsMapped { .. }),
            "{error}"
        );
        let mut catalog = self::catalog();
        catalog.apply(share("b", &elsewhere())).unwrap();
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
        map(&mut catalog, "b");
        let volume = name("b");
        let error = catalog
            .apply(Command::UnshareIdentity { volume })
            .unwrap_err();
        assert!(
            matches!(error, CatalogError::VolumeIsMapped { .. }),
            "{error}"
        );
    }

    #[test]
    fn no_two_volumes_of_a_daemon_are_one_disk() {
        let mut catalog = catalog();
        let of_a = SharedIdentity::of(catalog.volume(&name("a")).unwrap());
        let error = catalog.apply(share("b", &of_a)).unwrap_err();
        assert!(error.to_string().contains("volume a"), "{error}");
        catalog.apply(share("a", &elsewhere())).unwrap();
        let error = catalog.apply(share("b", &elsewhere())).unwrap_err();
        assert!(error.to_string().contains("volume a"), "{error}");
        let odd = SharedIdentity {
            serial: "with space".into(),
            ..elsewhere()
        };
        let error = catalog.apply(share("b", &odd)).unwrap_err();
        assert!(
            matches!(error, CatalogError::SharedIdentity { .. }),
            "{error}"
        );
        for (naa, serial) in [
            ("5fffffffffffffff", "x"),
            ("3F", "x"),
            ("3fffffffffffffff", ""),
        ] {
            assert_eq!(SharedIdentity::parse(naa, serial), None, "{naa} {serial}");
        }
    }

    #[test]
    fn what_follows_its_end_begins_anew_afterwards_and_a_deleted_volume_leaves_nothing() {
        let mut catalog = catalog();
        catalog.apply(share("b", &elsewhere())).unwrap();
        let standby = AccessChange {
            group: PortalGroupTag::DEFAULT,
            state: Some(AccessState::Standby),
            preferred: None,
        };
        let set = Command::SetAsymmetricAccess {
            volume: name("b"),
            changes: vec![standby],
            by: AlteredBy::Implicit,
        };
        catalog.apply(set).unwrap();
        let volume = name("b");
        catalog.apply(Command::UnshareIdentity { volume }).unwrap();
        assert!(catalog.volume(&name("b")).unwrap().access.is_empty());
        catalog.apply(share("b", &elsewhere())).unwrap();
        catalog
            .apply(Command::DeleteVolume { volume: name("b") })
            .unwrap();
        assert_eq!(catalog.shared_identity(&name("b")), None);
        assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }
}
