//! See `tidelock_fuzz::snapshots`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidelock_fuzz::snapshots::check(input));
