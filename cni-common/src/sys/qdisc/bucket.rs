//! Token buckets in messages: `struct tc_tbf_qopt` and what stands beside it (linux/pkt_sched.h).

use super::message::{Attributes, find, u32_at, u64_at};
use crate::types::traffic::{Burst, ShownBucket, TokenBucket};

const PARAMETERS: u16 = 1;
const RATE_64: u16 = 4;
const BURST: u16 = 6;

/// `TC_LINKLAYER_ETHERNET`. A link layer that is said makes rate tables needless: without one the
/// kernel would look into them for which it is.
const ETHERNET: u8 = 1;
/// `struct tc_ratespec`, of which there are two.
const RATE_LENGTH: usize = 12;

/// The options of a bucket.
pub(super) fn write(bucket: &TokenBucket) -> Attributes {
    let ticks = match bucket.burst {
        Burst::Ticks(ticks) => ticks,
        Burst::Bytes(_) => 0,
    };
    // What does not fit stands in an attribute of its own.
    let rate = u32::try_from(bucket.rate).unwrap_or(u32::MAX);
    let mut parameters = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    parameters.extend(rate.to_ne_bytes());
    // No peak rate.
    parameters.resize(2 * RATE_LENGTH, 0);
    for number in [bucket.limit, ticks, 0] {
        parameters.extend(number.to_ne_bytes());
    }
    let mut options = Attributes::default().with(PARAMETERS, &parameters);
    if rate == u32::MAX {
        options = options.with(RATE_64, &bucket.rate.to_ne_bytes());
    }
    if let Burst::Bytes(bytes) = bucket.burst {
        options = options.with(BURST, &bytes.to_ne_bytes());
    }
    options
}

/// Reads the options of a bucket.
pub(super) fn read(options: &[u8]) -> Option<ShownBucket> {
    let parameters = find(options, PARAMETERS)?;
    let rate_64 = find(options, RATE_64).and_then(|value| u64_at(value, 0));
    Some(ShownBucket {
        rate: rate_64.unwrap_or(u32_at(parameters, 8)?.into()),
        limit: u32_at(parameters, 2 * RATE_LENGTH)?,
        buffer: u32_at(parameters, 2 * RATE_LENGTH + 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::qdisc::message::{Head, TrafficMessage};

    #[test]
    fn a_bucket_is_read_as_it_was_written() {
        for rate in [1, 125_000, u64::from(u32::MAX) - 1, u32::MAX.into(), u64::MAX] {
            let bucket = TokenBucket { rate, limit: 7, burst: Burst::Ticks(9) };
            let message = TrafficMessage::new(36, Head::default(), write(&bucket));
            assert_eq!(read(message.attributes()), Some(bucket.shown()));
        }
        assert_eq!(read(&[]), None);
    }
}
