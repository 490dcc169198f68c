//! `KEY=VALUE` words for parameters of sessions. Knows their names and kinds; ranges are the daemon's.

use std::str::FromStr;

use serde_json::{Map, Value};
use tidelock_admin::v1::{SessionParameters, SetParameters};

/// What a help text says about them.
pub(crate) const HELP: &str = "\
Parameters (KEY=default takes one back):
  header-digest, data-digest      required, allowed or off
  max-recv-data-segment-length    512 to 16777215 bytes, declared by the target *
  max-burst-length                512 to 16777215 bytes at most
  first-burst-length              512 to 16777215 bytes at most, not above max-burst-length *
  initial-r2t                     yes: data waits until it is asked for; no: as the initiator
                                  wants
  immediate-data                  no: commands carry no data; yes: as the initiator wants
  max-outstanding-r2t             1 to 65535 at most
  nop-interval                    seconds of silence before a ping, 0 (never) to 600
  nop-timeout                     seconds that its answer may take, 1 to 600
  max-sessions                    1 to 32768: of a target, or of one initiator by an entry
  queue-depth                     1 to 1024 commands of a session at a time *
(* less when the daemon's memory is short.)
They take effect at the next login.
An entry of an access list goes before its target, and that before the daemon's settings.";

/// The names, as they are written in JSON, and what their values are.
const KEYS: [(&str, Kind); 12] = [
    ("header_digest", Kind::Digest),
    ("data_digest", Kind::Digest),
    ("max_recv_data_segment_length", Kind::Number),
    ("max_burst_length", Kind::Number),
    ("first_burst_length", Kind::Number),
    ("initial_r2t", Kind::Boolean),
    ("immediate_data", Kind::Boolean),
    ("max_outstanding_r2t", Kind::Number),
    ("nop_interval", Kind::Number),
    ("nop_timeout", Kind::Number),
    ("max_sessions", Kind::Number),
    ("queue_depth", Kind::Number),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Digest,
    Boolean,
    Number,
}

/// One word of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    name: &'static str,
    /// `None`: back to what would hold without it.
    value: Option<Value>,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let (key, value) = word
            .split_once('=')
            .ok_or("write it as KEY=VALUE, for example queue-depth=32")?;
        let wanted = key.replace('-', "_");
        let known = KEYS.iter().find(|(name, _)| *name == wanted);
        let (name, kind) = known.ok_or_else(|| {
            let names: Vec<_> = KEYS.iter().map(|(name, _)| written(name)).collect();
            format!(
                "there is no parameter {key}: there are {}",
                names.join(", ")
            )
        })?;
        let parsed = match (value, kind) {
            ("default", _) => return Ok(Self { name, value: None }),
            ("required" | "allowed" | "off", Kind::Digest) => Value::from(value),
            ("yes", Kind::Boolean) => Value::from(true),
            ("no", Kind::Boolean) => Value::from(false),
            (_, Kind::Number) => {
                let number = value.parse::<u64>();
                Value::from(number.map_err(|_| format!("{key} is a number"))?)
            }
            (_, Kind::Digest) => return Err(format!("{key} is required, allowed or off")),
            (_, Kind::Boolean) => return Err(format!("{key} is yes or no")),
        };
        let value = Some(parsed);
        Ok(Self { name, value })
    }
}

/// All words of a command line as one request; of the same key the last one counts.
pub(crate) fn request(settings: &[Setting]) -> SetParameters {
    let mut set = Map::new();
    let mut reset = Vec::new();
    for Setting { name, value } in settings {
        set.remove(*name);
        reset.retain(|other| other != name);
        match value {
            Some(value) => {
                set.insert((*name).into(), value.clone());
            }
            None => reset.push((*name).to_owned()),
        }
    }
    SetParameters {
        // Each value is of the kind that its field has.
        set: serde_json::from_value(Value::Object(set)).unwrap_or_default(),
        reset,
    }
}

/// What is set, as it would be written on the command line.
pub(crate) fn words(parameters: &SessionParameters) -> Vec<String> {
    let set = serde_json::to_value(parameters).unwrap_or_default();
    let word = |(name, _): &(&str, Kind)| {
        let value = match set.get(name)? {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(format!("{}={value}", written(name)))
    };
    KEYS.iter().filter_map(word).collect()
}

fn written(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_can_be_written_and_is_shown_as_it_was_written() {
        let line = [
            "header-digest=required",
            "data-digest=off",
            "max-recv-data-segment-length=8192",
            "max-burst-length=65536",
            "first-burst-length=4096",
            "initial-r2t=yes",
            "immediate-data=no",
            "max-outstanding-r2t=2",
            "nop-interval=0",
            "nop-timeout=3",
            "max-sessions=4",
            "queue-depth=8",
        ];
        let settings: Vec<Setting> = line.iter().map(|word| word.parse().unwrap()).collect();
        let request = request(&settings);
        assert_eq!(words(&request.set), line);
        let fields = serde_json::to_value(&request.set).unwrap();
        assert_eq!(fields.as_object().unwrap().len(), KEYS.len());
        for (name, _) in KEYS {
            assert!(HELP.contains(&written(name)), "{name} isn't in the help");
        }
    }

    #[test]
    fn the_last_word_about_a_key_counts() {
        let settings = [
            "queue-depth=8",
            "nop-timeout=default",
            "queue-depth=default",
            "nop-timeout=5",
        ]
        .map(|word| word.parse().unwrap());
        let request = request(&settings);
        assert_eq!(words(&request.set), ["nop-timeout=5"]);
        assert_eq!(request.reset, ["queue_depth"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        for (word, says) in [
            ("queue-depth", "KEY=VALUE"),
            ("depth=1", "there are header-digest"),
            ("queue-depth=-1", "is a number"),
            ("queue-depth=many", "is a number"),
            ("header-digest=yes", "required, allowed or off"),
            ("initial-r2t=true", "yes or no"),
        ] {
            let error = word.parse::<Setting>().unwrap_err();
            assert!(error.contains(says), "{word}: {error}");
        }
    }
}
