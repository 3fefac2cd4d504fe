//! See [`fuzz::sanitize`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::sanitize(input));
