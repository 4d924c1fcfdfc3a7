//! Queueing disciplines and filters of links, as values: what a plan and those that act share. Pure.

use std::fmt;

use ipnetwork::IpNetwork;

/// The handle `1:` of a root queueing discipline, which `bandwidth` plugins give theirs.
pub const ROOT_HANDLE: u32 = 0x0001_0000;
/// The kernel counts a token bucket's time in ticks of 64 ns (`PSCHED_SHIFT`, net/pkt_sched.h).
pub const TICK: u32 = 64;
const NANOSECONDS: u128 = 1_000_000_000;

/// A token bucket (tc-tbf(8)) as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// In bytes a second.
    pub rate: u64,
    /// How many bytes may wait.
    pub limit: u32,
    /// How much may pass at once.
    pub burst: Burst,
}

/// The size of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// The time that it lasts at the bucket's rate, in ticks.
    Ticks(u32),
    /// In bytes.
    Bytes(u32),
}

impl TokenBucket {
    /// What the kernel shows of a bucket like this.
    pub fn shown(&self) -> ShownBucket {
        let buffer = match self.burst {
            Burst::Ticks(ticks) => ticks,
            Burst::Bytes(bytes) => {
                let time = u128::from(bytes) * NANOSECONDS / u128::from(self.rate.max(1));
                // The kernel shows the lower 32 bits of it.
                low_half(time / u128::from(TICK))
            }
        };
        ShownBucket { rate: self.rate, limit: self.limit, buffer }
    }
}

fn low_half(number: u128) -> u32 {
    u32::try_from(number & u128::from(u32::MAX)).unwrap_or_default()
}

impl fmt::Display for TokenBucket {
    /// The words of `tc`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tbf rate {}bit limit {}b ", u128::from(self.rate) * 8, self.limit)?;
        match self.burst {
            Burst::Ticks(ticks) => write!(f, "burst {ticks} ticks"),
            Burst::Bytes(bytes) => write!(f, "burst {bytes}b"),
        }
    }
}

/// A token bucket as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownBucket {
    /// In bytes a second.
    pub rate: u64,
    /// How many bytes may wait.
    pub limit: u32,
    /// The time that the burst lasts at the rate, in ticks: the lower 32 bits.
    pub buffer: u32,
}

impl ShownBucket {
    /// Whether both have the same burst. The kernel divides by a multiplication, which may be off by
    /// some 2^-31 of the whole.
    pub fn has_buffer_of(&self, other: &Self) -> bool {
        let between = self.buffer.wrapping_sub(other.buffer);
        between.min(between.wrapping_neg()) <= 2
    }

    /// The bucket to be asked for to have one like this; the burst's upper bits are not shown.
    pub fn bucket(&self) -> TokenBucket {
        TokenBucket { rate: self.rate, limit: self.limit, burst: Burst::Ticks(self.buffer) }
    }
}

/// The queueing discipline at the root of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    /// Its kind: `tbf`.
    pub kind: String,
    /// Its handle: the major number in the upper half.
    pub handle: u32,
    /// What it is like, if it is a token bucket.
    pub bucket: Option<ShownBucket>,
}

impl fmt::Display for Qdisc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:x}:", self.kind, self.handle >> 16)
    }
}

/// What keeps the filters of a link that are no queueing discipline's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classifier {
    /// `clsact`: for both hooks.
    Clsact,
    /// `ingress`: for [`Hook::Received`] alone.
    Ingress,
}

impl fmt::Display for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clsact => "clsact",
            Self::Ingress => "ingress",
        })
    }
}

/// Which packets a filter looks at. `tc` says `ingress` and `egress`; these are the link's, and not
/// the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Those that the link receives.
    Received,
    /// Those that the link sends.
    Sent,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "ingress",
            Self::Sent => "egress",
        })
    }
}

/// Which packets a filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// All.
    All,
    /// Those from an address of this network.
    Source(IpNetwork),
    /// Those to an address of this network.
    Destination(IpNetwork),
}

