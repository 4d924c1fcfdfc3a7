//! Fuzzing of answers of nf_tables: see `invariants::nft_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::nft_answer(data));
