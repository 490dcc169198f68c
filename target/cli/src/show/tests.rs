//! Tables as people see them.

use tidelock_admin::v1;

use super::*;

const TARGET: &str = "iqn.2024-01.com.example:disks";

fn sample_volume(name: &str) -> v1::Volume {
    v1::Volume {
        name: name.into(),
        id: "01234567-89ab-4def-8123-456789abcdef".into(),
        naa: "31234567789abcde".into(),
        serial: "0123456789ab4def8123456789abcdef".into(),
        path: format!("/var/lib/tidelock/volumes/{name}"),
        size_bytes: 10 << 30,
        allocated_bytes: Some(3 << 29),
        block_bytes: 512,
        managed: true,
        preallocated: false,
        direct: false,
        write_cache: true,
        integrity: v1::Integrity::Usual,
        used_bytes: Some(3 << 29),
        limits: v1::SpaceLimits::default(),
        state: v1::VolumeState::Ready,
        detail: String::new(),
        reservations: None,
        family: None,
        groups: Vec::new(),
        mappings: vec![v1::Mapping {
            target: TARGET.into(),
            lun: 0,
            read_only: true,
        }],
    }
}

#[test]
fn volumes_are_a_table() {
    let mut broken = sample_volume("longer-name");
    broken.state = v1::VolumeState::Failed;
    broken.allocated_bytes = None;
    broken.mappings.clear();
    assert_eq!(
        volumes(&[sample_volume("db"), broken]),
        "\
NAME           SIZE  ALLOCATED  STATE   MAPPED                               FILE
db           10 GiB    1.5 GiB  ready   iqn.2024-01.com.example:disks LUN 0  /var/lib/tidelock/volumes/db
longer-name  10 GiB          ?  FAILED  -                                    /var/lib/tidelock/volumes/longer-name
"
    );
    assert!(volumes(&[]).contains("tidelock volume create"));
}

#[test]
fn a_volume_that_takes_more_than_it_may_tells_what_becomes_of_it() {
    let mut full = sample_volume("db");
    assert_eq!(over_limit(&full), "");
    full.limits.limit_bytes = Some(2 << 30);
    assert_eq!(over_limit(&full), "");
    full.limits.limit_bytes = Some(1 << 30);
    assert_eq!(
        over_limit(&full),
        "it takes 1.5 GiB already: writes that need more are refused until it takes less\n"
    );
    full.used_bytes = None;
    assert_eq!(over_limit(&full), "");
}

#[test]
fn a_reserved_volume_tells_who_has_a_part_in_it() {
    let registrant = |number: u8, holder| v1::Registrant {
        initiator_port: format!("iqn.2024-01.com.example:host{number},i,0x00023d00000{number}"),
        relative_port: 1,
        key: format!("0x000000000000abc{number}"),
        holder,
    };
    let mut reserved = sample_volume("db");
    reserved.reservations = Some(v1::Reservations {
        reservation: Some(v1::ReservationType::WriteExclusiveRegistrantsOnly),
        reserved_by: None,
        registrants: vec![registrant(1, true), registrant(2, false)],
        persistent: true,
    });
    let text = volume(&reserved);
    assert!(
        text.contains(
            "\
reservation   Write Exclusive, registrants only (kept over restarts)
registered    iqn.2024-01.com.example:host1,i,0x00023d000001 key 0x000000000000abc1 at target port 1, holder
registered    iqn.2024-01.com.example:host2,i,0x00023d000002 key 0x000000000000abc2 at target port 1
mapped "
        ),
        "{text}"
    );
    reserved.reservations = Some(v1::Reservations {
        reserved_by: Some("iqn.2024-01.com.example:old,i,0x000000000001".into()),
        ..v1::Reservations::default()
    });
    let text = volume(&reserved);
    assert!(
        text.contains("reservation   RESERVE by iqn.2024-01.com.example:old,i,0x000000000001\n"),
        "{text}"
    );
}

#[test]
fn a_volume_is_a_list_of_properties() {
    let mut fenced = sample_volume("db");
    fenced.state = v1::VolumeState::Fenced;
    fenced.detail = "fdatasync failed".into();
    fenced.write_cache = false;
    assert_eq!(
        volume(&fenced),
        "\
name          db
size          10 GiB (10737418240 bytes)
allocated     1.5 GiB
state         FENCED: fdatasync failed
file          /var/lib/tidelock/volumes/db (kept by the daemon, deleted with the volume)
block size    512 bytes
preallocated  no
direct I/O    no
write cache   off (every write is durable)
checksums     none; what is written after its first snapshot has some
serial        0123456789ab4def8123456789abcdef
NAA           31234567789abcde
id            01234567-89ab-4def-8123-456789abcdef
mapped        iqn.2024-01.com.example:disks LUN 0 (read only)
"
    );
}

