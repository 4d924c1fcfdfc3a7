//! Fuzzing of answers of rtnetlink: see `invariants::netlink_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::netlink_answer(data));
