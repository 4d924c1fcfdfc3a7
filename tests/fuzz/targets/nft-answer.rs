//! Fuzzing of answers of nf_tables: see `invariants::nft_answer`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::nft_answer, data)
);
