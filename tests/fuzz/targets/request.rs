//! Fuzzing of a request up to the plan: see `invariants::request`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::request, data)
);
