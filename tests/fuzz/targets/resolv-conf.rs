//! Fuzzing of resolv.conf: see `invariants::resolv_conf`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::resolv_conf, data)
);
