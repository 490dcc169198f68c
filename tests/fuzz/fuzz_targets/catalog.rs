//! See `tidelock_fuzz::catalog`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidelock_fuzz::catalog::check(input));
