//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use crate::error::{Code, Error};

/// A 48-bit Ethernet address, printed in lower case with colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address of these six octets.
    pub fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// Six random octets made a locally administered unicast address (IEEE 802c).
    pub fn local(mut octets: [u8; 6]) -> Self {
        let [first, ..] = &mut octets;
        *first = (*first | 0x02) & 0xfe;
        Self(octets)
    }

    /// The six octets.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether an interface can have the address: neither zero nor a group address.
    pub fn is_assignable(self) -> bool {
        let [first, ..] = self.0;
        self.0 != [0; 6] && first & 1 == 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = Error;

    /// Six octets in hexadecimal, separated by `:` or `-`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = || Error::new(Code::InvalidConfig, format!("invalid MAC address {text:?}"));
        let mut octets = [0; 6];
        let mut parts = text.split(if text.contains('-') { '-' } else { ':' });
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(fault)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_not_hex| fault())?;
        }
        if parts.next().is_some() || text.contains('+') {
            return Err(fault());
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_are_read_and_colons_are_written() {
        assert_eq!("02-0A-ff-00-01-02".parse::<Mac>().unwrap().to_string(), "02:0a:ff:00:01:02");
        for bad in
            ["", "02:0a:ff:00:01", "02:0a:ff:00:01:02:03", "02:0a:ff:00:01:+2", "0:a:f:0:1:2"]
        {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_local_address_is_unicast() {
        let mac = Mac::local([0xff; 6]);
        assert_eq!(mac.to_string(), "fe:ff:ff:ff:ff:ff");
        assert!(mac.is_assignable());
        assert!(!Mac::new([0; 6]).is_assignable());
        assert!(!Mac::new([1, 0, 0, 0, 0, 0]).is_assignable());
    }
}
