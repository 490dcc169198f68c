//! Capabilities as text.

use tidelock_admin::v1::{Capabilities, SynchronizationVerdict};

use crate::render::table;

pub(crate) fn capabilities(told: &Capabilities, explain: bool) -> String {
    let with = |word: &str, name: &Option<String>| {
        let name = name.as_ref();
        name.map(|name| format!(" {word} {name}"))
            .unwrap_or_default()
    };
    let mut text = format!(
        "{}{}{}: {} ({})\n",
        told.element,
        with("and", &told.other_element),
        with("at", &told.via),
        told.return_code,
        told.return_code_name,
    );
    if !told.problem.is_empty() {
        return format!("{text}{}\n", told.problem);
    }
    let shown: Vec<_> = told
        .verdicts
        .iter()
        .filter(|verdict| explain || verdict.supported)
        .collect();
    if shown.is_empty() {
        return text + "nothing is possible right now; --explain says why\n";
    }
    text += &match explain {
        true => table(
            ["SYNC TYPE", "MODE", "AS", "POSSIBLE", "BECAUSE"],
            &[],
            shown.into_iter().map(|verdict| {
                let [sync_type, mode, role] = words(verdict);
                let possible = match verdict.supported {
                    true => "yes".to_owned(),
                    false => verdict.obstacle.clone(),
                };
                [sync_type, mode, role, possible, verdict.reason.clone()]
            }),
        ),
        false => table(
            ["SYNC TYPE", "MODE", "AS"],
            &[],
            shown.into_iter().map(words),
        ),
    };
    text
}

fn words(verdict: &SynchronizationVerdict) -> [String; 3] {
    let role = match verdict.local_element_role.as_str() {
        "SystemElement" => "source",
        "SyncedElement" => "target",
        other => other,
    };
    [
        verdict.sync_type.clone(),
        verdict.mode.clone(),
        role.to_owned(),
    ]
}
