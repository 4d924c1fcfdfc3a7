//! Fuzzing of resolv.conf: see `invariants::resolv_conf`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: causeway_fuzz::start(),
    |data: &[u8]| causeway_fuzz::run(invariants::resolv_conf, data)
);
