//! Fuzzing of `CNI_ARGS`: see `invariants::cni_args`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::cni_args, data)
);
