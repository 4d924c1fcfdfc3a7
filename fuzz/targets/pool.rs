//! Fuzzing of a pool whose files are overwritten: see `invariants::pool`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::pool(data));
