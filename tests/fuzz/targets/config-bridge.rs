//! Fuzzing of the configuration of `bridge`: see `invariants::config_bridge`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_bridge, data)
);
