//! Fuzzing of a pool whose files are overwritten: see `invariants::pool`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::pool, data)
);