fn sample_target() -> v1::Target {
    let chap = |mutual: Option<&str>| {
        Some(v1::ChapUsers {
            user: "host".into(),
            mutual_user: mutual.map(Into::into),
        })
    };
    let entry = |initiator: &str, network: Option<&str>, access, chap| v1::AccessEntry {
        initiator: initiator.into(),
        network: network.map(Into::into),
        access,
        chap,
        parameters: v1::SessionParameters::default(),
    };
    v1::Target {
        name: TARGET.into(),
        relative_port: 1,
        portal_group_tag: 1,
        portal_groups: Some(vec![1, 3]),
        luns: vec![
            v1::Lun {
                lun: 0,
                volume: "db".into(),
                read_only: false,
            },
            v1::Lun {
                lun: 10,
                volume: "logs".into(),
                read_only: true,
            },
        ],
        acl: vec![
            entry("*", None, v1::AccessKind::Deny, None),
            entry(
                "iqn.1994-05.com.redhat:a",
                Some("10.0.0.0/8"),
                v1::AccessKind::Allow,
                chap(None),
            ),
            entry(
                "iqn.1994-05.com.redhat:b",
                None,
                v1::AccessKind::Allow,
                chap(Some("tidelock")),
            ),
        ],
        sessions: 2,
        redirect: Some(v1::Redirect {
            address: "[fd00::1]:3260".into(),
            permanent: true,
        }),
        parameters: v1::SessionParameters {
            queue_depth: Some(8),
            initial_r2t: Some(false),
            ..v1::SessionParameters::default()
        },
    }
}

#[test]
fn a_target_shows_its_luns_and_who_may_log_in() {
    assert_eq!(
        target(&sample_target()),
        "\
name           iqn.2024-01.com.example:disks
portal groups  1,3
relative port  1
sessions       2
redirect       to [fd00::1]:3260, for good
parameters     initial-r2t=no queue-depth=8

LUN  VOLUME  READ ONLY
  0  db      no
 10  logs    yes

INITIATOR                 FROM        ACCESS  CHAP USER  MUTUAL USER
*                         anywhere    deny    -          -
iqn.1994-05.com.redhat:a  10.0.0.0/8  allow   host       -
iqn.1994-05.com.redhat:b  anywhere    allow   host       tidelock
"
    );
    assert_eq!(
        targets(&[sample_target()]),
        "\
TARGET                         LUNS  ACL ENTRIES  SESSIONS
iqn.2024-01.com.example:disks     2            3         2
"
    );
}

#[test]
fn what_is_empty_says_what_to_do() {
    let empty = v1::Target {
        luns: vec![],
        acl: vec![],
        ..sample_target()
    };
    let text = target(&empty);
    assert!(
        text.contains("tidelock lun map") && text.contains("tidelock acl allow"),
        "{text}"
    );
    assert!(targets(&[]).contains("tidelock target create"));
    let list = v1::AccessList {
        scope: "discovery".into(),
        entries: vec![],
    };
    assert!(access_list(&list).contains("every initiator may discover"));
    assert_eq!(sessions(&[], 0), "no sessions\n");
}

#[test]
fn sessions_are_a_table() {
    let session = v1::Session {
        id: 12,
        initiator: "iqn.1994-05.com.redhat:a".into(),
        target: Some(TARGET.into()),
        portal_group: Some(1),
        isid: "00023d000001".into(),
        tsih: 1,
        peer: "192.0.2.7:41234".into(),
        connections: vec!["192.0.2.7:41234".into(), "192.0.2.8:41235".into()],
        since_unix_ms: 1_000,
        header_digest: true,
        data_digest: true,
        reactor: 0,
        commands: 1_234,
        read_bytes: 5 << 20,
        written_bytes: 0,
    };
    let discovery = v1::Session {
        id: 3,
        target: None,
        header_digest: false,
        connections: vec!["192.0.2.7:41234".into()],
        ..session.clone()
    };
    assert_eq!(
        sessions(&[session, discovery], 3_662_000),
        "\
ID  INITIATOR                 TARGET                         FROM                              FOR        DIGESTS  COMMANDS   READ  WRITTEN
12  iqn.1994-05.com.redhat:a  iqn.2024-01.com.example:disks  192.0.2.7:41234, 192.0.2.8:41235  1 h 1 min  both         1234  5 MiB      0 B
 3  iqn.1994-05.com.redhat:a  (discovery)                    192.0.2.7:41234                   1 h 1 min  data         1234  5 MiB      0 B
"
    );
}

