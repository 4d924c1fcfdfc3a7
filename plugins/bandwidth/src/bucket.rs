//! A token bucket for a configured limit: the reference's where that works. Pure.

use cni_common::types::traffic::{Burst, ShownBucket, TICK, TokenBucket};

use crate::config::{LATENCY, Limit};

/// What a frame has beside the packet: an Ethernet header with a VLAN tag.
const FRAME: u32 = 18;
/// The largest packet that a link is given to cut it up (GSO), in bytes.
const MAX_PACKET: u32 = 64 * 1024;
const MILLISECONDS: u128 = 1_000;
const MICROSECONDS: u128 = 1_000_000;
const NANOSECONDS: u128 = 1_000_000_000;

/// A token bucket to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The bucket.
    pub bucket: TokenBucket,
    /// What the reference makes of the same configuration, where its numbers have room for it.
    pub reference: Option<ShownBucket>,
}

impl Shape {
    /// The bucket on links of this MTU. What waits may have to for `latency` milliseconds.
    pub fn of(limit: &Limit, latency: u32, mtu: u32) -> Self {
        let bucket = bucket(limit, latency, mtu);
        Self { bucket, reference: reference(limit) }
    }

    /// Whether a bucket that is there is this one.
    pub fn is(&self, found: &ShownBucket) -> bool {
        is_same(&self.bucket.shown(), found)
    }

    /// Whether it is the one that the reference makes.
    pub fn is_of_reference(&self, found: &ShownBucket) -> bool {
        self.reference.is_some_and(|reference| is_same(&reference, found))
    }
}

fn is_same(one: &ShownBucket, other: &ShownBucket) -> bool {
    one.rate == other.rate && one.limit == other.limit && one.has_buffer_of(other)
}

fn bucket(limit: &Limit, latency: u32, mtu: u32) -> TokenBucket {
    let rate = u128::from(limit.rate);
    // A packet larger than the bucket never passes.
    let smallest = mtu.saturating_add(FRAME);
    let burst = limit.burst.max(smallest);
    let ticks = u32::try_from(ticks(rate, burst)).ok();
    // Ticks are all that the reference gives and compares; they may be too few for one packet.
    let ticks = ticks.filter(|ticks| bytes(rate, *ticks) >= u128::from(smallest));
    // What has waited in vain for tokens waits for as many bytes as are before it. With the whole of
    // a burst that lasts for minutes it would wait as long; a packet must have room whatever the rate.
    let room = u128::from(burst).min(rate.max(MAX_PACKET.max(smallest).into()));
    let waiting = rate * u128::from(latency) / MILLISECONDS;
    TokenBucket {
        rate: limit.rate,
        limit: u32::try_from(waiting + room).unwrap_or(u32::MAX),
        burst: ticks.map_or(Burst::Bytes(burst), Burst::Ticks),
    }
}

/// The reference's bucket, unless its 32 bits overflow.
fn reference(limit: &Limit) -> Option<ShownBucket> {
    let rate = u128::from(limit.rate);
    let waiting = rate * u128::from(LATENCY) / MILLISECONDS;
    Some(ShownBucket {
        rate: limit.rate,
        limit: u32::try_from(waiting + u128::from(limit.burst)).ok()?,
        buffer: u32::try_from(ticks(rate, limit.burst)).ok()?,
    })
}

/// The time that a burst lasts at a rate, in ticks; whole microseconds of it, as the reference has it.
fn ticks(rate: u128, burst: u32) -> u128 {
    let time = u128::from(burst) * MICROSECONDS / rate.max(1);
    time * MILLISECONDS / u128::from(TICK)
}

/// What the kernel makes of ticks.
fn bytes(rate: u128, ticks: u32) -> u128 {
    u128::from(ticks) * u128::from(TICK) * rate / NANOSECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a limit in bits, as it is configured.
    fn shape(rate: u64, burst: u64) -> Shape {
        let limit = Limit { rate: rate / 8, burst: u32::try_from(burst / 8).unwrap() };
        Shape::of(&limit, LATENCY, 1500)
    }

    fn of(rate: u64, burst: u64) -> (u32, Burst) {
        let bucket = shape(rate, burst).bucket;
        (bucket.limit, bucket.burst)
    }

    #[test]
    fn a_common_limit_is_the_references() {
        for (rate, burst) in
            [(8_000_000, 800_000), (1_000_000, 1_000_003), (1_000_000_000, 7_777_777)]
        {
            let shape = shape(rate, burst);
            assert!(shape.is_of_reference(&shape.bucket.shown()), "{shape:?}");
        }
        assert_eq!(of(8_000_000, 800_000), (125_000, Burst::Ticks(1_562_500)));
    }

    #[test]
    fn a_burst_below_one_packet_is_one_packet() {
        assert_eq!(of(1_000_000, 8), (3125 + 1518, Burst::Ticks(189_750)));
        // A microsecond is 12,500 bytes.
        assert_eq!(of(100_000_000_000, 12_144), (312_501_518, Burst::Bytes(1518)));
    }

    #[test]
    fn the_bursts_of_runtimes_do_not_overflow_and_let_nothing_wait_for_minutes() {
        for burst in [4_294_967_295, 34_359_738_359] {
            let bytes = Burst::Bytes(u32::try_from(burst / 8).unwrap());
            assert_eq!(of(1_000_000, burst), (3_125 + 125_000, bytes));
            assert_eq!(of(8, burst), (65_536, bytes));
            assert_eq!(of(80_000_000_000_000, burst).0, u32::MAX);
        }
        assert_eq!(shape(1_000_000, 4_294_967_295).reference, None);
    }
}
