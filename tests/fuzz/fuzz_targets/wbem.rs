//! See `tidelock_fuzz::wbem`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidelock_fuzz::wbem::check(input));
