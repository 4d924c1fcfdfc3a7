//! What a rule does, in the order and words of an `nft` line.

use std::fmt;

use ipnetwork::IpNetwork;

use super::ruleset::{KeyType, dotted};

/// Something of a packet that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The IPv4 source.
    Ip4Source,
    /// The IPv4 destination.
    Ip4Destination,
    /// The IPv6 source.
    Ip6Source,
    /// The IPv6 destination.
    Ip6Destination,
    /// The name of the interface, or bridge port, it came in by.
    InputName,
    /// The frame's source.
    EtherSource,
    /// The sender's Ethernet address in an ARP message.
    ArpSender,
}

impl Field {
    /// The type of a set's key that holds the field.
    pub fn key_type(self) -> KeyType {
        match self {
            Self::Ip4Source | Self::Ip4Destination => KeyType::Ipv4,
            Self::Ip6Source | Self::Ip6Destination => KeyType::Ipv6,
            Self::InputName => KeyType::Ifname,
            Self::EtherSource | Self::ArpSender => KeyType::Ether,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip4Source => "ip saddr",
            Self::Ip4Destination => "ip daddr",
            Self::Ip6Source => "ip6 saddr",
            Self::Ip6Destination => "ip6 daddr",
            Self::InputName => "iifname",
            Self::EtherSource => "ether saddr",
            Self::ArpSender => "arp saddr ether",
        })
    }
}

/// Whether a set must hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    In,
    /// It must not.
    NotIn,
}

/// One part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Goes on if the set holds, or does not hold, these fields of the packet.
    Lookup(Vec<Field>, Presence, String),
    /// Goes on if the field lies outside the network. Only the network's own part counts.
    Outside(Field, IpNetwork),
    /// Goes on if the frame carries ARP, with or without a VLAN tag.
    Arp,
    /// Gives the packet the address of the interface it leaves by.
    Masquerade,
    /// Drops the packet.
    Drop,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(fields, presence, set) => {
                let not = if *presence == Presence::NotIn { "!= " } else { "" };
                write!(f, "{} {not}@{set}", dotted(fields))
            }
            Self::Outside(field, network) => {
                write!(f, "{field} != {}/{}", network.network(), network.prefix())
            }
            Self::Arp => f.write_str("meta protocol arp"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Drop => f.write_str("drop"),
        }
    }
}

/// A rule: its parts in order, and what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its parts.
    pub statements: Vec<Statement>,
    /// Its comment; empty for none.
    pub comment: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statements: Vec<_> = self.statements.iter().map(ToString::to_string).collect();
        f.write_str(&statements.join(" "))?;
        match self.comment.as_str() {
            "" => Ok(()),
            comment => write!(f, " comment \"{comment}\""),
        }
    }
}
