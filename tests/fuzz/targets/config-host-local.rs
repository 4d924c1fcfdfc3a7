//! Fuzzing of the configuration of `host-local`: see `invariants::config_host_local`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_host_local, data)
);
