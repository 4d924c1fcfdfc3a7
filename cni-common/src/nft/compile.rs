//! A rule's statements as the kernel's expressions: registers loaded, compared, looked up. The
//! attribute numbers are those of linux/netfilter/nf_tables.h, in its order.
//!
//! Fields of a key stand one after the other in the registers, each beginning at a multiple of four
//! bytes, as in the key itself.

use ipnetwork::IpNetwork;

use super::expression::{Expression, VERDICT_REGISTER, register};
use super::statement::{Comparison, Field, IpVersion, Presence, Rule, Statement};
use super::value::{Value, key_length};

/// `NFT_PAYLOAD_LL_HEADER`, `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
const LINK_HEADER: u32 = 0;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
/// `NFT_META_*`.
const META_PROTOCOL: u32 = 1;
const META_MARK: u32 = 3;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
/// `NFT_CT_STATE` and `NFT_CT_STATUS`.
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
/// `NFT_FIB_RESULT_ADDRTYPE`, `NFTA_FIB_F_DADDR`, and `RTN_LOCAL` of linux/rtnetlink.h.
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_DESTINATION: u32 = 2;
const ROUTE_LOCAL: u32 = 2;
/// `NFT_NAT_DNAT`.
const NAT_DESTINATION: u32 = 1;
/// `NFPROTO_IPV4` and `NFPROTO_IPV6` of linux/netfilter.h.
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// `ETH_P_ARP` of linux/if_ether.h.
const ETHERTYPE_ARP: u16 = 0x0806;
/// `NFT_CMP_EQ` and `NFT_CMP_NEQ`.
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

/// The expressions that do what the rule says.
pub(super) fn compile(rule: &Rule) -> Vec<Expression> {
    let mut program = Program::default();
    rule.statements.iter().for_each(|statement| program.add(statement));
    program.expressions
}

#[derive(Default)]
struct Program {
    expressions: Vec<Expression>,
    /// The address family that the packet has, if that was compared.
    family: Option<u8>,
}

impl Program {
    fn add(&mut self, statement: &Statement) {
        match statement {
            Statement::Lookup(fields, presence, set) => {
                self.load(fields);
                // `NFT_LOOKUP_F_INV`.
                let flags = u32::from(*presence == Presence::NotIn);
                self.push(lookup(set).number(5, flags));
            }
            Statement::Compare(field, comparison, value) => {
                self.load(&[*field]);
                self.compare(
                    if *comparison == Comparison::Equal { EQUAL } else { NOT_EQUAL },
                    value.bytes(),
                );
            }
            Statement::Inside(field, network) => self.network(*field, EQUAL, network),
            Statement::Outside(field, network) => self.network(*field, NOT_EQUAL, network),
            Statement::MarkHas(bits) => {
                self.load(&[Field::Mark]);
                self.keep_bits(&bits.to_ne_bytes(), &[0; 4]);
                self.compare(EQUAL, bits.to_ne_bytes().to_vec());
            }
            Statement::Arp => {
                self.push(meta(META_PROTOCOL, register(0)));
                self.compare(EQUAL, ETHERTYPE_ARP.to_be_bytes().to_vec());
            }
            Statement::DestinationIsLocal => {
                let look = Expression::new("fib").number(1, register(0));
                self.push(look.number(2, FIB_ADDRESS_TYPE).number(3, FIB_DESTINATION));
                self.compare(EQUAL, ROUTE_LOCAL.to_ne_bytes().to_vec());
            }
            Statement::ConnectionState(states) => {
                let bits = states.iter().fold(0, |bits, state| bits | *state as u32);
                self.connection_has_any(CT_STATE, bits);
            }
            Statement::ConnectionStatus(status) => {
                self.connection_has_any(CT_STATUS, *status as u32);
            }
            Statement::Counter => self.push(Expression::new("counter")),
            Statement::AddMark(bits) => self.change_mark(*bits, *bits),
            Statement::ClearMark(bits) => self.change_mark(*bits, 0),
            Statement::Masquerade => self.push(Expression::new("masq")),
            Statement::DnatToMap(version, fields, map) => self.dnat(*version, fields, map),
            Statement::VerdictMap(fields, map) => {
                self.load(fields);
                self.push(lookup(map).number(3, VERDICT_REGISTER).number(5, 0));
            }
            Statement::Verdict(verdict) => {
                let immediate = Expression::new("immediate").number(1, VERDICT_REGISTER);
                self.push(immediate.verdict(2, verdict));
            }
        }
    }

    fn push(&mut self, expression: Expression) {
        self.expressions.push(expression);
    }

    /// Loads the fields into the registers, from the first on.
    fn load(&mut self, fields: &[Field]) {
        self.require_family(fields);
        let mut word = 0;
        for field in fields {
            self.push(load(*field, register(word)));
            word += u32::try_from(field.key_type().length().div_ceil(4)).unwrap_or_default();
        }
    }

