//! Fuzzing of address files: see `invariants::lease`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::lease(data));
