//! What every fuzz target does: its invariant for one input, and an abort when that is broken.
//!
//! Not every panic is a finding. Some are caught where they happen (the message crates' own), so the one
//! that ends an input is told apart by where it arrives.

use std::panic::{catch_unwind, set_hook};
use std::sync::Mutex;

static LAST: Mutex<String> = Mutex::new(String::new());

/// Keeps what a panic says until it is known whether anybody catches it.
pub fn start() {
    set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST.lock() {
            *last = info.to_string();
        }
    }));
}

/// Runs `invariant` for `data`.
pub fn run(invariant: invariants::Invariant, data: &[u8]) {
    if catch_unwind(|| invariant(data)).is_err() {
        eprintln!("{}", LAST.lock().map(|last| last.clone()).unwrap_or_default());
        std::process::abort();
    }
}
