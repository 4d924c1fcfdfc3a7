//! Fuzzing of the configuration of `bridge`: see `invariants::config_bridge`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::config_bridge(data));