    /// In an `inet` table an address can be looked at only once the family is known.
    fn require_family(&mut self, fields: &[Field]) {
        let wanted = fields.iter().find_map(|field| match field {
            Field::Ip4Source | Field::Ip4Destination => Some(IPV4),
            Field::Ip6Source | Field::Ip6Destination => Some(IPV6),
            Field::L4Protocol
            | Field::SourcePort
            | Field::DestinationPort
            | Field::InputName
            | Field::OutputName
            | Field::Mark
            | Field::EtherSource
            | Field::ArpSender => None,
        });
        if let Some(family) = wanted
            && wanted != self.family
        {
            self.push(meta(META_NFPROTO, register(0)));
            self.compare(EQUAL, vec![family]);
            self.family = wanted;
        }
    }

    /// As `nft` writes it, so that what it saved and loaded again is known for the same rule: of a prefix of
    /// whole bytes those alone are loaded.
    fn network(&mut self, field: Field, operator: u32, network: &IpNetwork) {
        let address = Value::Ip(network.network()).bytes();
        let prefix = usize::from(network.prefix());
        match address.get(..prefix / 8) {
            Some(bytes) if prefix % 8 == 0 && prefix > 0 => {
                self.require_family(&[field]);
                let length = u32::from(network.prefix() / 8);
                self.push(load_part(field, register(0), length));
                self.compare(operator, bytes.to_vec());
            }
            _ => {
                self.load(&[field]);
                let mask = Value::Ip(network.mask()).bytes();
                self.keep_bits(&mask, &vec![0; mask.len()]);
                self.compare(operator, address);
            }
        }
    }

    fn connection_has_any(&mut self, key: u32, bits: u32) {
        self.push(Expression::new("ct").number(1, register(0)).number(2, key));
        self.keep_bits(&bits.to_ne_bytes(), &[0; 4]);
        self.compare(NOT_EQUAL, vec![0; 4]);
    }

    /// Of the first register the bits in `mask`, and then those of `toggled` the other way.
    fn keep_bits(&mut self, mask: &[u8], toggled: &[u8]) {
        let length = u32::try_from(mask.len()).unwrap_or_default();
        let bitwise = Expression::new("bitwise").number(1, register(0)).number(2, register(0));
        self.push(bitwise.number(3, length).value(4, mask.to_vec()).value(5, toggled.to_vec()));
    }

    /// Of the packet's mark sets those `bits` that are in `on`, and clears the others of them.
    fn change_mark(&mut self, bits: u32, on: u32) {
        self.load(&[Field::Mark]);
        self.keep_bits(&(!bits).to_ne_bytes(), &on.to_ne_bytes());
        // `NFTA_META_KEY`, `NFTA_META_SREG`.
        self.push(Expression::new("meta").number(2, META_MARK).number(3, register(0)));
    }

    fn compare(&mut self, operator: u32, value: Vec<u8>) {
        let compare = Expression::new("cmp").number(1, register(0)).number(2, operator);
        self.push(compare.value(3, value));
    }

    fn dnat(&mut self, version: IpVersion, fields: &[Field], map: &str) {
        self.load(fields);
        self.push(lookup(map).number(3, register(0)).number(5, 0));
        let (family, address) = match version {
            IpVersion::V4 => (IPV4, Field::Ip4Destination),
            IpVersion::V6 => (IPV6, Field::Ip6Destination),
        };
        // The map's data: the address, and the port behind it.
        let words = u32::try_from(key_length(&[address.key_type()]) / 4).unwrap_or_default();
        let nat = Expression::new("nat").number(1, NAT_DESTINATION).number(2, family.into());
        self.push(nat.number(3, register(0)).number(5, register(words)));
    }
}

/// The expression that loads the field.
pub(super) fn load(field: Field, register: u32) -> Expression {
    let length = u32::try_from(field.key_type().length()).unwrap_or_default();
    load_part(field, register, length)
}

/// The same of a field of a header, its first bytes alone.
fn load_part(field: Field, register: u32, length: u32) -> Expression {
    // Offsets are those of the headers: RFC 791, RFC 8200, RFC 826, RFC 768, IEEE 802.3.
    let (base, offset) = match field {
        Field::InputName => return meta(META_IIFNAME, register),
        Field::OutputName => return meta(META_OIFNAME, register),
        Field::L4Protocol => return meta(META_L4PROTO, register),
        Field::Mark => return meta(META_MARK, register),
        Field::Ip4Source => (NETWORK_HEADER, 12),
        Field::Ip4Destination => (NETWORK_HEADER, 16),
        Field::Ip6Source => (NETWORK_HEADER, 8),
        Field::Ip6Destination => (NETWORK_HEADER, 24),
        Field::SourcePort => (TRANSPORT_HEADER, 0),
        Field::DestinationPort => (TRANSPORT_HEADER, 2),
        Field::EtherSource => (LINK_HEADER, 6),
        Field::ArpSender => (NETWORK_HEADER, 8),
    };
    let payload = Expression::new("payload").number(1, register).number(2, base);
    payload.number(3, offset).number(4, length)
}

fn meta(key: u32, register: u32) -> Expression {
    Expression::new("meta").number(1, register).number(2, key)
}

/// A look-up of what the registers hold from the first on.
fn lookup(set: &str) -> Expression {
    Expression::new("lookup").text(1, set).number(2, register(0))
}
