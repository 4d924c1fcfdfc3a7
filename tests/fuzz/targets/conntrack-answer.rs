//! Fuzzing of answers of connection tracking: see `invariants::conntrack_answer`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::conntrack_answer, data)
);
