//! Fuzzing of the log of the plugins: see `invariants::log`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::log, data)
);
