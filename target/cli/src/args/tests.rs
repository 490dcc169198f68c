//! The command line reads what the documentation says.

use clap::{CommandFactory, Parser};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

fn noun(line: &str) -> Noun {
    parse(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .noun
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_of_the_manual_is_understood() {
    for line in [
        "tidelock volume create db --size 10G",
        "tidelock volume create db --size 10G --preallocate --direct --write-through",
        "tidelock volume create db --size 10G --block-size 4096",
        "tidelock volume create db --file /path/existing.img --direct",
        "tidelock volume list",
        "tidelock mirror create db b:copy --on-failure halt --wait",
        "tidelock mirror create db b:copy --mode async --rpo 5s",
        "tidelock mirror set copy --rpo 10s",
        "tidelock mirror set copy --rpo 10s --resync-limit none --compression none",
        "tidelock mirror create db b:copy --resync-limit 1.5G --compression zstd",
        "tidelock mirror fracture db",
        "tidelock mirror fracture db --force -y",
        "tidelock mirror failover copy --force",
        "tidelock mirror resync db --discard b:copy -y",
        "tidelock mirror restore db --force -y",
        "tidelock mirror detach db --force",
        "tidelock capabilities show db",
        "tidelock capabilities show db --via left --method create-element-replica",
        "tidelock capabilities show db@monday --other k --method create-element-replica --explain --watch",
        "tidelock job list",
        "tidelock job show 3",
        "tidelock job cancel 3",
        "tidelock job watch 3",
        "tidelock volume show db",
        "tidelock volume resize db --size 20G",
        "tidelock volume unfence db -y",
        "tidelock volume delete db --yes",
        "tidelock reservation clear db -y",
        "tidelock target create iqn.2024-01.com.example:t --portal-group-tag 2",
        "tidelock target create iqn.2024-01.com.example:t --portal-groups 1,16",
        "tidelock target set iqn.2024-01.com.example:t --portal-groups 2,3 -y",
        "tidelock target set iqn.2024-01.com.example:t --portal-groups all",
        "tidelock target list",
        "tidelock target show iqn.2024-01.com.example:t",
        "tidelock target delete iqn.2024-01.com.example:t --force -y",
        "tidelock lun map iqn.2024-01.com.example:t db",
        "tidelock lun map iqn.2024-01.com.example:t db --lun 16383 --read-only",
        "tidelock lun unmap iqn.2024-01.com.example:t 0",
        "tidelock target redirect t 192.0.2.1",
        "tidelock target redirect t [fd00::1]:3261 --permanent",
        "tidelock target redirect t --off",
        "tidelock target set t queue-depth=4 header-digest=required",
        "tidelock target set t initial-r2t=default",
        "tidelock acl set t i --subnet 10.0.0.0/8 queue-depth=4",
        "tidelock session logout 3",
        "tidelock session logout 3 --within 600",
        "tidelock acl allow iqn.2024-01.com.example:t *",
        "tidelock acl allow discovery iqn.2024-01.com.example:h --chap-user u --chap-secret-file f",
        "tidelock acl allow t i --chap-user u --chap-secret-file f --mutual-user m \
         --mutual-secret-file g",
        "tidelock acl allow t --subnet 10.0.0.0/8",
        "tidelock acl allow t i --subnet fd00::/8 --chap-user u --chap-secret-file f",
        "tidelock acl deny t i",
        "tidelock acl deny t --subnet 10.0.0.0/8",
        "tidelock acl remove t i",
        "tidelock acl remove t i --subnet 10.0.0.1",
        "tidelock acl list t",
        "tidelock alua show db",
        "tidelock alua set db --group 2 --state standby",
        "tidelock alua set db --group 2 --state active-non-optimized --preferred",
        "tidelock alua set db --group 16 --preferred=false",
        "tidelock session list",
        "tidelock session drop 7 --yes",
        "tidelock status",
        "tidelock completion bash",
        "tidelock man --dir /tmp",
    ] {
        understood(line);
    }
}

#[test]
fn every_command_about_snapshots_is_understood() {
    for line in [
        "tidelock volume delete db --with-snapshots",
        "tidelock volume verify db",
        "tidelock volume scrub db@monday",
        "tidelock volume scrub db --rate 50M --background",
        "tidelock volume verify db --background",
        "tidelock volume set db --limit 20G --warn 80",
        "tidelock volume set db --limit none",
        "tidelock group delete g",
        "tidelock group delete g -y",
        "tidelock volume set db --warn 75%",
        "tidelock volume create db --size 10G --limit 20G --warn 80 --integrity full",
        "tidelock volume check",
        "tidelock volume check db --state-dir /srv/tidelock --data",
        "tidelock snapshot create db monday",
        "tidelock snapshot list",
        "tidelock snapshot list db",
        "tidelock snapshot show db@monday",
        "tidelock snapshot delete db@monday -y",
        "tidelock snapshot restore db@monday --force --yes",
        "tidelock snapshot map db@monday iqn.2024-01.com.example:t --lun 3",
        "tidelock lun map iqn.2024-01.com.example:t db@monday",
        "tidelock snapshot schedule db --every 1h --keep 24",
        "tidelock snapshot schedule db --off",
        "tidelock snapshot schedule db",
        "tidelock snapshot schedule",
        "tidelock clone create db@monday test",
        "tidelock clone create db test --linked",
        "tidelock clone create db@monday test --full --rate 50M --wait",
        "tidelock clone show test",
        "tidelock clone split test",
        "tidelock clone split test --rate 50M --wait",
        "tidelock clone detach test",
        "tidelock clone promote test",
        "tidelock group clone both copies",
        "tidelock group clone both@monday copies --suffix -x --full --rate 1M",
        "tidelock group clone both --suffix -x",
        "tidelock clone list",
        "tidelock group create both db log",
        "tidelock group create empty",
        "tidelock group add both more",
        "tidelock group remove both more",
        "tidelock group list",
        "tidelock group show both",
        "tidelock group snapshot both monday",
        "tidelock group restore both monday --force -y",
        "tidelock group delete both",
        "tidelock diff db@monday",
        "tidelock diff db@monday db@tuesday",
    ] {
        understood(line);
    }
}

/// And the two options of all commands may stand in front or behind.
fn understood(line: &str) {
    noun(line);
    let in_front = line.replacen("tidelock", "tidelock --json --socket s", 1);
    assert!(parse(&in_front).unwrap().json);
    let behind = parse(&format!("{line} --socket s --json")).unwrap();
    assert_eq!((behind.json, behind.socket), (true, Some("s".into())));
}

#[test]
fn what_contradicts_itself_or_is_missing_is_refused() {
    for line in [
        "tidelock",
        "tidelock volume",
        "tidelock volume create",
        "tidelock volume create db",
        "tidelock volume create db --size 10GB",
        "tidelock volume create db --size 10G --file /x",
        "tidelock volume create db --file /x --preallocate",
        "tidelock volume create db --size 1G --block-size 1024",
        "tidelock volume resize db",
        "tidelock volume list extra",
        "tidelock snapshot create db",
        "tidelock snapshot show db",
        "tidelock snapshot show db@",
        "tidelock snapshot delete @monday",
        "tidelock snapshot map db@monday",
        "tidelock snapshot schedule db --every 1h",
        "tidelock snapshot schedule db --keep 3",
        "tidelock snapshot schedule --every 1h --keep 3",
        "tidelock snapshot schedule db --every 1h --keep 0",
        "tidelock snapshot schedule db --every 1 --keep 3",
        "tidelock snapshot schedule db --every 1h --keep 3 --off",
        "tidelock snapshot schedule --off",
        "tidelock clone create db@monday test --full --linked",
        "tidelock clone create db@monday test --rate 1M",
        "tidelock clone create db@monday test --wait",
        "tidelock group clone both",
        "tidelock clone create db@monday",
        "tidelock group snapshot both",
        "tidelock diff",
        "tidelock lun map t v --lun 16384",
        "tidelock lun unmap t",
        "tidelock lun unmap t -1",
        "tidelock target redirect t",
        "tidelock target redirect t 192.0.2.1 --off",
        "tidelock target redirect t --off --permanent",
        "tidelock target set t",
        "tidelock target set t queue-depth=many",
        "tidelock target set t --portal-groups 1 queue-depth=4",
        "tidelock acl set t i",
        "tidelock session logout 3 --within 0",
        "tidelock acl allow t",
        "tidelock acl deny t",
        "tidelock acl deny t --subnet",
        "tidelock acl allow t i --subnet 10.0.0.0/8 --subnet 11.0.0.0/8",
        "tidelock acl allow t i --chap-user u",
        "tidelock acl allow t i --chap-secret-file f",
        "tidelock acl allow t i --mutual-user m --mutual-secret-file g",
        "tidelock acl allow t i --chap-user u --chap-secret-file f --mutual-user m",
        "tidelock target create t --portal-groups 17",
        "tidelock target create t --portal-groups 1,,2",
        "tidelock target create t --portal-groups 0",
        "tidelock target set t",
        "tidelock alua set db --group 2",
        "tidelock alua set db --state standby",
        "tidelock alua set db --group 17 --state standby",
        "tidelock alua set db --group 2 --state transitioning",
        "tidelock alua set db --group 2 --preferred maybe",
        "tidelock session drop all",
        "tidelock completion tcsh",
        "tidelock frobnicate",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    let empty = Cli::try_parse_from(["tidelock", "volume", "show", ""]).unwrap_err();
    assert_eq!(empty.exit_code(), 2);
}

#[test]
fn peers_are_spoken_of_by_name_and_strangers_by_fingerprint_as_well() {
    for line in [
        "tidelock peer add b 10.0.0.2:3261",
        "tidelock peer add b storage.example.com --fingerprint SHA256:00",
        "tidelock peer accept a",
        "tidelock peer accept SHA256:00 --as a --address 10.0.0.1",
        "tidelock peer list",
        "tidelock peer show",
        "tidelock peer show b",
        "tidelock peer set b --address 10.0.0.3",
        "tidelock peer remove b -y",
    ] {
        understood(line);
    }
    for line in [
        "tidelock peer add b",
        "tidelock peer accept",
        "tidelock peer set b",
        "tidelock peer show b c",
    ] {
        assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
    }
}

#[test]
fn sizes_are_in_bytes_after_parsing() {
    let Noun::Volume(VolumeVerb::Create(create)) = noun("tidelock volume create db --size 1.5G")
    else {
        panic!("another command")
    };
    assert_eq!(create.size, Some(3 << 29));
}

#[test]
fn every_verb_has_help_and_the_exit_codes_are_documented() {
    let mut left = vec![Cli::command()];
    while let Some(mut command) = left.pop() {
        let help = command.render_long_help().to_string();
        assert!(
            command.get_about().is_some(),
            "{} has no description",
            command.get_name()
        );
        assert!(help.contains("Usage:"), "{help}");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{}: {argument}",
                command.get_name()
            );
        }
        left.extend(command.get_subcommands().cloned());
    }
    let help = Cli::command().render_help().to_string();
    for code in 0..=6 {
        assert!(help.contains(&format!("\n  {code}  ")), "{help}");
    }
}
