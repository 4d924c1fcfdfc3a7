//! Fuzzing of the configuration of `firewall`: see `invariants::config_firewall`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_firewall, data)
);
