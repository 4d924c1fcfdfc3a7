//! Fuzzing of a pool whose files are overwritten: see `invariants::pool`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: causeway_fuzz::start(),
    |data: &[u8]| causeway_fuzz::run(invariants::pool, data)
);
