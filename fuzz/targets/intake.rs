//! See `capture::fuzz::intake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| capture::fuzz::intake(input));
