//! Fuzzing of the configuration of `static`: see `invariants::config_static`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::config_static, data)
);
