//! Values and their types: what keys, elements and comparisons are made of, stored as the kernel
//! stores them.

use std::fmt;
use std::net::IpAddr;

use crate::types::Mac;

/// Bytes of an interface's name (`IFNAMSIZ`).
const NAME_LENGTH: usize = 16;

/// The type of a field: of a set's key, or of what a map has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An Ethernet address.
    Ether,
    /// A transport protocol.
    Protocol,
    /// A port of a transport protocol.
    Port,
    /// An interface's name.
    Ifname,
    /// A number, which `nft` shows in hexadecimal.
    Mark,
    /// What becomes of a packet; for the data of a map only.
    Verdict,
}

impl KeyType {
    /// The number `nft` knows the type by; the kernel only hands it back. That of a verdict is the
    /// kernel's own (`NFT_DATA_VERDICT`).
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Ether => 9,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mark => 19,
            Self::Ifname => 41,
            Self::Verdict => 0xffff_ff00,
        }
    }

    /// Bytes of a value, before it is filled up to a multiple of four.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Ipv4 | Self::Mark => 4,
            Self::Ether => 6,
            Self::Ipv6 | Self::Verdict => 16,
            Self::Ifname => NAME_LENGTH,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Ether => "ether_addr",
            Self::Protocol => "inet_proto",
            Self::Port => "inet_service",
            Self::Ifname => "ifname",
            Self::Mark => "mark",
            Self::Verdict => "verdict",
        })
    }
}

/// One field of a key, of what a map has for it, or of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// An IP address.
    Ip(IpAddr),
    /// An Ethernet address.
    Mac(Mac),
    /// A transport protocol's number (`IPPROTO_*`).
    Protocol(u8),
    /// A port of a transport protocol.
    Port(u16),
    /// An interface's name.
    Name(String),
    /// A number.
    Mark(u32),
    /// What becomes of a packet.
    Verdict(Verdict),
}

impl Value {
    /// As the kernel stores it, without filling; nothing for a verdict, which is no bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.octets().to_vec(),
            Self::Ip(IpAddr::V6(ip)) => ip.octets().to_vec(),
            Self::Mac(mac) => mac.octets().to_vec(),
            Self::Protocol(number) => vec![*number],
            Self::Port(port) => port.to_be_bytes().to_vec(),
            Self::Name(name) => {
                let mut field = name.as_bytes().to_vec();
                field.resize(NAME_LENGTH, 0);
                field
            }
            Self::Mark(number) => number.to_ne_bytes().to_vec(),
            Self::Verdict(_) => Vec::new(),
        }
    }

    /// Reads a value of this type; `None` for a verdict, which is no bytes.
    pub(super) fn read(bytes: &[u8], field: KeyType) -> Option<Self> {
        Some(match field {
            KeyType::Ipv4 => Self::Ip(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            KeyType::Ipv6 => Self::Ip(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
            KeyType::Ether => Self::Mac(Mac::new(<[u8; 6]>::try_from(bytes).ok()?)),
            KeyType::Protocol => Self::Protocol(*bytes.first()?),
            KeyType::Port => Self::Port(u16::from_be_bytes(bytes.try_into().ok()?)),
            KeyType::Mark => Self::Mark(u32::from_ne_bytes(bytes.try_into().ok()?)),
            KeyType::Ifname => {
                let text = bytes.split(|byte| *byte == 0).next()?;
                Self::Name(String::from_utf8(text.to_vec()).ok()?)
            }
            KeyType::Verdict => return None,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
            Self::Protocol(1) => f.write_str("icmp"),
            Self::Protocol(6) => f.write_str("tcp"),
            Self::Protocol(17) => f.write_str("udp"),
            Self::Protocol(132) => f.write_str("sctp"),
            Self::Protocol(number) => number.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::Name(name) => write!(f, "\"{name}\""),
            Self::Mark(number) => write!(f, "{number:#x}"),
            Self::Verdict(verdict) => verdict.fmt(f),
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may pass this hook's chain; later chains of the hook see it still.
    Accept,
    /// It is gone.
    Drop,
    /// It goes through the chain of this name, and then on behind this rule.
    Jump(String),
    /// It goes through the chain of this name, and does not come back.
    Goto(String),
    /// It goes on behind the rule that led into this chain.
    Return,
    /// It goes on with the next rule.
    Continue,
}

impl Verdict {
    /// `NF_DROP`, `NF_ACCEPT` of linux/netfilter.h, `NFT_*` of linux/netfilter/nf_tables.h.
    pub(super) fn code(&self) -> u32 {
        let code: i32 = match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Continue => -1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
        };
        code.cast_unsigned()
    }

    /// The verdict of this code; `chain` is where it leads to, if anywhere.
    pub(super) fn of_code(code: u32, chain: Option<String>) -> Option<Self> {
        Some(match (code.cast_signed(), chain) {
            (0, _) => Self::Drop,
            (1, _) => Self::Accept,
            (-1, _) => Self::Continue,
            (-3, Some(chain)) => Self::Jump(chain),
            (-4, Some(chain)) => Self::Goto(chain),
            (-5, _) => Self::Return,
            _ => return None,
        })
    }

    /// The chain that it leads to.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept | Self::Drop | Self::Return | Self::Continue => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Return => f.write_str("return"),
            Self::Continue => f.write_str("continue"),
        }
    }
}

/// Bytes of these fields one after the other, each filled up to a multiple of four bytes where
/// there is more than one.
pub(super) fn key_length(key: &[KeyType]) -> usize {
    match key {
        [only] => only.length(),
        fields => fields.iter().map(|field| field.length().next_multiple_of(4)).sum(),
    }
}

/// Fields as the kernel stores them, filled as [`key_length`] says.
pub(super) fn key_bytes(key: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in key {
        bytes.extend(value.bytes());
        if key.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// Reads what [`key_bytes`] writes.
pub(super) fn read_key(mut bytes: &[u8], key: &[KeyType]) -> Option<Vec<Value>> {
    if bytes.len() != key_length(key) {
        return None;
    }
    let mut values = Vec::new();
    for field in key {
        let length = field.length();
        let whole = if key.len() > 1 { length.next_multiple_of(4) } else { length };
        let (stored, rest) = bytes.split_at_checked(whole)?;
        values.push(Value::read(stored.get(..length)?, *field)?);
        bytes = rest;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let keys: [(&[KeyType], Vec<Value>, usize); 3] = [
            (
                &[KeyType::Ifname, KeyType::Ether],
                vec![
                    Value::Name("veth0123456789a".to_owned()),
                    Value::Mac("02:00:00:00:00:01".parse().unwrap()),
                ],
                24,
            ),
            (
                &[KeyType::Ipv4, KeyType::Protocol, KeyType::Port],
                vec![
                    Value::Ip("192.0.2.1".parse().unwrap()),
                    Value::Protocol(6),
                    Value::Port(8080),
                ],
                12,
            ),
            (&[KeyType::Port], vec![Value::Port(80)], 2),
        ];
        for (types, values, length) in keys {
            let bytes = key_bytes(&values);
            assert_eq!(bytes.len(), length);
            assert_eq!(read_key(&bytes, types), Some(values));
            assert_eq!(read_key(&bytes, &[KeyType::Ipv6]), None);
        }
    }

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        use Verdict::{Accept, Continue, Drop, Goto, Jump, Return};
        for verdict in [Accept, Drop, Return, Continue, Jump("a".into()), Goto("b".into())] {
            let chain = verdict.chain().map(str::to_owned);
            assert_eq!(Verdict::of_code(verdict.code(), chain), Some(verdict));
        }
        assert_eq!(Verdict::of_code(99, None), None);
    }
}
