//! The committed OpenAPI document is the one that the types describe.

use super::*;

const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/openapi/tidelock-1.json"
);

/// `TIDELOCK_BLESS=1 cargo test -p tidelock-admin` writes the document anew.
#[test]
fn the_committed_document_is_up_to_date() {
    let document = document();
    if std::env::var_os("TIDELOCK_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(COMMITTED).parent().unwrap()).unwrap();
        std::fs::write(COMMITTED, &document).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    assert!(
        committed == document,
        "docs/openapi/tidelock-1.json is out of date: run TIDELOCK_BLESS=1 cargo test -p \
         tidelock-admin and commit it"
    );
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let mut found = 0;
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(serde_json::Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    found += 1;
                }
                left.extend(map.values());
            }
            serde_json::Value::Array(list) => left.extend(list),
            _ => {}
        }
    }
    assert!(found > 40, "{found}");
}

#[test]
fn secrets_are_only_ever_part_of_requests() {
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let schemas = document
        .pointer("/components/schemas")
        .unwrap()
        .as_object()
        .unwrap();
    let with_secrets: Vec<_> = schemas
        .iter()
        .filter(|(_, schema)| {
            let text = schema.to_string();
            text.contains("SecretText") || text.contains("schemas/Credentials")
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(with_secrets, ["Credentials", "SetAccess"]);
}