#[test]
fn the_status_is_a_list_of_properties() {
    let sample = v1::Status {
        version: "0.1.0".into(),
        daemon_id: "00000000-0000-4000-8000-000000000001".into(),
        pid: 4_711,
        uptime_seconds: 93_784,
        backend: v1::Backend {
            name: "io_uring".into(),
            reason: "the kernel grants it".into(),
        },
        reactors: 2,
        portals: vec!["0.0.0.0:3260".into(), "[::]:3260".into()],
        portal_groups: Vec::new(),
        peer: None,
        state_dir: "/var/lib/tidelock".into(),
        catalog_generation: 42,
        memory: v1::Memory {
            in_use_bytes: 12 << 20,
            ceiling_bytes: 1 << 30,
        },
        sessions: 3,
        targets: 2,
        volumes: v1::VolumeCounts {
            loading: 0,
            ready: 5,
            fenced: 1,
            failed: 0,
        },
        snapshots: 7,
        space: Some(v1::Space {
            available_bytes: 30 << 30,
            total_bytes: 120 << 30,
            warn_below_percent: 10,
        }),
    };
    assert_eq!(
        status(&sample),
        "\
daemon     tidelockd 0.1.0, process 4711
up for     1 d 2 h
portals    0.0.0.0:3260, [::]:3260
back end   io_uring (the kernel grants it)
reactors   2
memory     12 MiB of 1 GiB
volumes    5 ready, 1 FENCED
snapshots  7
space      30 GiB left of 120 GiB; hosts are warned below 10 %
targets    2
sessions   3
state      /var/lib/tidelock, generation 42
identity   00000000-0000-4000-8000-000000000001
"
    );
}

#[test]
fn access_states_are_a_table_by_group() {
    let port = |relative_port| v1::TargetPort {
        target: TARGET.into(),
        relative_port,
    };
    let group = |group, state, altered_by, ports| v1::GroupAccess {
        group,
        state,
        preferred: group == 1,
        altered_by,
        ports,
    };
    let access = v1::AsymmetricAccess {
        volume: "db".into(),
        groups: vec![
            group(1, v1::AccessState::ActiveOptimized, None, vec![port(1)]),
            group(
                12,
                v1::AccessState::Standby,
                Some(v1::AlteredBy::Host),
                Vec::new(),
            ),
        ],
    };
    assert_eq!(
        asymmetric_access(&access),
        "\
GROUP  STATE             PREFERRED  ALTERED BY  RELATIVE PORTS
    1  active-optimized  yes        -           1 of iqn.2024-01.com.example:disks
   12  standby           no         host        -
"
    );
}

fn sample_snapshot(name: &str) -> v1::Snapshot {
    v1::Snapshot {
        volume: "db".into(),
        name: name.into(),
        id: "01234567-89ab-4def-8123-456789abcdef".into(),
        at: "2026-11-26T10:34:56Z".into(),
        at_unix_ms: 1_795_689_296_000,
        size_bytes: 10 << 30,
        exclusive_bytes: None,
        stream_id: String::new(),
        quiesced: false,
        cause: v1::SnapshotCause::Schedule,
        group: None,
        clones: Vec::new(),
        mappings: Vec::new(),
    }
}

#[test]
fn snapshots_are_a_table_and_one_is_a_list_of_properties() {
    let mut used = sample_snapshot("monday");
    used.group = Some("both".into());
    used.exclusive_bytes = Some(3 << 20);
    used.clones = vec!["test".into(), "demo".into()];
    used.mappings = vec![v1::Mapping {
        target: TARGET.into(),
        lun: 3,
        read_only: true,
    }];
    assert_eq!(
        snapshots(&[sample_snapshot("auto-1"), used.clone()]),
        "\
SNAPSHOT   TAKEN                   SIZE  BY          CLONES      MAPPED
db@auto-1  2026-11-26T10:34:56Z  10 GiB  schedule    -           -
db@monday  2026-11-26T10:34:56Z  10 GiB  group both  test, demo  iqn.2024-01.com.example:disks LUN 3
"
    );
    assert!(snapshots(&[]).contains("tidelock snapshot create"));
    assert_eq!(
        snapshot(&used),
        "\
snapshot  db@monday
taken     2026-11-26T10:34:56Z
by        group both
size      10 GiB (10737418240 bytes)
content   crash consistent
its own   3 MiB
id        01234567-89ab-4def-8123-456789abcdef
clone     test
clone     demo
mapped    iqn.2024-01.com.example:disks LUN 3 (read only)
"
    );
}

