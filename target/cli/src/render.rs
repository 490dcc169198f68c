//! Text for people: tables, lists of properties, durations. Knows no API.

use comfy_table::{CellAlignment, Table, presets};

/// A table with a header and no lines; an empty one says so.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    right: &[usize],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    trim_lines(&table.to_string())
}

/// Names and values in two columns.
pub(crate) fn properties<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| {
            format!("{name:width$}  {}\n", printable(value))
                .trim_start()
                .to_owned()
        })
        .collect()
}

/// A duration for people, in its two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (unit, len) in UNITS {
        if rest >= len && parts.len() < 2 {
            parts.push(format!("{} {unit}", rest / len));
            rest %= len;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() {
        "0 s".into()
    } else {
        parts.join(" ")
    }
}

pub(crate) fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.into()
}

/// Names that initiators give themselves must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn trim_lines(text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_columns_and_no_trailing_space() {
        let rows = [
            ["a".into(), "1".into(), "x".into()],
            ["long name".into(), "1000".into(), String::new()],
        ];
        assert_eq!(
            table(["NAME", "SIZE", "MORE"], &[1], rows),
            "NAME       SIZE  MORE\n\
             a             1  x\n\
             long name  1000\n"
        );
    }

    #[test]
    fn properties_line_up() {
        let text = properties([
            ("name", "db".to_owned()),
            ("size", "1 GiB".to_owned()),
            ("x", "y".to_owned()),
        ]);
        assert_eq!(text, "name  db\nsize  1 GiB\nx     y\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = table(["A"], &[], [["\u{1b}[31mred\u{7}".into()]]);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text:?}"
        );
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (3_601, "1 h"),
            (3_660, "1 h 1 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
