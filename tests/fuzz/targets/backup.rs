//! Fuzzing of the values that `tuning` keeps for DEL: see `invariants::backup`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::backup, data)
);
