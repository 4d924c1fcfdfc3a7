//! Fuzzing of address files: see `invariants::lease`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: causeway_fuzz::start(),
    |data: &[u8]| causeway_fuzz::run(invariants::lease, data)
);
