//! Fuzzing of answers of rtnetlink: see `invariants::netlink_answer`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::netlink_answer, data)
);