#[test]
fn a_volume_tells_what_it_shares() {
    let mut shared = sample_volume("test");
    shared.groups = vec!["both".into()];
    shared.family = Some(v1::VolumeFamily {
        id: "00112233445566778899aabbccddeeff".into(),
        origin: Some(v1::Origin {
            volume: "db".into(),
            snapshot: "monday".into(),
            linked: true,
            copied: false,
            deleted: false,
        }),
        snapshots: 12,
        newest_snapshots: vec!["b".into(), "a".into()],
        clones: vec!["test2".into()],
        volumes: vec!["db".into(), "test".into()],
        data_bytes: Some(3 << 20),
        metadata_bytes: None,
        being_deleted: Some(2),
        coming_home_percent: None,
    });
    let text = volume(&shared);
    assert!(
        text.contains(
            "\
clone of      db@monday (linked)
snapshots     12: b, a and 10 more
clones        test2
shares with   db, test
shared space  3 MiB beside the file, unknown of maps in memory; 2 deleted, whose space is being given back or needed by clones
groups        both
mapped "
        ),
        "{text}"
    );
}

#[test]
fn differences_are_listed_and_added_up() {
    let mut sample = v1::Diff {
        from: "db@monday".into(),
        to: "db".into(),
        size_bytes: 1 << 30,
        ranges: vec![
            v1::DiffRange {
                offset_bytes: 0,
                length_bytes: 4_096,
            },
            v1::DiffRange {
                offset_bytes: 1 << 20,
                length_bytes: 12_288,
            },
        ],
        next_offset_bytes: None,
    };
    assert_eq!(
        diff(&sample),
        " OFFSET  LENGTH
      0    4096
1048576   12288
2 range(s), 16 KiB in all
"
    );
    sample.ranges.clear();
    assert_eq!(diff(&sample), "db@monday and db are the same\n");
}

#[test]
fn groups_and_schedules_are_tables() {
    let both = v1::Group {
        name: "both".into(),
        volumes: vec!["db".into(), "log".into()],
        sets: vec![v1::SnapshotSet {
            name: "monday".into(),
            at: "2026-11-26T10:34:56Z".into(),
            volumes: vec!["db".into()],
            complete: false,
        }],
    };
    assert_eq!(
        groups(std::slice::from_ref(&both)),
        "\
GROUP  VOLUMES  SETS  NEWEST
both   db, log     1  monday (2026-11-26T10:34:56Z)
"
    );
    assert_eq!(
        group(&both),
        "\
group    both
volumes  db, log
set      monday of 2026-11-26T10:34:56Z (db, some are deleted)
"
    );
    let schedule = v1::Schedule {
        volume: "db".into(),
        every_seconds: 3_600,
        keep: 24,
        next: "2026-11-26T11:00:00Z".into(),
        problem: String::new(),
    };
    assert_eq!(
        schedules(&[schedule]),
        "\
VOLUME  EVERY  KEEP  NEXT                  PROBLEM
db         1h    24  2026-11-26T11:00:00Z  -
"
    );
}

#[test]
fn clones_are_a_table() {
    let clone = v1::CloneOf {
        name: "test".into(),
        size_bytes: 1 << 30,
        origin: v1::Origin {
            volume: "db".into(),
            snapshot: "test".into(),
            linked: false,
            copied: false,
            deleted: true,
        },
        sync_type: v1::SyncType::Snapshot,
        copy_state: v1::CopyState::Synchronized,
        progress_status: v1::ProgressStatus::Completed,
        percent_synced: None,
        job: None,
        detail: String::new(),
    };
    let mut waiting = clone.clone();
    waiting.name = "full".into();
    waiting.sync_type = v1::SyncType::Clone;
    waiting.copy_state = v1::CopyState::Unsynchronized;
    waiting.progress_status = v1::ProgressStatus::Pending;
    waiting.percent_synced = Some(41);
    waiting.job = Some(3);
    waiting.detail = "no space".into();
    assert_eq!(
        clones(&[clone, waiting.clone()]),
        "\
NAME   SIZE  CLONE OF           KIND    STATE           PROGRESS   SYNCED  JOB
test  1 GiB  db@test (deleted)  linked  Synchronized    Completed       -    -
full  1 GiB  db@test (deleted)  full    Unsynchronized  Pending       41%    3
"
    );
    assert_eq!(
        super::clone(&waiting),
        "\
clone           full
of              db@test (deleted)
size            1 GiB (1073741824 bytes)
kind            full
CopyState       Unsynchronized
ProgressStatus  Pending
PercentSynced   41%
job             3
because         no space
"
    );
}

