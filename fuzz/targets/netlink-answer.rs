//! Fuzzing of answers of rtnetlink: see `invariants::netlink_answer`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: causeway_fuzz::start(),
    |data: &[u8]| causeway_fuzz::run(invariants::netlink_answer, data)
);
