//! Fuzzing of the configuration of `portmap`: see `invariants::config_portmap`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_portmap, data)
);
