//! Any bytes as the list of a family's snapshots: refused, or read into something that is written anew and
//! read again the same.

use tidelock_catalog::FamilyId;
use tidelock_catalog::snapshots::log::Log;

/// The first byte says whether the rest is a whole list or only its changes, line by line; those get a
/// first line and right checksums, which no fuzzer would find.
pub fn check(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let family =
        FamilyId::from_folder("000000000000000000000000000000fa").expect("a family's folder");
    let bytes = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        with_checksums(family, rest)
    };
    match Log::decode(&bytes, family) {
        Ok(log) => {
            assert!(log.len() <= bytes.len() as u64);
            let counted = &bytes[..usize::try_from(log.len()).expect("a length in memory")];
            assert_eq!(
                Log::decode(counted, family).as_ref(),
                Ok(&log),
                "without its torn end"
            );
            let (compacted, bytes) = log.compacted(family);
            assert_eq!(compacted.list(), log.list());
            assert_eq!(Log::decode(&bytes, family), Ok(compacted));
        }
        Err(error) => assert!(error.to_string().len() < 4_096, "an endless error message"),
    }
}

fn with_checksums(family: FamilyId, lines: &[u8]) -> Vec<u8> {
    let head = format!("tidelock-snapshots 1 family={family}");
    let mut crc = crc32c::crc32c(head.as_bytes());
    let mut bytes = format!("{head} crc32c={crc:08x}\n").into_bytes();
    for line in lines.split(|&byte| byte == b'\n') {
        crc = crc32c::crc32c_append(crc, line);
        bytes.extend(format!("{crc:08x} ").as_bytes());
        bytes.extend(line);
        bytes.push(b'\n');
    }
    bytes
}
