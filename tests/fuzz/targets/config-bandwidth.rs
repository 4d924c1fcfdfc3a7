//! Fuzzing of the configuration of `bandwidth`: see `invariants::config_bandwidth`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_bandwidth, data)
);
