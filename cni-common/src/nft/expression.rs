//! A rule's statements as the kernel's expressions: registers loaded, compared, looked up.
//!
//! Register 1 takes a value or the first 16 bytes of a key, register 2 what follows; an interface
//! name fills 16 bytes exactly, so the second field of our keys always starts register 2.

use ipnetwork::IpNetwork;
use netlink_packet_core::{Emitable, NlasIterator};
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute,
    Lookup, Meta, MetaKey, Operator, Payload, Register, Verdict, VerdictAttribute,
};

use super::statement::{Field, Presence, Rule, Statement};

pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// `NFT_PAYLOAD_LL_HEADER` and `NFT_PAYLOAD_NETWORK_HEADER` of linux/netfilter/nf_tables.h.
const LINK_HEADER: u32 = 0;
const NETWORK_HEADER: u32 = 1;
/// `NFPROTO_IPV4` and `NFPROTO_IPV6` of linux/netfilter.h.
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// `ETH_P_ARP` of linux/if_ether.h.
const ETHERTYPE_ARP: u16 = 0x0806;
/// `NF_DROP` of linux/netfilter.h.
const NF_DROP: u32 = 0;

/// The expressions that do what the rule says.
pub(super) fn of_rule(rule: &Rule) -> Vec<Expression> {
    let mut list = Vec::new();
    let mut family = None;
    for statement in &rule.statements {
        match statement {
            Statement::Lookup(fields, presence, set) => {
                require_family(&mut list, &mut family, fields);
                for (field, register) in fields.iter().zip([Register::Reg1, Register::Reg2]) {
                    list.push(load(*field, register));
                }
                list.push(lookup(set, *presence));
            }
            Statement::Outside(field, network) => {
                require_family(&mut list, &mut family, &[*field]);
                list.push(load(*field, Register::Reg1));
                list.push(mask(network));
                list.push(compare(Operator::NotEqual, octets(network.network())));
            }
            Statement::Arp => {
                list.push(meta(MetaKey::EtherTypeProtocol, Register::Reg1));
                list.push(compare(Operator::Equal, ETHERTYPE_ARP.to_be_bytes().to_vec()));
            }
            Statement::Masquerade => list.push(
                Expressions::Other { expression_type: "masq".to_owned(), attributes: Vec::new() }
                    .into(),
            ),
            Statement::Drop => list.push(drop_verdict()),
        }
    }
    list
}

/// In an `inet` table an address can be looked at only once the family is known.
fn require_family(list: &mut Vec<Expression>, known: &mut Option<u8>, fields: &[Field]) {
    let wanted = fields.iter().find_map(|field| match field {
        Field::Ip4Source | Field::Ip4Destination => Some(IPV4),
        Field::Ip6Source | Field::Ip6Destination => Some(IPV6),
        Field::InputName | Field::EtherSource | Field::ArpSender => None,
    });
    if wanted.is_some() && wanted != *known {
        list.push(meta(MetaKey::Nfproto, Register::Reg1));
        list.push(compare(Operator::Equal, wanted.into_iter().collect()));
        *known = wanted;
    }
}

fn load(field: Field, register: Register) -> Expression {
    // Offsets are those of the headers: RFC 791, RFC 8200, RFC 826, IEEE 802.3.
    let (base, offset) = match field {
        Field::InputName => return meta(MetaKey::Iifname, register),
        Field::Ip4Source => (NETWORK_HEADER, 12),
        Field::Ip4Destination => (NETWORK_HEADER, 16),
        Field::Ip6Source => (NETWORK_HEADER, 8),
        Field::Ip6Destination => (NETWORK_HEADER, 24),
        Field::EtherSource => (LINK_HEADER, 6),
        Field::ArpSender => (NETWORK_HEADER, 8),
    };
    let length = u32::try_from(field.key_type().length()).unwrap_or_default();
    Expressions::Payload(vec![
        Payload::DestinationRegister(register),
        Payload::Base(base),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
    .into()
}

fn meta(key: MetaKey, register: Register) -> Expression {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(register)]).into()
}

fn lookup(set: &str, presence: Presence) -> Expression {
    // `NFT_LOOKUP_F_INV`.
    let flags = u32::from(presence == Presence::NotIn);
    Expressions::Lookup(vec![
        Lookup::Set(set.to_owned()),
        Lookup::SourceRegister(Register::Reg1),
        Lookup::Flags(flags),
    ])
    .into()
}

