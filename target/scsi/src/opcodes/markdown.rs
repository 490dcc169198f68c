//! The table of supported commands as the documentation shows it.

use std::fmt::Write as _;

use crate::opcodes::TABLE;

/// A Markdown table of all supported commands: operation code, service action, name, standard and
/// what is done. Ends with a newline.
#[must_use]
pub fn markdown_table() -> String {
    let mut text = String::from(
        "| Code | Service action | Command | Standard | What is done |\n|---|---|---|---|---|\n",
    );
    for entry in TABLE {
        let action = entry
            .service_action
            .map_or_else(String::new, |action| format!("{action:02X}h"));
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "| {:02X}h | {action} | {} | {} | {} |",
            entry.operation_code, entry.name, entry.standard, entry.notes
        );
    }
    text
}
