//! Fuzzing of the allow list of sysctls: see `invariants::allow_list`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::allow_list, data)
);
