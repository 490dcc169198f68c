//! Any bytes as a catalog: refused, or read into something that is written and read again the same.

use tidelock_catalog::Catalog;

/// The first byte says whether the rest is a whole catalog or only its body; the body gets a header
/// line with the right length and checksum, which no fuzzer would find.
pub fn check(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let bytes = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        with_header(rest)
    };
    match Catalog::decode(&bytes) {
        Ok(catalog) => {
            let again = Catalog::decode(&catalog.encode()).expect("what was written can be read");
            assert_eq!(catalog, again);
        }
        Err(error) => assert!(error.to_string().len() < 4_096, "an endless error message"),
    }
}

fn with_header(body: &[u8]) -> Vec<u8> {
    let head = format!("tidelock-catalog 1 length={}", body.len());
    let crc = crc32c::crc32c_append(crc32c::crc32c(head.as_bytes()), body);
    [format!("{head} crc32c={crc:08x}\n").as_bytes(), body].concat()
}
