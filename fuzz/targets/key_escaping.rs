//! See [`fuzz::key_escaping`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::key_escaping(input));
