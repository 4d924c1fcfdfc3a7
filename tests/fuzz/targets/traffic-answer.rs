//! Fuzzing of answers of traffic control: see `invariants::traffic_answer`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::traffic_answer, data)
);
