//! Looking at the files of a family that nobody serves: what is wrong with them, where, and what to do.
//! Changes nothing. Everything here **blocks**.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelock_block::{BlockFile, FileOptions};
use tidelock_volume::mapped::check::{Check, Checked};
use tidelock_volume::mapped::family::recover::choose;
use tidelock_volume::mapped::format::superblock::{Slot, Superblock};
use tidelock_volume::mapped::format::{allocation, batch};
use tidelock_volume::mapped::{self, BLOCK_BYTES, DatasetFacts, Id};

use super::files::{self, Files};
use super::open::{Failed, recover};
use super::{DatasetInfo, tail, verify};
use crate::error::VolumeError;

/// Findings that are named; more are counted.
const NAMED_MAX: usize = 100;
/// Bytes of the journal in which the end of a batch is looked for.
const BATCH_BYTES: usize = batch::BATCH_BYTES_MAX;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// The folder of the family's files.
    pub folder: PathBuf,
    /// Its id; `None`: whatever the superblock says.
    pub id: Option<Id>,
    /// The raw file that it began with; `None`: that isn't known here.
    pub home: Option<PathBuf>,
    /// Where a daemon that was killed may have left its last changes.
    pub tail_folder: Option<PathBuf>,
    /// Read all blocks of data too.
    pub data: bool,
}

impl InspectOptions {
    /// The maps alone, of a family whose home file isn't known.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            id: None,
            home: None,
            tail_folder: Some(tail::usual_folder()),
            data: false,
        }
    }
}

/// Something that was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// Which file, and which byte of it if that can be said.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectReport {
    /// The family's id, as far as it is known.
    pub id: Option<Id>,
    /// Bytes of blocks that have an owner.
    pub checked_bytes: u64,
    /// How many things are wrong.
    pub damaged: u64,
    /// What is wrong; the first hundred.
    pub findings: Vec<FileFinding>,
    /// What is no damage, or not for certain: what a power cut leaves, and copies that don't count.
    pub notes: Vec<FileFinding>,
    /// The heads and snapshots that there are; `None` if they couldn't be found out.
    pub datasets: Option<Vec<DatasetInfo>>,
}

/// What to do about data that is gone.
const RESTORE: &str = "bring the folder back from a backup; what can still be read can be copied from a \
    daemon that serves it, and a read of what is damaged fails there with a MEDIUM ERROR";
/// What to do about copies.
const REWRITTEN: &str = "nothing is lost: start the daemon, which writes it anew with its next checkpoints; if \
    there was no power cut, have a look at the disk";

impl InspectReport {
    fn find(&mut self, place: impl Into<String>, what: impl Into<String>, advice: &str) {
        self.damaged += 1;
        if self.findings.len() < NAMED_MAX {
            self.findings.push(finding(place, what, advice));
        }
    }

    fn note(&mut self, place: impl Into<String>, what: impl Into<String>, advice: &str) {
        if self.notes.len() < NAMED_MAX {
            self.notes.push(finding(place, what, advice));
        }
    }
}

fn finding(place: impl Into<String>, what: impl Into<String>, advice: &str) -> FileFinding {
    FileFinding {
        place: place.into(),
        what: what.into(),
        advice: advice.to_owned(),
    }
}

/// Looks at the files of a family: superblock, tables, allocation, journal, maps, sizes, and that each block
/// has exactly one owner. **Blocks**, for as long as it takes.
///
/// # Errors
/// Somebody has the files open: nothing was looked at. What else is wrong is in the report.
pub fn inspect(options: &InspectOptions) -> Result<InspectReport, VolumeError> {
    let mut report = InspectReport::default();
    let home = open_home(options, &mut report)?;
    let files = match Files::look_at(&options.folder, home) {
        Ok(files) => files,
        Err(error @ VolumeError::InUse { .. }) => return Err(error),
        Err(error) => {
            let folder = options.folder.display().to_string();
            report.find(folder, error.to_string(), RESTORE);
            return Ok(report);
        }
    };
    let inspected = Inspection {
        options,
        files,
        report: &mut report,
    }
    .run();
    if let Err(error) = inspected {
        let folder = options.folder.display().to_string();
        report.find(
            folder,
            error.to_string(),
            "see the system log for the cause",
        );
    }
    Ok(report)
}

fn open_home(
    options: &InspectOptions,
    report: &mut InspectReport,
) -> Result<Option<Arc<BlockFile>>, VolumeError> {
    let Some(path) = &options.home else {
        return Ok(None);
    };
    let file = FileOptions {
        read_only: true,
        ..FileOptions::new(path)
    };
    match BlockFile::open(&file).map_err(|error| VolumeError::from_block(error, 0)) {
        Ok(file) => Ok(Some(file)),
        Err(error @ VolumeError::InUse { .. }) => Err(error),
        Err(error) => {
            let place = path.display().to_string();
            let advice = "bring the file back: the volume and its snapshots read from it what was there \
                before the first snapshot";
            report.find(place, error.to_string(), advice);
            Ok(None)
        }
    }
}

