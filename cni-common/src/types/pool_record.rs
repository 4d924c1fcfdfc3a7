//! What an address pool's record of the addresses it has given is known by.

/// An unbroken record of which addresses a pool has given: the random number that it began with. One that
/// could not be continued, as after a change by somebody else, is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRecord(u64);

impl PoolRecord {
    /// The record that began with this number.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that it began with.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// What a pool's record says of the addresses that it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The record.
    pub record: PoolRecord,
    /// Whether none of them was given before since the record began.
    pub is_first_use: bool,
}
