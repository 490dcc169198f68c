//! What a list says: by example, and against a model that is written down differently.

use proptest::prelude::*;

use super::*;
use crate::secret::{ChapUser, Credentials, Secret};

const ME: &str = "iqn.2024-01.com.example:me";

/// An entry that asks for the CHAP user `user`, so that a verdict tells which entry it came from.
fn allow(user: &str) -> Access {
    let initiator = Credentials {
        user: ChapUser::new(user).unwrap(),
        secret: Secret::new("a secret of a test").unwrap(),
    };
    let mutual = None;
    Access::Allow {
        chap: Some(ChapAccess { initiator, mutual }),
    }
}

/// `NAME` or `NAME NETWORK`, and whether it is let in.
fn acl(entries: &[(&str, bool)]) -> Acl {
    let entry = |&(text, allowed): &(&str, bool)| {
        let access = if allowed { allow(text) } else { Access::Deny };
        (subject(text), access)
    };
    Acl {
        entries: entries.iter().map(entry).collect(),
        parameters: BTreeMap::new(),
    }
}

fn subject(text: &str) -> Subject {
    let (initiator, network) = text
        .split_once(' ')
        .map_or((text, None), |(name, network)| (name, Some(network)));
    Subject {
        initiator: initiator.parse().unwrap(),
        network: network.map(|network| network.parse().unwrap()),
    }
}

/// The entry that lets it in, or why it isn't.
fn says(acl: &Acl, from: &str) -> String {
    let me = IscsiName::new(ME).unwrap();
    match acl.verdict(&me, from.parse().unwrap()) {
        Verdict::Allowed { chap, .. } => chap.unwrap().initiator.user.to_string(),
        Verdict::Denied => "denied".into(),
        Verdict::NotListed => "not listed".into(),
    }
}

#[test]
fn an_entry_with_the_name_beats_the_one_for_everybody_in_both_directions() {
    for (entries, verdict) in [
        (&[][..], "not listed"),
        (&[("*", true)], "*"),
        (&[("*", false)], "denied"),
        (&[("iqn.2024-01.com.example:you", true)], "not listed"),
        (
            &[("iqn.2024-01.com.example:ME", true)],
            "iqn.2024-01.com.example:ME",
        ),
        (&[("*", true), (ME, false)], "denied"),
        (&[("*", false), (ME, true)], ME),
    ] {
        assert_eq!(says(&acl(entries), "10.0.0.1"), verdict, "{entries:?}");
    }
}

#[test]
fn a_deny_wins_whatever_else_lets_the_initiator_in() {
    for deny in [
        "* 10.0.0.0/8",
        "iqn.2024-01.com.example:*",
        "iqn.* 10.0.0.1",
    ] {
        let acl = acl(&[(ME, true), ("* 10.0.0.0/16", true), (deny, false)]);
        assert_eq!(says(&acl, "10.0.0.1"), "denied", "{deny}");
    }
    let acl = acl(&[(ME, true), ("* 10.0.0.0/8", false)]);
    assert_eq!(says(&acl, "11.0.0.1"), ME);
    assert_eq!(says(&acl, "fd00::1"), ME);
}

#[test]
fn the_most_specific_allow_says_how_the_initiator_proves_itself() {
    let order = [
        "*",
        "* 0.0.0.0/0",
        "* 10.0.0.0/8",
        "iqn.*",
        "iqn.2024-01.com.example:*",
        "iqn.2024-01.com.example:* 10.0.0.0/8",
        "iqn.2024-01.com.example:* 10.0.0.1",
        ME,
        "iqn.2024-01.com.example:me 10.0.0.0/8",
        "iqn.2024-01.com.example:me 10.0.0.1",
    ];
    for end in 1..=order.len() {
        let entries: Vec<_> = order.iter().take(end).map(|&entry| (entry, true)).collect();
        assert_eq!(says(&acl(&entries), "10.0.0.1"), order[end - 1]);
        assert_eq!(says(&acl(&entries), "::ffff:10.0.0.1"), order[end - 1]);
    }
}

#[test]
fn the_plain_star_is_about_those_whom_no_other_entry_is_about() {
    let acl = acl(&[("*", false), ("* fd00::/8", true)]);
    assert_eq!(says(&acl, "fd00::1"), "* fd00::/8");
    assert_eq!(says(&acl, "10.0.0.1"), "denied");
}

