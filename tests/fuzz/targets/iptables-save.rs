//! Fuzzing of what iptables-save prints: see `invariants::iptables_save`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::iptables_save, data)
);
