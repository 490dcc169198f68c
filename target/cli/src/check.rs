//! `tidelock volume check`: looks at the files of volumes that no daemon serves. Asks no daemon, and changes
//! nothing. What the files mean is the engine's and the catalog's; here is what belongs together.

mod snapshots;
mod state;

use std::path::{Path, PathBuf};

use serde::Serialize;
use tidelock_catalog::{Backing, FamilyId, Volume, VolumeName};
use tidelock_replication::{FileFinding, InspectOptions, InspectReport, VolumeError, inspect};

use crate::args::VolumeCheck;
use crate::exit::CliError;
use crate::size::format_size;
use crate::terminal::Terminal;
use state::State;

/// Where the daemon keeps its state if nothing else is said.
const STATE_DIR: &str = "/var/lib/tidelock";

/// What was found, of all that was looked at.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// How many things are wrong.
    damaged: u64,
    checked: Vec<Checked>,
}

/// What was found of one thing.
#[derive(Debug, Serialize)]
struct Checked {
    /// Volumes by their names, or a folder.
    what: String,
    /// The folder or the file.
    path: String,
    /// Bytes of blocks that have an owner; of a raw file, which has nothing to compare: 0.
    checked_bytes: u64,
    damaged: u64,
    findings: Vec<Told>,
    /// No damage, or not for certain.
    notes: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Told {
    place: String,
    what: String,
    advice: String,
}

impl From<FileFinding> for Told {
    fn from(finding: FileFinding) -> Self {
        Self {
            place: finding.place,
            what: finding.what,
            advice: finding.advice,
        }
    }
}

impl Checked {
    fn new(what: String, path: &Path) -> Self {
        Self {
            what,
            path: path.display().to_string(),
            checked_bytes: 0,
            damaged: 0,
            findings: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn find(&mut self, place: &Path, what: impl Into<String>, advice: &str) {
        self.damaged += 1;
        self.findings.push(told(place, what, advice));
    }

    fn note(&mut self, place: &Path, what: impl Into<String>, advice: &str) {
        self.notes.push(told(place, what, advice));
    }

    fn take(&mut self, report: InspectReport) {
        self.checked_bytes += report.checked_bytes;
        self.damaged += report.damaged;
        self.findings
            .extend(report.findings.into_iter().map(Told::from));
        self.notes.extend(report.notes.into_iter().map(Told::from));
    }
}

fn told(place: &Path, what: impl Into<String>, advice: &str) -> Told {
    Told {
        place: place.display().to_string(),
        what: what.into(),
        advice: advice.to_owned(),
    }
}

/// Looks, and prints what was found.
pub(crate) fn run(check: VolumeCheck, json: bool, terminal: &mut Terminal) -> Result<(), CliError> {
    let checked = match check.what.as_deref() {
        Some(what) if is_folder(what) => folder(Path::new(what), &check)?,
        what => volumes(what, &check)?,
    };
    let report = Report {
        damaged: checked.iter().map(|one| one.damaged).sum(),
        checked,
    };
    let text = if json {
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        text(&report)
    };
    let printed = terminal.out.write_all(text.as_bytes());
    printed
        .and_then(|()| terminal.out.flush())
        .map_err(|source| CliError::Io {
            action: "print the result".into(),
            source,
        })?;
    match (report.damaged, &report.checked[..]) {
        (0, _) => Ok(()),
        (damaged, [one]) => Err(CliError::Damaged {
            checked: one.what.clone(),
            damaged,
        }),
        (damaged, all) => Err(CliError::Damaged {
            checked: format!("{} volumes and families", all.len()),
            damaged,
        }),
    }
}

/// A volume's name has no slash in it.
fn is_folder(what: &str) -> bool {
    what.contains('/') || tidelock_replication::is_family(Path::new(what))
}

/// A folder of a family, with what is known of it if it is in a state folder.
fn folder(folder: &Path, check: &VolumeCheck) -> Result<Vec<Checked>, CliError> {
    let folder = folder.canonicalize().map_err(|source| CliError::Io {
        action: format!("look into {}", folder.display()),
        source,
    })?;
    if !tidelock_replication::is_family(&folder) {
        return Err(CliError::NotAFamily { path: folder });
    }
    let around = folder.parent().and_then(Path::parent);
    let around = around.filter(|state| state.join("catalog").is_file());
    let state_dir = check.state_dir.as_deref().or(around);
    let state = state_dir.map(State::read).transpose()?;
    let name = folder.file_name().and_then(|name| name.to_str());
    let id = name.and_then(FamilyId::from_folder);
    let known = match (&state, id) {
        (Some(state), Some(id)) if state.family_folder(id) == folder => Some((state, id)),
        _ => None,
    };
    let checked = match known {
        Some((state, id)) => family(state, id, check)?,
        None => {
            let mut checked = Checked::new(folder.display().to_string(), &folder);
            let mut options = InspectOptions::new(&folder);
            options.data = check.data;
            checked.take(inspect_unserved(&options)?);
            checked
        }
    };
    Ok(vec![checked])
}

/// A volume, or all.
fn volumes(name: Option<&str>, check: &VolumeCheck) -> Result<Vec<Checked>, CliError> {
    let state_dir = check.state_dir.as_deref();
    let state = State::read(state_dir.unwrap_or_else(|| Path::new(STATE_DIR)))?;
    let mut families: Vec<FamilyId> = Vec::new();
    let mut raw: Vec<&Volume> = Vec::new();
    if let Some(name) = name {
        let parsed = VolumeName::new(name).map_err(|error| error.to_string());
        let found = parsed.and_then(|name| {
            let found = state.catalog().volume(&name).cloned();
            found.map_err(|error| error.to_string())
        });
        let volume = found.map_err(|reason| CliError::NoSuchVolume {
            state_dir: state.path().to_path_buf(),
            reason,
        })?;
        return Ok(vec![match volume.backing.place() {
            Some(place) => family(&state, place.family, check)?,
            None => raw_file(&state, &volume)?,
        }]);
    }
    for volume in state.catalog().volumes() {
        match volume.backing {
            Backing::Raw => raw.push(volume),
            Backing::Head(place) | Backing::Snapshot(place) => families.push(place.family),
        }
    }
    families.sort_unstable();
    families.dedup();
    let mut checked = Vec::new();
    for volume in raw {
        checked.push(raw_file(&state, volume)?);
    }
    for id in families {
        checked.push(family(&state, id, check)?);
    }
    Ok(checked)
}

/// A family that the catalog knows, with its snapshots and volumes.
fn family(state: &State, id: FamilyId, check: &VolumeCheck) -> Result<Checked, CliError> {
    let folder = state.family_folder(id);
    let heads: Vec<&Volume> = state.catalog().heads(id).collect();
    let names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
    let what = match &names[..] {
        [] => format!("family {id}"),
        names => names.join(", "),
    };
    let mut checked = Checked::new(what, &folder);
    let record = state.catalog().family(id);
    if record.is_none() {
        let advice = "no volume of this state folder uses it: bring the catalog back that knows it, or move the \
            folder away";
        checked.note(&folder, "the catalog doesn't know this family", advice);
    }
    let options = InspectOptions {
        id: Some(*id.0.as_bytes()),
        home: record.map(|record| state.file(&record.home.path, record.home.managed)),
        data: check.data,
        ..InspectOptions::new(&folder)
    };
    let report = inspect_unserved(&options)?;
    let datasets = report.datasets.clone();
    checked.take(report);
    if let Some(datasets) = datasets {
        snapshots::compare(state, id, &datasets, &mut checked);
    }
    Ok(checked)
}

fn inspect_unserved(options: &InspectOptions) -> Result<InspectReport, CliError> {
    inspect(options).map_err(CliError::Served)
}

/// A plain file: it is there, long enough, and nobody uses it.
fn raw_file(state: &State, volume: &Volume) -> Result<Checked, CliError> {
    let path: PathBuf = match &volume.path {
        Some(path) => state.file(path, volume.managed),
        None => PathBuf::new(),
    };
    let mut checked = Checked::new(volume.name.to_string(), &path);
    let size = volume.size_bytes;
    match tidelock_replication::file_size(&path) {
        Err(error @ VolumeError::InUse { .. }) => return Err(CliError::Served(error)),
        Err(error) => checked.find(
            &path,
            error.to_string(),
            "bring the file back; until then the volume isn't ready",
        ),
        Ok(found) if found < size => checked.find(
            &path,
            format!("it has {found} bytes, and the volume has {size}: somebody has cut it short"),
            "bring the file back from a backup: what was cut off is lost. `truncate` makes it long enough again, \
             with zeros there",
        ),
        Ok(found) if found > size => checked.note(
            &path,
            format!("it has {found} bytes, and the volume has {size}: somebody has added to it"),
            "hosts don't see what is behind the volume's end; `tidelock volume resize` would show it to them",
        ),
        Ok(_) => {}
    }
    Ok(checked)
}

/// For people.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for checked in &report.checked {
        let words = [("DAMAGED", &checked.findings), ("note", &checked.notes)];
        for (word, all) in words {
            for one in all {
                text.push_str(&format!("{word}  {}: {}\n", one.place, one.what));
                text.push_str(&format!("  what to do: {}\n", one.advice));
            }
        }
        let what = &checked.what;
        let looked = match checked.checked_bytes {
            0 => "its file was looked at".to_owned(),
            bytes => format!("{} in use", format_size(bytes)),
        };
        text.push_str(&match checked.damaged {
            0 => format!("{what}: {looked}, nothing is wrong\n"),
            damaged => format!("{what}: {looked}, {damaged} thing(s) are wrong\n"),
        });
    }
    if report.checked.is_empty() {
        text.push_str("there are no volumes\n");
    }
    text
}