#[test]
fn patterns_are_names_beginnings_of_names_or_a_star() {
    for (given, normal) in [
        ("*", "*"),
        ("IQN.2024-01.com.Example:*", "iqn.2024-01.com.example:*"),
        ("iqn.*", "iqn.*"),
        ("eui.0200*", "eui.0200*"),
        ("iqn.2024-01.com.Example", "iqn.2024-01.com.example"),
    ] {
        assert_eq!(
            given.parse::<InitiatorPattern>().unwrap().to_string(),
            normal
        );
    }
    for (given, says) in [
        ("**", "can't be in an iSCSI name"),
        ("iqn.2024*.com", "can't be in an iSCSI name"),
        ("host*", "before the '*' comes the beginning"),
        ("iqn*", "before the '*' comes the beginning"),
        ("", "can't be empty"),
    ] {
        let error = given.parse::<InitiatorPattern>().unwrap_err().to_string();
        assert!(error.contains(says), "{given}: {error}");
    }
    let long = format!("iqn.{}*", "x".repeat(219));
    assert!(long.parse::<InitiatorPattern>().is_err());
    assert!(long[1..].parse::<InitiatorPattern>().is_err());
    assert!(
        format!("iqn.{}*", "x".repeat(218))
            .parse::<InitiatorPattern>()
            .is_ok()
    );
}

/// A model that knows nothing of maps and ranges: all entries, sorted by a rank of its own.
fn model(entries: &[(String, bool)], initiator: &str, from: IpAddr) -> String {
    let about = |text: &str| {
        let (pattern, network) = text.split_once(' ').unwrap_or((text, ""));
        let name = match pattern.strip_suffix('*') {
            Some(beginning) => initiator.starts_with(beginning),
            None => initiator == pattern,
        };
        name && (network.is_empty() || network.parse::<Network>().unwrap().contains(from))
    };
    let mut matching: Vec<_> = entries.iter().filter(|(text, _)| about(text)).collect();
    if matching.iter().any(|(text, _)| text != "*") {
        matching.retain(|(text, _)| text != "*");
    }
    if matching.iter().any(|(_, allowed)| !allowed) {
        return "denied".into();
    }
    // Names are longer than their beginnings but for the star, which is taken off; a network is
    // smaller the more bits it has.
    matching.sort_by_key(|(text, _)| {
        let (pattern, network) = text.split_once(' ').unwrap_or((text, ""));
        let whole = !pattern.ends_with('*');
        let bits = network
            .parse::<Network>()
            .map_or(-1, |n| i32::from(n.prefix()));
        (whole, pattern.len(), bits)
    });
    matching
        .last()
        .map_or_else(|| "not listed".into(), |(text, _)| text.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_the_models(
        entries in proptest::collection::btree_map(
            (
                prop_oneof![
                    Just("*"), Just("iqn.*"), Just("iqn.2024-01.a:*"), Just("iqn.2024-01.a:b*"),
                    Just("iqn.2024-01.a:b"), Just("iqn.2024-01.a:c"), Just("iqn.2024-01.b"),
                ],
                prop_oneof![
                    Just(""), Just(" 0.0.0.0/0"), Just(" 10.0.0.0/8"), Just(" 10.1.0.0/16"),
                    Just(" 10.1.0.1"), Just(" ::/0"), Just(" fd00::/8"), Just(" fd00::1"),
                ],
            ).prop_map(|(name, network)| format!("{name}{network}")),
            prop::bool::weighted(0.8),
            0..12,
        ),
        initiator in prop_oneof![
            Just("iqn.2024-01.a:b"), Just("iqn.2024-01.a:c"), Just("iqn.2024-01.a:bb"),
            Just("iqn.2024-01.b"), Just("eui.0123456789abcdef"),
        ],
        from in prop_oneof![
            Just("10.1.0.1"), Just("10.1.0.2"), Just("10.2.0.1"), Just("192.168.0.1"),
            Just("::ffff:10.1.0.1"), Just("fd00::1"), Just("fd00::2"), Just("::1"),
        ],
    ) {
        let entries: Vec<(String, bool)> = entries.into_iter().collect();
        let borrowed: Vec<_> = entries.iter().map(|(text, allow)| (text.as_str(), *allow)).collect();
        let from: IpAddr = from.parse().unwrap();
        let name = IscsiName::new(initiator).unwrap();
        let said = match acl(&borrowed).verdict(&name, from) {
            Verdict::Allowed { chap, .. } => chap.unwrap().initiator.user.to_string(),
            Verdict::Denied => "denied".into(),
            Verdict::NotListed => "not listed".into(),
        };
        prop_assert_eq!(said, model(&entries, initiator, from));
    }
}
