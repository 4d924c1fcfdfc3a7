//! Attributes of a link that are changed together.

use super::Mac;

/// Attributes of a link, of those that anybody asks for; the others are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkAttributes {
    /// The Ethernet address.
    pub mac: Option<Mac>,
    /// Whether it was set to take every frame.
    pub promiscuous: Option<bool>,
    /// The MTU in bytes.
    pub mtu: Option<u32>,
    /// Whether it was set to take every multicast frame.
    pub all_multicast: Option<bool>,
    /// The length of its transmit queue in packets.
    pub tx_queue_length: Option<u32>,
}

impl LinkAttributes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those of `self` that `chosen` has, too.
    #[must_use]
    pub fn only(&self, chosen: &Self) -> Self {
        Self {
            mac: self.mac.filter(|_| chosen.mac.is_some()),
            promiscuous: self.promiscuous.filter(|_| chosen.promiscuous.is_some()),
            mtu: self.mtu.filter(|_| chosen.mtu.is_some()),
            all_multicast: self.all_multicast.filter(|_| chosen.all_multicast.is_some()),
            tx_queue_length: self.tx_queue_length.filter(|_| chosen.tx_queue_length.is_some()),
        }
    }

    /// Those of `self`, and of `other` where `self` has none.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            mac: self.mac.or(other.mac),
            promiscuous: self.promiscuous.or(other.promiscuous),
            mtu: self.mtu.or(other.mtu),
            all_multicast: self.all_multicast.or(other.all_multicast),
            tx_queue_length: self.tx_queue_length.or(other.tx_queue_length),
        }
    }

    /// Those of `self` that `current` has with another value, or not at all.
    #[must_use]
    pub fn differing_from(&self, current: &Self) -> Self {
        Self {
            mac: self.mac.filter(|mac| current.mac != Some(*mac)),
            promiscuous: self.promiscuous.filter(|is| current.promiscuous != Some(*is)),
            mtu: self.mtu.filter(|mtu| current.mtu != Some(*mtu)),
            all_multicast: self.all_multicast.filter(|is| current.all_multicast != Some(*is)),
            tx_queue_length: self
                .tx_queue_length
                .filter(|length| current.tx_queue_length != Some(*length)),
        }
    }

    /// Each of them alone.
    pub fn each(&self) -> Vec<Self> {
        let alone = Self::default;
        let each = [
            Self { mtu: self.mtu, ..alone() },
            Self { mac: self.mac, ..alone() },
            Self { promiscuous: self.promiscuous, ..alone() },
            Self { all_multicast: self.all_multicast, ..alone() },
            Self { tx_queue_length: self.tx_queue_length, ..alone() },
        ];
        each.into_iter().filter(|attributes| !attributes.is_empty()).collect()
    }
}
