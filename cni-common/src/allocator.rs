//! Who gives memory to every executable of the suite, where that is not the C library.
//!
//! musl's own allocator maps and unmaps pages all through a call: of 280 system calls of an ADD 100
//! were its. Where the executables are linked with glibc, its allocator stays.

use std::hint::black_box;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// More than a call takes, but for one with an uncommonly long configuration. Less than what the allocator
/// gives back to the kernel when it is free.
const RESERVE: usize = 1 << 20;

/// Asks the kernel for the memory of a whole call, before the call has any effect: a program that gets
/// none later ends there, with what it has done left undone. Pages that are not used cost nothing. The C
/// library's allocator would give it back at once, and asks in two ways when it needs more.
pub(crate) fn reserve() {
    if !cfg!(target_env = "musl") {
        return;
    }
    let mut room: Vec<u8> = Vec::new();
    // Without it each part is asked for when it is needed.
    room.try_reserve_exact(RESERVE).ok();
    drop(black_box(room));
}
