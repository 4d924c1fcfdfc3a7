//! Fuzzing of the configuration of `tuning`: see `invariants::config_tuning`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_tuning, data)
);