fn compare(operator: Operator, data: Vec<u8>) -> Expression {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(operator),
        Cmp::Data(DataAttribute::Value(data)),
    ])
    .into()
}

fn mask(network: &IpNetwork) -> Expression {
    let mask = octets(network.mask());
    let zero = vec![0; mask.len()];
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(Register::Reg1),
        Bitwise::DestinationRegister(Register::Reg1),
        Bitwise::Length(u32::try_from(mask.len()).unwrap_or_default()),
        Bitwise::Mask(DataAttribute::Value(mask)),
        Bitwise::Xor(DataAttribute::Value(zero)),
    ])
    .into()
}

fn drop_verdict() -> Expression {
    let verdict = VerdictAttribute::Code(Verdict::Other(NF_DROP));
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(vec![verdict])),
    ])
    .into()
}

/// An address as it stands in a packet.
pub(super) fn octets(ip: std::net::IpAddr) -> Vec<u8> {
    match ip {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// An expression for comparing: its name, and its attributes as numbers and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flat {
    name: String,
    attributes: Vec<(u16, Vec<u8>)>,
    target: Option<String>,
}

impl Flat {
    /// Whether this has everything that `wanted` has.
    pub(super) fn covers(&self, wanted: &Self) -> bool {
        self.name == wanted.name
            && wanted.attributes.iter().all(|attribute| self.attributes.contains(attribute))
    }

    fn attribute(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }

    /// The comment, if the expression is `iptables`' comment match: `NFTA_MATCH_NAME` and
    /// `NFTA_MATCH_INFO`, of which the latter is a text filled up with NULs.
    pub(super) fn comment(&self) -> Option<String> {
        if self.name != "match" || self.attribute(1)? != b"comment\0" {
            return None;
        }
        let text = self.attribute(3)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// The chain that a verdict in the expression leads to.
    pub(super) fn target(&self) -> Option<String> {
        self.target.clone()
    }
}

/// The source address that the expressions compare with, if they compare with a whole one.
pub(super) fn source(expressions: &[Flat]) -> Option<std::net::IpAddr> {
    let loads = [Field::Ip4Source, Field::Ip6Source].map(|field| load(field, Register::Reg1));
    let loads = flat(&loads);
    expressions.windows(2).find_map(|pair| {
        let [found, compared] = pair else { return None };
        if compared.name != "cmp" || !loads.iter().any(|load| found.covers(load)) {
            return None;
        }
        // `NFTA_CMP_OP` and `NFTA_CMP_DATA`; the latter holds one attribute, the value.
        let equal = compared.attribute(2)? == [0; 4];
        let value = compared.attribute(3)?.get(4..)?;
        let ip = <[u8; 4]>::try_from(value).map(std::net::IpAddr::from);
        let ip = ip.or_else(|_| <[u8; 16]>::try_from(value).map(std::net::IpAddr::from));
        ip.ok().filter(|_| equal)
    })
}

/// Expressions for comparing.
pub(super) fn flat(expressions: &[Expression]) -> Vec<Flat> {
    expressions.iter().filter_map(flat_one).collect()
}

fn flat_one(expression: &Expression) -> Option<Flat> {
    let ListAttribute::Element(attributes) = expression else { return None };
    let mut flat = Flat { name: String::new(), attributes: Vec::new(), target: None };
    for attribute in attributes {
        match attribute {
            ExpressionAttribute::Name(name) => flat.name.clone_from(name),
            ExpressionAttribute::Data(data) => {
                let mut bytes = vec![0; data.buffer_len()];
                data.emit(&mut bytes);
                for item in NlasIterator::new(bytes.as_slice()).flatten() {
                    flat.attributes.push((item.kind(), item.value().to_vec()));
                }
                flat.target = target(data);
            }
            ExpressionAttribute::Unspec | ExpressionAttribute::Other(_) | _ => {}
        }
    }
    Some(flat)
}

fn target(data: &Expressions) -> Option<String> {
    let Expressions::Immediate(attributes) = data else { return None };
    attributes.iter().find_map(|attribute| match attribute {
        Immediate::Data(DataAttribute::Verdict(verdict)) => {
            verdict.iter().find_map(|part| match part {
                VerdictAttribute::Chain(chain) => Some(chain.clone()),
                _ => None,
            })
        }
        _ => None,
    })
}
