//! See `tidelock_fuzz::mirror`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidelock_fuzz::mirror::check(input));