impl Selector {
    /// The protocol of the packets that a filter with it is for, as in a frame: `ETH_P_ALL`, `ETH_P_IP` or
    /// `ETH_P_IPV6` of linux/if_ether.h.
    pub fn protocol(&self) -> u16 {
        match self {
            Self::All => 3,
            Self::Source(network) | Self::Destination(network) if network.is_ipv4() => 0x0800,
            Self::Source(_) | Self::Destination(_) => 0x86dd,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("match all"),
            Self::Source(network) => write!(f, "match src {network}"),
            Self::Destination(network) => write!(f, "match dst {network}"),
        }
    }
}

/// A filter (tc-u32(8)) to be made. The first one that a packet matches decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Its place: lower ones are asked first. All of one priority are for packets of one protocol.
    pub priority: u16,
    /// Which packets it is for.
    pub selector: Selector,
    /// What becomes of them.
    pub verdict: Verdict,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It goes its way.
    Pass,
    /// It is sent by the link with this index.
    Redirect(u32),
}

/// A filter as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFilter {
    /// Its place.
    pub priority: u16,
    /// The protocol, as in a frame (`ETH_P_*`).
    pub protocol: u16,
    /// Its kind: `u32`.
    pub kind: String,
    /// What it is known by within its priority.
    pub handle: u32,
    /// Which packets it is for; `None` if that can't be said so.
    pub selector: Option<Selector>,
    /// What becomes of them; `None` if that can't be said so.
    pub verdict: Option<Verdict>,
}

impl FoundFilter {
    /// What it does, as a filter to be made; `None` if that can't be said so.
    pub fn filter(&self) -> Option<Filter> {
        // That all packets of one protocol match is not all packets.
        let selector = self.selector.filter(|selector| selector.protocol() == self.protocol)?;
        Some(Filter { priority: self.priority, selector, verdict: self.verdict? })
    }

    /// Whether it sends packets by the link with this index.
    pub fn redirects_to(&self, index: u32) -> bool {
        self.verdict == Some(Verdict::Redirect(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_shown_by_its_time_of_which_the_upper_bits_are_lost() {
        let bucket = |rate, burst| TokenBucket { rate, limit: 1, burst }.shown().buffer;
        assert_eq!(bucket(125_000, Burst::Ticks(7)), 7);
        // A second is 15,625,000 ticks.
        assert_eq!(bucket(125_000, Burst::Bytes(125_000)), 15_625_000);
        // 512 MiB at 1 Mbit/s: 4294.967296 s are 67,108,864,000 ticks.
        assert_eq!(u64::from(bucket(125_000, Burst::Bytes(1 << 29))), 67_108_864_000 % (1 << 32));
        assert_eq!(bucket(u64::MAX, Burst::Bytes(u32::MAX)), 0);
    }

    #[test]
    fn protocols_are_those_of_frames() {
        let of = |text| Selector::Source(crate::types::parse_cidr(text).unwrap()).protocol();
        assert_eq!((of("10.0.0.0/8"), of("fd00::/8")), (0x0800, 0x86dd));
        assert_eq!(Selector::All.protocol(), 3);
    }

    #[test]
    fn a_filter_for_all_packets_of_one_protocol_is_not_one_for_all() {
        let selector = Some(Selector::All);
        let verdict = Some(Verdict::Pass);
        let kind = "u32".to_owned();
        let all = FoundFilter { priority: 1, protocol: 3, kind, handle: 1, selector, verdict };
        assert!(all.filter().is_some());
        assert_eq!(FoundFilter { protocol: 0x0800, ..all }.filter(), None);
    }

    #[test]
    fn buffers_are_compared_around_the_end_of_32_bits() {
        let shown = |buffer| ShownBucket { rate: 1, limit: 1, buffer };
        assert!(
            shown(0).has_buffer_of(&shown(u32::MAX)) && shown(u32::MAX).has_buffer_of(&shown(1))
        );
        assert!(!shown(0).has_buffer_of(&shown(3)) && !shown(7).has_buffer_of(&shown(0)));
    }
}
