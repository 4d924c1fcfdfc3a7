//! Fuzzing of results in every version: see `invariants::result`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::result(data));
