//! Fuzzing of the configuration of `host-local`: see `invariants::config_host_local`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::config_host_local(data));
