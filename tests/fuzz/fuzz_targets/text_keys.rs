//! See `tidelock_fuzz::text_keys`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidelock_fuzz::text_keys::check(input));
