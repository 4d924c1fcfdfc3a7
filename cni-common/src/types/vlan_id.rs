//! IEEE 802.1Q VLAN identifiers.

use std::fmt;

/// A VLAN ID that frames can carry: 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The lowest.
    pub const MIN: Self = Self(1);
    /// The highest.
    pub const MAX: Self = Self(4094);
    /// The VLAN of untagged frames on a trunk without another.
    pub const NATIVE: Self = Self(1);

    /// `None` unless 1 to 4094 (0 is "no VLAN", 4095 is reserved).
    pub fn new(id: i64) -> Option<Self> {
        u16::try_from(id).ok().filter(|id| (1..=4094).contains(id)).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
