//! Properties of every parser, for made inputs of the right shape: what is accepted agrees with a
//! simple oracle, what is printed is read again as the same, an error names its key and value.
//!
//! The inputs are the same in each run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` choose others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod addresses;
mod configuration;
mod kernel;
mod log;
mod mutation;
mod names;
mod results;
mod words;

use proptest::test_runner::{Config, RngSeed};

/// As many cases as take a moment, always the same.
fn cases(count: u32) -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = count;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}
