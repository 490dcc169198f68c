//! The house rules that a program can check.

use std::path::{Path, PathBuf};
use std::process::Command;

/// No file of code is longer.
const LINES_MAX: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files that git knows or would add.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git ls-files failed");
    let names = String::from_utf8(output.stdout).unwrap();
    let files: Vec<_> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| root().join(name))
        .filter(|path| path.is_file())
        .collect();
    assert!(
        files.len() > 50,
        "git lists too few files for the checks to mean anything"
    );
    files
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let rust = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"));
    rust.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    })
    .collect()
}

#[test]
fn cargo_writes_nothing_into_the_source_folder_target() {
    for name in ["debug", "release", "CACHEDIR.TAG"] {
        let path = root().join("target").join(name);
        assert!(
            !path.exists(),
            "{} is build output among sources",
            path.display()
        );
    }
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    assert!(
        !ignored
            .lines()
            .any(|line| line.trim_matches('/') == "target")
    );
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_module_says_first_what_it_is_for() {
    for (path, text) in rust_files() {
        let first = text.lines().next().unwrap_or_default();
        let says = first.starts_with("//! ") || first.starts_with("#![");
        assert!(
            says,
            "{} doesn't begin with a line of module documentation",
            path.display()
        );
    }
}

#[test]
fn unsafe_code_lives_in_the_block_crate_alone_and_the_cores_forbid_it() {
    for name in [
        "capabilities",
        "replication/volume",
        "replication/mirror",
        "replication/driver",
        "target/iscsi",
        "target/scsi",
        "target/catalog",
        "target/admin",
        "target/wbem",
        "target/daemon",
        "target/cli",
    ] {
        let path = root().join(name).join("src/lib.rs");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{} doesn't",
            path.display()
        );
    }
}

#[test]
fn the_table_of_commands_in_the_documentation_is_true() {
    const BEGIN: &str = "<!-- opcodes -->\n";
    const END: &str = "<!-- /opcodes -->";
    let table = tidelock_scsi::opcodes::markdown_table();
    let path = root().join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("TIDELOCK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        let advice = "run the test once with TIDELOCK_UPDATE_DOCS=1";
        assert!(
            written == table,
            "ARCHITECTURE.md says otherwise than the device server: {advice}"
        );
    }
}
