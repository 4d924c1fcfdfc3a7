//! Fuzzing of resolv.conf: see `invariants::resolv_conf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::resolv_conf(data));
