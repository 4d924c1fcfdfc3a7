//! What a rule does, in the order and words of an `nft` line.

use std::fmt;

use ipnetwork::IpNetwork;

use super::ruleset::dotted;
use super::value::{KeyType, Value, Verdict};

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
    /// The transport protocol.
    L4Protocol,
    /// The source port, whatever the transport protocol.
    SourcePort,
    /// The destination port, whatever the transport protocol.
    DestinationPort,
    /// The name of the interface, or bridge port, it came in by.
    InputName,
    /// The name of the interface, or bridge port, it leaves by.
    OutputName,
    /// Its fwmark.
    Mark,
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
            Self::L4Protocol => KeyType::Protocol,
            Self::SourcePort | Self::DestinationPort => KeyType::Port,
            Self::InputName | Self::OutputName => KeyType::Ifname,
            Self::Mark => KeyType::Mark,
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
            Self::L4Protocol => "meta l4proto",
            Self::SourcePort => "th sport",
            Self::DestinationPort => "th dport",
            Self::InputName => "iifname",
            Self::OutputName => "oifname",
            Self::Mark => "meta mark",
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

/// How a field is to compare with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It has this value.
    Equal,
    /// It has another value.
    NotEqual,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "",
            Self::NotEqual => "!= ",
        })
    }
}

/// What connection tracking says of a packet's connection. The numbers are `NF_CT_STATE_BIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ConnectionState {
    /// The packet belongs to none and can't begin one.
    Invalid = 1,
    /// Both ends have sent.
    Established = 2,
    /// It was announced by another connection.
    Related = 4,
    /// Only one end has sent.
    New = 8,
    /// It is not tracked.
    Untracked = 64,
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Established => "established",
            Self::Related => "related",
            Self::New => "new",
            Self::Untracked => "untracked",
        })
    }
}

/// What was done to a connection. The numbers are `IPS_*` of nf_conntrack_common.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ConnectionStatus {
    /// Its source was translated.
    SourceTranslated = 1 << 4,
    /// Its destination was translated.
    DestinationTranslated = 1 << 5,
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceTranslated => "snat",
            Self::DestinationTranslated => "dnat",
        })
    }
}

/// IPv4 or IPv6, where a statement has to say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for IpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        })
    }
}

/// One part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Goes on if the set holds, or does not hold, these fields of the packet.
    Lookup(Vec<Field>, Presence, String),
    /// Goes on if the field compares so with the value.
    Compare(Field, Comparison, Value),
    /// Goes on if the field lies inside the network. Only the network's own part counts.
    Inside(Field, IpNetwork),
    /// Goes on if the field lies outside the network. Only the network's own part counts.
    Outside(Field, IpNetwork),
    /// Goes on if the packet's mark has all these bits.
    MarkHas(u32),
    /// Goes on if the frame carries ARP, with or without a VLAN tag.
    Arp,
    /// Goes on if the destination is one of this host's own addresses.
    DestinationIsLocal,
    /// Goes on if the connection is in one of these states.
    ConnectionState(Vec<ConnectionState>),
    /// Goes on if this was done to the connection.
    ConnectionStatus(ConnectionStatus),
    /// Counts packets and bytes.
    Counter,
    /// Sets these bits of the packet's mark and keeps the others.
    AddMark(u32),
    /// Clears these bits of the packet's mark and keeps the others.
    ClearMark(u32),
    /// Gives the packet the address of the interface it leaves by.
    Masquerade,
    /// Sends the packet to the address and port that the map has for these fields. It goes on
    /// where the map has none.
    DnatToMap(IpVersion, Vec<Field>, String),
    /// Does what the map has for these fields. It goes on where the map has nothing.
    VerdictMap(Vec<Field>, String),
    /// Ends the rule.
    Verdict(Verdict),
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(fields, presence, set) => {
                let not = if *presence == Presence::NotIn { "!= " } else { "" };
                write!(f, "{} {not}@{set}", dotted(fields))
            }
            Self::Compare(field, comparison, value) => write!(f, "{field} {comparison}{value}"),
            Self::Inside(field, network) => {
                write!(f, "{field} {}/{}", network.network(), network.prefix())
            }
            Self::Outside(field, network) => {
                write!(f, "{field} != {}/{}", network.network(), network.prefix())
            }
            Self::MarkHas(bits) => write!(f, "meta mark & {bits:#x} == {bits:#x}"),
            Self::Arp => f.write_str("meta protocol arp"),
            Self::DestinationIsLocal => f.write_str("fib daddr type local"),
            Self::ConnectionState(states) => {
                let states: Vec<_> = states.iter().map(ToString::to_string).collect();
                write!(f, "ct state {}", states.join(","))
            }
            Self::ConnectionStatus(status) => write!(f, "ct status {status}"),
            Self::Counter => f.write_str("counter"),
            Self::AddMark(bits) => write!(f, "meta mark set meta mark | {bits:#x}"),
            Self::ClearMark(bits) => write!(f, "meta mark set meta mark & {:#x}", !bits),
            Self::Masquerade => f.write_str("masquerade"),
            Self::DnatToMap(version, fields, map) => {
                write!(f, "dnat {version} to {} map @{map}", dotted(fields))
            }
            Self::VerdictMap(fields, map) => write!(f, "{} vmap @{map}", dotted(fields)),
            Self::Verdict(verdict) => verdict.fmt(f),
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
