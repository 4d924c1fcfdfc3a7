//! Fuzzing of `CNI_ARGS`: see `invariants::cni_args`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::cni_args(data));
