//! A disk that is full: a small tmpfs.

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;

/// A bench whose folder is a file system of so many MiB; `None` where nothing can be mounted.
fn small(mebibytes: u64) -> Option<(Bench, Mounted)> {
    let bench = Bench::raw();
    let families = bench.path().join("families");
    std::fs::create_dir(&families).unwrap();
    // Not by a program: what it inherits for a moment would keep the locks of other tests' files.
    let size = std::ffi::CString::new(format!("size={mebibytes}m")).unwrap();
    if let Err(error) = mount("none", &families, "tmpfs", MountFlags::empty(), &*size) {
        eprintln!("NOT TESTED here: nothing can be mounted: {error}");
        return None;
    }
    let mounted = Mounted(families);
    Some((bench, mounted))
}

struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn a_snapshot_can_be_deleted_on_a_full_disk_and_writes_go_on() {
    let Some((mut bench, _mounted)) = small(9) else {
        return;
    };
    let volume = bench.volume.clone().unwrap();
    let family = Family::create(&bench.options(), &volume, id(1)).unwrap();
    family.adopt(&volume, id(1)).unwrap();
    bench.family = Some(family);
    bench.write(1, 0, &[1; 300]);
    bench.snapshot(1, 2);
    bench.write(1, 0, &[2; 200]);
    bench.family().flush_blocking().unwrap();
    // Until nothing more goes in.
    let filler = bench.path().join("families/filler");
    let mut left = 1 << 20;
    let mut full = std::fs::File::create(&filler).unwrap();
    while left >= 512 {
        match std::io::Write::write_all(&mut full, &vec![1; left]) {
            Ok(()) => {}
            Err(_) => left /= 2,
        }
    }
    let family = Arc::clone(bench.family());
    let runs = family.allocate(1).unwrap();
    let (file, offset) = family.place(runs[0].address).unwrap();
    assert!(write(&file, offset, Bytes::from(vec![1; BLOCK_BYTES])).is_err());
    family.give_back(&runs);
    family.want_space();
    drop(file);
    bench.delete(2);
    bench.settle();
    family.checkpoint().unwrap();
    super::super::keeper::give_back(&family);
    drop(family);
    // There is room now, and nothing was lost.
    bench.write(1, 500, &[3; 50]);
    bench.family().flush_blocking().unwrap();
    assert!(bench.family().fenced().is_none());
    let mut expected = numbered();
    expected[..300].fill(1);
    expected[..200].fill(2);
    expected[500..550].fill(3);
    assert_eq!(bench.read(1), expected);
    drop(volume);
    bench.reopen();
    assert_eq!(bench.read(1), expected);
    bench.assert_sound();
    bench.drop_family();
}