struct Inspection<'a> {
    options: &'a InspectOptions,
    files: Files,
    report: &'a mut InspectReport,
}

impl Inspection<'_> {
    fn path(&self, name: &str) -> String {
        self.options.folder.join(name).display().to_string()
    }

    fn at(&self, name: &str, byte: u64) -> String {
        format!("{}, byte {byte}", self.path(name))
    }

    /// Goes on for as long as what was found says where the next thing is.
    fn run(&mut self) -> Result<(), VolumeError> {
        if !self.sizes()? {
            return Ok(());
        }
        let Some(superblock) = self.superblock()? else {
            return Ok(());
        };
        self.report.id = Some(superblock.family);
        let bad_slots = self.slots()?;
        if !self.journal(&superblock)? {
            return Ok(());
        }
        let halves = self.tail();
        let maps = match recover(&self.files, superblock.family, &halves) {
            Ok((maps, _)) => maps,
            Err(failed) => {
                for byte in bad_slots {
                    let place = self.at("allocation", byte);
                    self.report
                        .find(place, "it isn't what was written", RESTORE);
                }
                let (name, what) = match failed {
                    Failed::Damage(damage) => (file_of(damage.what), damage.to_string()),
                    Failed::Volume(error) => ("", error.to_string()),
                };
                let place = self.path(name);
                self.report.find(place, what, RESTORE);
                return Ok(());
            }
        };
        for byte in bad_slots {
            let place = self.at("allocation", byte);
            let what = "a slot that doesn't count isn't whole: what a power cut leaves, or damage";
            self.report.note(place, what, REWRITTEN);
        }
        self.home(maps.home_bytes())?;
        self.ends(&maps)?;
        self.report.datasets = Some(infos(&maps.datasets()));
        self.walk(maps)
    }

    /// Whether the files are long enough to be looked at.
    fn sizes(&mut self) -> Result<bool, VolumeError> {
        let mut enough = true;
        for file in self.files.sizes()? {
            let Some(full) = file.full.filter(|full| *full != file.size) else {
                continue;
            };
            let (place, size) = (self.path(&file.name), file.size);
            if size > full {
                let what = format!(
                    "it has {size} bytes, and was made with {full}: somebody has added to it"
                );
                self.report
                    .note(place, what, "what is behind its end isn't used");
            } else if file.name == "superblock" {
                enough = false;
                let what =
                    format!("it has {size} bytes instead of {full}: somebody has cut it short");
                self.report.find(place, what, RESTORE);
            }
        }
        Ok(enough)
    }

    /// The superblock that counts.
    fn superblock(&mut self) -> Result<Option<Superblock>, VolumeError> {
        let bytes = self.files.superblock()?;
        let chosen = match choose(&bytes) {
            Ok(chosen) => chosen,
            Err(damage) => {
                let place = self.path("superblock");
                self.report.find(place, damage.to_string(), RESTORE);
                return Ok(None);
            }
        };
        for (index, page) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let is_valid = matches!(Superblock::decode(page), Ok(Slot::Valid(_)));
            let is_new = page.iter().all(|byte| *byte == 0) && chosen.sequence == 1;
            if is_valid || is_new {
                continue;
            }
            let place = self.at("superblock", (index * BLOCK_BYTES) as u64);
            if index as u64 / 2 == chosen.sequence & 1 {
                let what = "one of the two copies of the superblock that counts is damaged";
                self.report.find(place, what, REWRITTEN);
            } else {
                let what = "a copy of the superblock that doesn't count isn't whole: what a power cut leaves, \
                    or damage";
                self.report.note(place, what, REWRITTEN);
            }
        }
        if self.options.id.is_some_and(|id| id != chosen.family) {
            let place = self.path("superblock");
            let advice =
                "somebody has put another family's file in its place: bring the right one back";
            self.report.find(place, "it is another family's", advice);
            return Ok(None);
        }
        Ok(Some(chosen))
    }

    /// Where allocation slots are that aren't whole.
    fn slots(&mut self) -> Result<Vec<u64>, VolumeError> {
        let all = self.files.sizes()?;
        let size = all.iter().find(|file| file.name == "allocation");
        let pairs = size.map_or(0, |file| file.size.div_ceil(2 * BLOCK_BYTES as u64));
        let mut bad = Vec::new();
        for segment in 0..u32::try_from(pairs).unwrap_or(u32::MAX) {
            for (second, slot) in [false, true].into_iter().zip(self.files.slots(segment)?) {
                let is_new = slot.iter().all(|byte| *byte == 0);
                if !is_new && !matches!(allocation::decode(&slot, segment), Ok(Some(_))) {
                    bad.push(allocation::slot_offset(segment, second));
                }
            }
        }
        Ok(bad)
    }

    /// Looks where the journal ends; false if it can't be looked at.
    fn journal(&mut self, superblock: &Superblock) -> Result<bool, VolumeError> {
        let bytes = superblock.journal_bytes;
        let all = self.files.sizes()?;
        let size = all.iter().find(|file| file.name == "journal");
        let size = size.map_or(0, |file| file.size);
        if size != bytes {
            let what = format!("it has {size} bytes, and was made with {bytes}");
            let place = self.path("journal");
            self.report.find(place, what, RESTORE);
            return Ok(false);
        }
        let sector = batch::SECTOR_BYTES as u64;
        if superblock.journal_at >= bytes || !bytes.is_multiple_of(sector) {
            return Ok(true);
        }
        let (mut at, mut sequence, mut seen) =
            (superblock.journal_at, superblock.journal_sequence, 0);
        let family = &superblock.family;
        while seen < bytes {
            let room = usize::try_from(bytes - seen).unwrap_or(BATCH_BYTES);
            let first = self.files.ring(at, batch::SECTOR_BYTES.min(room), bytes)?;
            let length = batch::length(&first, family, sequence).filter(|length| *length <= room);
            if let Some(length) = length {
                let whole = self.files.ring(at, length, bytes)?;
                if batch::is_whole(&whole, family, sequence) {
                    (at, seen) = ((at + length as u64) % bytes, seen + length as u64);
                    sequence += 1;
                    continue;
                }
            }
            let rest = self.files.ring(at, BATCH_BYTES.min(room), bytes)?;
            if batch::is_ruin(&rest, family, sequence) {
                let what = format!(
                    "batch {sequence}, the last one, isn't whole: a power cut came while it was written, and \
                     nobody was promised what it says; or it is damaged, and that is lost"
                );
                let advice = "after a power cut nothing has to be done; else bring the folder back from a backup";
                let place = self.at("journal", at);
                self.report.note(place, what, advice);
            }
            break;
        }
        Ok(true)
    }

    fn tail(&mut self) -> Vec<Vec<u8>> {
        let Some(folder) = &self.options.tail_folder else {
            return Vec::new();
        };
        match tail::found(folder, self.files.superblock_path()) {
            Ok(halves) => halves,
            Err(error) => {
                let place = folder.display().to_string();
                let what = format!("what a killed daemon left there can't be read: {error}");
                let advice = "look with the user that the daemon runs as";
                self.report.note(place, what, advice);
                Vec::new()
            }
        }
    }

    fn home(&mut self, bytes: u64) -> Result<(), VolumeError> {
        let Some(home) = self.files.home() else {
            if bytes > 0 && self.options.home.is_none() {
                let what = format!(
                    "{bytes} bytes of it are in the raw file that it began with, which isn't known here"
                );
                let place = self.options.folder.display().to_string();
                let advice = "name the volume instead of the folder to have that looked at as well";
                self.report.note(place, what, advice);
            }
            return Ok(());
        };
        let place = home.path().display().to_string();
        let size = home
            .size()
            .map_err(|error| VolumeError::from_block(error, 0))?;
        if size < bytes {
            let what = format!("it has {size} bytes, and {bytes} of it belong to the snapshots");
            let advice = "somebody has cut it short or put another file in its place: bring the right file back";
            self.report.find(place, what, advice);
        } else if size > bytes && bytes > 0 {
            let what = format!("it has {size} bytes, and {bytes} of it belong to the snapshots");
            self.report
                .note(place, what, "what is behind them isn't used");
        }
        Ok(())
    }

    /// Whether all that is in use is inside the data files.
    fn ends(&mut self, maps: &mapped::Family) -> Result<(), VolumeError> {
        let sizes = self.files.sizes()?;
        let mut told: Vec<String> = Vec::new();
        for last in maps.last_used() {
            let (name, byte) = files::named(last);
            let end = byte + BLOCK_BYTES as u64;
            let size = sizes.iter().find(|file| file.name == name);
            if size.is_some_and(|file| file.size >= end) || told.contains(&name) {
                continue;
            }
            let what = match size {
                Some(file) => format!(
                    "it has {} bytes, and blocks up to byte {end} are in use: somebody has cut it short",
                    file.size
                ),
                None => "the file is missing, and blocks in it are in use".to_owned(),
            };
            let place = self.path(&name);
            self.report.find(place, what, RESTORE);
            told.push(name);
        }
        Ok(())
    }

    fn walk(&mut self, mut maps: mapped::Family) -> Result<(), VolumeError> {
        let begun = maps.begin_check();
        let mut check = begun.map_err(|error| VolumeError::Family {
            folder: self.options.folder.clone(),
            what: error.to_string(),
        })?;
        if self.options.data {
            check = check.with_data();
        }
        let datasets = maps.datasets();
        loop {
            match maps.check_step(&mut check) {
                Ok(true) => self.data(&mut check, &datasets)?,
                Ok(false) => break,
                Err(missing) => verify::supply(&mut check, &self.files, missing)?,
            }
        }
        self.data(&mut check, &datasets)?;
        let found = check.report();
        for finding in &found.findings {
            let place = match finding.address() {
                Some(address) => {
                    let (name, byte) = files::named(address);
                    self.at(&name, byte)
                }
                None => self.options.folder.display().to_string(),
            };
            let whose = finding.dataset().and_then(|id| name_of(&datasets, id));
            let what = match whose {
                Some(uuid) => format!("{finding} ({uuid})"),
                None => finding.to_string(),
            };
            self.report.find(place, what, advice(finding));
        }
        self.report.checked_bytes += found.owned * BLOCK_BYTES as u64;
        Ok(())
    }

    fn data(&mut self, check: &mut Check, datasets: &[DatasetFacts]) -> Result<(), VolumeError> {
        for block in check.take_data() {
            let Checked { address, crc, .. } = block;
            let wrong = match self.files.read_page(address) {
                Ok(data) if crc32c::crc32c(&data) == crc => continue,
                Ok(_) => "its checksum is wrong".to_owned(),
                Err(error) => error.to_string(),
            };
            let (name, byte) = files::named(address);
            let whose = name_of(datasets, block.dataset).unwrap_or_default();
            let what = format!(
                "block {} of {} ({whose}): {wrong}",
                block.block, block.dataset
            );
            let place = self.at(&name, byte);
            self.report.find(place, what, RESTORE);
        }
        Ok(())
    }
}