fn sample_clone(name: &str, volume: &str, snapshot: &str) -> v1::CloneOf {
    v1::CloneOf {
        name: name.into(),
        size_bytes: 1 << 30,
        origin: v1::Origin {
            volume: volume.into(),
            snapshot: snapshot.into(),
            linked: false,
            copied: false,
            deleted: false,
        },
        sync_type: v1::SyncType::Snapshot,
        copy_state: v1::CopyState::Synchronized,
        progress_status: v1::ProgressStatus::Completed,
        percent_synced: None,
        job: None,
        detail: String::new(),
    }
}

fn sample_family(volumes: &[&str], newest: &[&str], snapshots: u64) -> v1::VolumeFamily {
    v1::VolumeFamily {
        id: "00112233445566778899aabbccddeeff".into(),
        origin: None,
        snapshots,
        newest_snapshots: newest.iter().map(|&name| name.into()).collect(),
        clones: Vec::new(),
        volumes: volumes.iter().map(|&name| name.into()).collect(),
        data_bytes: None,
        metadata_bytes: None,
        being_deleted: None,
        coming_home_percent: None,
    }
}

#[test]
fn a_family_is_a_tree_with_what_each_snapshot_has_for_itself() {
    let mut db = sample_volume("db");
    db.family = Some(sample_family(
        &["a", "b", "c", "db"],
        &["tuesday", "monday"],
        5,
    ));
    let mut tuesday = sample_snapshot("tuesday");
    tuesday.exclusive_bytes = Some(3 << 20);
    let newest = [tuesday, sample_snapshot("monday")];
    let mut gone = sample_clone("c", "a", "c");
    gone.origin.deleted = true;
    let mut copied = sample_clone("full", "db", "monday");
    copied.origin.copied = true;
    let clones = [
        sample_clone("a", "db", "monday"),
        sample_clone("b", "db", "old"),
        gone,
        copied,
        sample_clone("stranger", "other", "monday"),
    ];
    assert_eq!(
        family_tree(&db, &newest, &clones),
        "
family
  db
    @tuesday  3 MiB its own
    @monday  unknown how much is its own
      a
        @c  deleted
          c
    3 older: `tidelock snapshot list db`
    @old
      b
"
    );
    db.family = None;
    assert_eq!(family_tree(&db, &[], &clones), "");
}

#[test]
fn names_that_were_used_again_make_no_endless_tree() {
    let mut a = sample_volume("a");
    a.family = Some(sample_family(&["a", "b"], &[], 0));
    let clones = [sample_clone("a", "b", "s"), sample_clone("b", "a", "s")];
    assert_eq!(
        family_tree(&a, &[], &clones),
        "
family
  a
    @s
      b
        @s
"
    );
}

#[test]
fn a_clone_has_no_file_of_its_own() {
    let mut clone = sample_volume("test");
    clone.managed = false;
    clone.family = Some(sample_family(&["test"], &[], 0));
    clone.path = "/state/families/00112233445566778899aabbccddeeff".into();
    let text = volume(&clone);
    assert!(
        text.contains("(of its family; what is the volume's alone is deleted with it)"),
        "{text}"
    );
    clone.path = "/data/mine.img".into();
    let text = volume(&clone);
    assert!(text.contains("/data/mine.img (yours, stays)"), "{text}");
}

#[test]
fn what_was_promoted_may_still_be_a_clone() {
    let mut top = sample_volume("top");
    top.family = Some(sample_family(&["top"], &[], 2));
    assert_eq!(
        promoted(&top),
        "volume top depends on no other now; it has 2 snapshot(s)\n"
    );
    if let Some(family) = &mut top.family {
        family.origin = Some(sample_clone("top", "db", "monday").origin);
    }
    assert_eq!(
        promoted(&top),
        "volume top is a clone of db@monday now; it has 2 snapshot(s)\n"
    );
}

#[test]
fn clones_of_a_group_say_of_which_snapshot() {
    let mut now = sample_clone("db-new", "db", "db-new");
    now.origin.deleted = true;
    assert_eq!(
        cloned(&[sample_clone("web-new", "web", "monday"), now]),
        "clone web-new of web@monday created\nclone db-new of db created\n"
    );
}
