//! Fuzzing of a request up to the plan: see `invariants::request`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::request(data));