fn name_of(datasets: &[DatasetFacts], id: mapped::DatasetId) -> Option<String> {
    let found = datasets.iter().find(|facts| facts.number == id)?;
    Some(super::open::hex(found.uuid))
}

fn advice(finding: &mapped::check::Finding) -> &'static str {
    use mapped::check::Finding;
    match finding {
        Finding::Leaked(_) => {
            "no data is at stake, only space: please report it; a copy of the volume has none of this"
        }
        Finding::DeadList { .. } => {
            "no data is at stake, only space: a copy of the volume has none of this"
        }
        Finding::Node { .. } => RESTORE,
        _ => {
            "don't serve it: two of its volumes may destroy each other's data. Bring it back from a backup, and \
            please report it"
        }
    }
}

/// The file that a structure is in.
fn file_of(what: &str) -> &'static str {
    match what {
        _ if what.contains("superblock") => "superblock",
        _ if what.contains("journal") => "journal",
        _ if what.contains("allocation") => "allocation",
        _ => "data-0000",
    }
}

fn infos(all: &[DatasetFacts]) -> Vec<DatasetInfo> {
    super::control::infos(all)
}

/// Whether blocks of data are in the files of a family that nobody serves: without any it is nobody's loss.
/// What has been made durable counts, and what a killed daemon left in its tail. **Blocks.**
///
/// # Errors
/// That can't be found out: a file is missing, damaged, or somebody has it open.
pub fn has_data(folder: &Path, tail_folder: Option<&Path>) -> Result<bool, VolumeError> {
    let wrong = |what: String| VolumeError::Family {
        folder: folder.to_path_buf(),
        what,
    };
    let files = Files::look_at(folder, None)?;
    let superblock = choose(&files.superblock()?).map_err(|damage| wrong(damage.to_string()))?;
    let halves = match tail_folder.map(|folder| tail::found(folder, files.superblock_path())) {
        Some(halves) => halves.map_err(|error| wrong(error.to_string()))?,
        None => Vec::new(),
    };
    match recover(&files, superblock.family, &halves) {
        Ok((maps, _)) => Ok(maps.data_blocks() > 0),
        Err(Failed::Damage(damage)) => Err(wrong(damage.to_string())),
        Err(Failed::Volume(error)) => Err(error),
    }
}

/// Bytes of a raw file or block device that nobody uses. **Blocks.**
///
/// # Errors
/// It isn't there, isn't one, can't be read, or somebody has it open.
pub fn file_size(path: &Path) -> Result<u64, VolumeError> {
    let options = FileOptions {
        read_only: true,
        ..FileOptions::new(path)
    };
    let file = BlockFile::open(&options).and_then(|file| file.size());
    file.map_err(|error| VolumeError::from_block(error, 0))
}

/// Whether a folder has the files of a family in it.
#[must_use]
pub fn is_family(folder: &Path) -> bool {
    folder.join("superblock").is_file()
}
