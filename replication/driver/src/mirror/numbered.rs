//! Maps by numbers that are given one after the other: these are as good as any hash of them, and are hashed at each write.

use std::hash::{BuildHasherDefault, Hasher};

/// How such a map hashes.
pub(super) type Numbered = BuildHasherDefault<ByNumber>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The table looks at the highest bits as well as at the lowest.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
