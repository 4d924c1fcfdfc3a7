//! Fuzzing of what a runtime keeps of an attachment: see `invariants::cache`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::cache, data)
);
