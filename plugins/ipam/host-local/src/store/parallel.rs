//! The same work for very many addresses, by as many threads as the machine runs at once.

use std::net::IpAddr;
use std::thread;

/// Fewer addresses than this are done before a thread has started.
const MIN_ADDRESSES: usize = 2_000;
/// More threads than this wait for the folder's lock in the kernel rather than work.
const MAX_THREADS: usize = 4;

/// What `work` says of each address, in their order.
pub(super) fn map<T: Send>(addresses: &[IpAddr], work: impl Fn(IpAddr) -> T + Sync) -> Vec<T> {
    let run = |part: &[IpAddr]| part.iter().map(|ip| work(*ip)).collect::<Vec<T>>();
    // Asked only then: the answer takes fifteen system calls, most of them for files of cgroups.
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let threads = if addresses.len() < MIN_ADDRESSES { 1 } else { processors().min(MAX_THREADS) };
    if threads < 2 {
        return run(addresses);
    }
    let run = &run;
    thread::scope(|scope| {
        let parts = addresses.chunks(addresses.len().div_ceil(threads));
        let started: Vec<_> = parts
            .map(|part| (part, thread::Builder::new().spawn_scoped(scope, move || run(part))))
            .collect();
        let mut done = Vec::with_capacity(addresses.len());
        for (part, thread) in started {
            // A thread that could not be started, or that panicked, leaves its part to this one.
            let said = thread.ok().and_then(|thread| thread.join().ok());
            done.extend(said.unwrap_or_else(|| run(part)));
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{address_of, number_of};

    #[test]
    fn the_order_is_kept_however_many_there_are() {
        for count in [0, 1, 1_999, 2_000, 2_001, 9_999] {
            let addresses: Vec<IpAddr> = (0..count).map(|n| address_of(n << 80)).collect();
            let said = map(&addresses, |ip| number_of(ip) >> 80);
            assert_eq!(said, (0..count).collect::<Vec<u128>>());
        }
    }
}
