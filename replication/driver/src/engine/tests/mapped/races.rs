//! What happens to blocks between the look at the map and the read.

use std::os::unix::fs::FileExt;

use super::*;

const SIZE: u64 = 16 * BLOCK_BYTES;

/// Another engine with the same volume.
fn other(bench: &Bench) -> Rig {
    let pool = Arc::clone(&bench.rig.pool);
    let engine = Engine::new(EngineKind::ThreadPool, 8, Arc::clone(&pool)).unwrap();
    Rig::of(engine, Arc::clone(&bench.rig.volume), pool, None, None)
}

fn overwrite(place: &(PathBuf, u64)) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&place.0)
        .unwrap();
    file.write_all_at(&[0xEE; 4096], place.1).unwrap();
}

fn finish_read(bench: &mut Bench) -> Bytes {
    match bench.rig.finish(1).remove(0).1 {
        VolumeOutcome::Read(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

const READ: VolumeOp = VolumeOp::Read {
    offset: 0,
    length: 3 * BLOCK_BYTES,
};

#[test]
fn a_block_that_becomes_anothers_before_it_is_read_is_looked_for_again() {
    on_each_mapped(
        SIZE,
        |_| {},
        |bench| {
            done(bench.rig.run(write(0, 12_288, 1)));
            let place = bench.place(1).unwrap();
            // It knows where to read, and hasn't yet.
            bench.rig.start(READ);
            let mut other = other(bench);
            done(other.run(write(4096, 4096, 2)));
            done(other.run(VolumeOp::Flush));
            overwrite(&place);
            let expected = [[1; 4096], [2; 4096], [1; 4096]].concat();
            assert_eq!(finish_read(bench), expected);
        },
    );
}

#[test]
fn a_block_of_the_home_file_that_is_given_back_before_it_is_read_is_looked_for_again() {
    let fill = |rig: &mut Rig| done(rig.run(write(0, 12_288, 1)));
    on_each_mapped(SIZE, fill, |bench| {
        bench.rig.start(READ);
        let mut other = other(bench);
        done(other.run(write(4096, 4096, 2)));
        let image = std::fs::File::open(bench.folder.path().join("image")).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut byte = [1];
        while byte == [1] {
            bench.family().checkpoint().unwrap();
            image.read_exact_at(&mut byte, 4096).unwrap();
            assert!(
                Instant::now() < deadline,
                "the space of the block is given back"
            );
        }
        let expected = [[1; 4096], [2; 4096], [1; 4096]].concat();
        assert_eq!(finish_read(bench), expected);
    });
}

#[test]
fn a_page_of_a_map_that_becomes_anothers_before_it_is_read_is_not_damaged() {
    on_each_mapped(
        SIZE,
        |_| {},
        |bench| {
            done(bench.rig.run(write(0, 12_288, 1)));
            bench.reopen();
            let mapped = bench.rig.volume.mapped().unwrap();
            let range = BlockRange { first: 0, count: 1 };
            let missing = match mapped
                .family
                .locate(mapped.dataset, range, &mut Stretches::new())
            {
                Err(crate::family::Trouble::Missing(missing)) => missing,
                other => panic!("{other:?}"),
            };
            let (file, at) = mapped.family.place(missing.address).unwrap();
            bench.rig.start(READ);
            let mut other = other(bench);
            done(other.run(write(4096, 4096, 2)));
            bench.family().checkpoint().unwrap();
            overwrite(&(file.path().to_path_buf(), at));
            let expected = [[1; 4096], [2; 4096], [1; 4096]].concat();
            assert_eq!(finish_read(bench), expected);
        },
    );
}
