//! Who gives memory to every executable of the suite, where that is not the C library.
//!
//! musl's own allocator maps and unmaps pages all through a call: of 280 system calls of an ADD 100
//! were its. Where the executables are linked with glibc, its allocator stays.

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
