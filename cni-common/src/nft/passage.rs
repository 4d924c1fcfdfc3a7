//! What becomes of a packet in a chain of anybody's, as far as that can be told: where a rule looks at what is
//! not known of the packet, or does what is not understood here, both outcomes stay possible. Pure.

use std::net::IpAddr;

use super::expression::Expression;
use super::found::{FoundChain, FoundRule};
use super::ruleset::Policy;
use super::value::Verdict;

/// The kernel has no more (`NFT_JUMP_STACK_SIZE` of net/netfilter/nf_tables_core.c).
const MAX_JUMPS: usize = 16;
/// The new connection's bit in a connection's state (`NF_CT_STATE_BIT(IP_CT_NEW)`).
const NEW: u32 = 8;
/// The bit of a connection's status that says that its destination was changed (`IPS_DST_NAT`).
const DST_NAT: u32 = 1 << 5;

/// The first packet of a connection, where it is forwarded.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The link that it came in by.
    pub input: Via,
    /// The link that it goes out by, if that is known.
    pub output: Option<Via>,
    /// Who sends it.
    pub source: IpAddr,
}

/// A link, as rules name it.
#[derive(Clone, Debug)]
pub struct Via {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
}

/// What a chain does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It lets it pass, or does so unless a rule is meant for some of such packets only.
    Passes,
    /// It drops it.
    Dropped(Place),
    /// It drops it there, unless a rule before that accepts it, which can't be told.
    Unknown(Place),
}

/// What drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain.
    pub chain: String,
    /// The rule's handle; `None`: the chain's policy.
    pub rule: Option<u64>,
}

impl Packet {
    /// What becomes of it in a base chain. `rules` are those of the chain's whole table.
    pub fn passage(&self, chain: &FoundChain, rules: &[FoundRule]) -> Passage {
        let mut walk = Walk { packet: self, rules, may_accept: false };
        let end = walk.go(&chain.name, 0);
        let place = match end {
            End::Accept => return Passage::Passes,
            End::Drop(place) => place,
            End::Through if chain.policy == Some(Policy::Drop) => {
                Place { chain: chain.name.clone(), rule: None }
            }
            End::Through => return Passage::Passes,
        };
        if walk.may_accept { Passage::Unknown(place) } else { Passage::Dropped(place) }
    }
}

/// How a way through a chain ends where no rule applies of which that is uncertain.
enum End {
    Accept,
    Drop(Place),
    Through,
}

struct Walk<'a> {
    packet: &'a Packet,
    rules: &'a [FoundRule],
    /// Whether a rule may accept the packet of which that is uncertain.
    may_accept: bool,
}

impl Walk<'_> {
    fn go(&mut self, chain: &str, depth: usize) -> End {
        if depth > MAX_JUMPS {
            return End::Through;
        }
        let all = self.rules;
        // Whether a rule may have led out of the chain before.
        let mut may_have_left = false;
        for rule in all.iter().filter(|rule| rule.chain == chain) {
            let (does, applies) = self.effect(rule);
            let is_sure = match applies {
                Applies::Never => continue,
                Applies::Perhaps => false,
                Applies::Surely => true,
            };
            let end = match does {
                Does::Nothing => continue,
                Does::Unknown => {
                    self.may_accept = true;
                    continue;
                }
                Does::Drop => End::Drop(Place { chain: chain.to_owned(), rule: Some(rule.handle) }),
                Does::Accept => End::Accept,
                Does::Return => End::Through,
                Does::Go(to, is_jump) => match self.go(&to, depth + 1) {
                    End::Through if is_jump => continue,
                    end => end,
                },
            };
            match (end, is_sure) {
                (End::Drop(place), true) => {
                    self.may_accept |= may_have_left;
                    return End::Drop(place);
                }
                (end, true) => return end,
                (End::Accept, false) => self.may_accept = true,
                (End::Through, false) => may_have_left = true,
                // Meant for some packets only.
                (End::Drop(_), false) => {}
            }
        }
        End::Through
    }

    fn effect(&self, rule: &FoundRule) -> (Does, Applies) {
        let mut reading = Reading { packet: self.packet, registers: Vec::new() };
        let (mut does, mut applies) = (Does::Nothing, Applies::Surely);
        for expression in &rule.expressions {
            match reading.read(expression) {
                Read::Goes => {}
                Read::Stops => return (Does::Nothing, Applies::Never),
                Read::Perhaps => applies = Applies::Perhaps,
                Read::Does(this) => does = this,
            }
        }
        (does, applies)
    }
}

/// Whether a rule is for the packet.
#[derive(Clone, Copy)]
enum Applies {
    Surely,
    Perhaps,
    Never,
}

/// What a rule does with packets that it is for.
enum Does {
    Nothing,
    Accept,
    Drop,
    Return,
    /// It leads into this chain; and back, if it is a jump.
    Go(String, bool),
    Unknown,
}

impl From<Verdict> for Does {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept => Self::Accept,
            Verdict::Drop => Self::Drop,
            Verdict::Return => Self::Return,
            Verdict::Continue => Self::Nothing,
            Verdict::Jump(to) => Self::Go(to, true),
            Verdict::Goto(to) => Self::Go(to, false),
        }
    }
}

/// One expression, for the packet.
enum Read {
    /// The next one is looked at.
    Goes,
    /// The rule is not for this packet.
    Stops,
    /// It may be for it.
    Perhaps,
    Does(Does),
}

/// The registers while a rule is read: what is known of each.
struct Reading<'a> {
    packet: &'a Packet,
    registers: Vec<(u32, Option<Vec<Byte>>)>,
}

/// A byte of which some bits may not be known.
#[derive(Clone, Copy)]
struct Byte {
    value: u8,
    known: u8,
}

/// Bytes that are known.
fn known(bytes: &[u8]) -> Vec<Byte> {
    bytes.iter().map(|value| Byte { value: *value, known: u8::MAX }).collect()
}

impl Reading<'_> {
    // The attributes' numbers are those of linux/netfilter/nf_tables.h.
    fn read(&mut self, expression: &Expression) -> Read {
        match expression.name() {
            "counter" | "log" | "notrack" | "last" => Read::Goes,
            "meta" if expression.attribute(3).is_some() => Read::Goes,
            "meta" => self.load(expression, 1, |reading| reading.meta(expression.number_of(2)?)),
            "ct" if expression.attribute(4).is_some() => Read::Goes,
            "ct" => self.load(expression, 1, |_| match expression.number_of(2)? {
                // `NFT_CT_STATE` and `NFT_CT_STATUS`.
                0 => Some(known(&NEW.to_ne_bytes())),
                2 => Some(DST_NAT.to_ne_bytes().map(|known| Byte { value: 0, known }).to_vec()),
                _ => None,
            }),
            "payload" if expression.attribute(5).is_some() => Read::Goes,
            "payload" => self.load(expression, 1, |reading| reading.network_header(expression)),
            "bitwise" => self.load(expression, 2, |reading| reading.bitwise(expression)),
            "cmp" => self.compare(expression),
            "lookup" if expression.attribute(3).is_some() => Read::Does(Does::Unknown),
            "immediate" => match expression.as_verdict() {
                Some(verdict) => Read::Does(verdict.into()),
                None => self.load(expression, 1, |_| None),
            },
            "reject" => Read::Does(Does::Drop),
            "match" if expression.is_comment() => Read::Goes,
            "match" if is_for_others(expression) == Some(true) => Read::Stops,
            "match" => Read::Perhaps,
            "target" => match expression.attribute(1) {
                Some(b"REJECT\0" | b"DROP\0") => Read::Does(Does::Drop),
                Some(b"LOG\0" | b"NFLOG\0" | b"MARK\0" | b"CONNMARK\0" | b"TCPMSS\0" | b"CT\0") => {
                    Read::Goes
                }
                _ => Read::Does(Does::Unknown),
            },
            "lookup" | "limit" | "quota" | "connlimit" | "fib" | "rt" | "socket" | "exthdr"
            | "hash" | "numgen" | "osf" | "range" | "byteorder" | "dynset" => {
                // What it leaves in a register is not known either.
                self.registers.clear();
                Read::Perhaps
            }
            "flow_offload" | "tproxy" | "dup" | "objref" => Read::Goes,
            _ => Read::Does(Does::Unknown),
        }
    }

    /// Loads what is known into the register that the attribute names.
    fn load(
        &mut self,
        expression: &Expression,
        register: u16,
        value: impl FnOnce(&Self) -> Option<Vec<Byte>>,
    ) -> Read {
        let Some(register) = expression.number_of(register).map(word) else { return Read::Perhaps };
        let value = value(self);
        self.registers.retain(|(other, _)| *other != register);
        self.registers.push((register, value));
        Read::Goes
    }

    fn register(&self, number: u32) -> Option<&[Byte]> {
        let register = word(number);
        let found = self.registers.iter().find(|(other, _)| *other == register)?;
        found.1.as_deref()
    }

    /// `NFT_META_*`.
    fn meta(&self, key: u32) -> Option<Vec<Byte>> {
        let (input, output) = (&self.packet.input, self.packet.output.as_ref());
        match key {
            4 => Some(known(&input.index.to_ne_bytes())),
            5 => output.map(|via| known(&via.index.to_ne_bytes())),
            6 => Some(padded(&input.name)),
            7 => output.map(|via| padded(&via.name)),
            // `NFPROTO_IPV4` and `NFPROTO_IPV6`.
            15 => Some(known(&[if self.packet.source.is_ipv4() { 2 } else { 10 }])),
            _ => None,
        }
    }

    /// The source address, or a part of it; `NFT_PAYLOAD_NETWORK_HEADER` is 1.
    fn network_header(&self, expression: &Expression) -> Option<Vec<Byte>> {
        let (begin, address) = match self.packet.source {
            IpAddr::V4(ip) => (12, ip.octets().to_vec()),
            IpAddr::V6(ip) => (8, ip.octets().to_vec()),
        };
        let offset = usize::try_from(expression.number_of(3)?).ok()?.checked_sub(begin)?;
        let length = usize::try_from(expression.number_of(4)?).ok()?;
        let is_network = expression.number_of(2)? == 1;
        address.get(offset..offset.checked_add(length)?).filter(|_| is_network).map(known)
    }

    /// Of a register's value the bits of a mask, changed by another one.
    fn bitwise(&self, expression: &Expression) -> Option<Vec<Byte>> {
        let is_plain = expression.number_of(6).is_none_or(|kind| kind == 0);
        let value = self.register(expression.number_of(1)?)?;
        let (mask, change) = (expression.data(4)?, expression.data(5)?);
        let all = value.iter().zip(&mask).zip(&change);
        let byte = |((byte, mask), change): ((&Byte, &u8), &u8)| Byte {
            value: (byte.value & mask) ^ change,
            known: byte.known | !mask,
        };
        is_plain.then(|| all.map(byte).collect())
    }

    fn compare(&self, expression: &Expression) -> Read {
        let value = expression.number_of(1).and_then(|number| self.register(number));
        let (Some(value), Some(wanted)) = (value, expression.data(3)) else { return Read::Perhaps };
        let Some(value) = value.get(..wanted.len()) else { return Read::Perhaps };
        let differs = |(byte, wanted): (&Byte, &u8)| (byte.value ^ wanted) & byte.known != 0;
        let is_other = value.iter().zip(&wanted).any(differs);
        let is_same = !is_other && value.iter().all(|byte| byte.known == u8::MAX);
        // `NFT_CMP_EQ` and `NFT_CMP_NEQ`.
        match (expression.number_of(2), is_same, is_other) {
            (Some(0), true, _) | (Some(1), _, true) => Read::Goes,
            (Some(0), _, true) | (Some(1), true, _) => Read::Stops,
            _ => Read::Perhaps,
        }
    }
}

/// The four-byte word that a register begins with: the first ones have 16 bytes each.
fn word(register: u32) -> u32 {
    if register < 8 { register.saturating_sub(1) * 4 } else { register - 8 }
}

/// A link's name as the kernel compares it.
fn padded(name: &str) -> Vec<Byte> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    known(&bytes)
}

/// Whether iptables' match is for packets of other connections only; `None` for other matches.
fn is_for_others(expression: &Expression) -> Option<bool> {
    // `xt_conntrack_mtinfo3`: which parts count, which are inverted, and the states, of which untracked is
    // 1 << 8.
    if expression.attribute(1)? != b"conntrack\0" || expression.number_of(2)? != 3 {
        return None;
    }
    let info = expression.attribute(3)?;
    let part = |begin: usize| {
        let bytes = info.get(begin..begin.checked_add(2)?)?;
        Some(u16::from_ne_bytes(bytes.try_into().ok()?))
    };
    let (counts, inverted, states) = (part(146)?, part(148)?, part(150)?);
    // `XT_CONNTRACK_STATE`.
    Some((counts, inverted) == (1, 0) && u32::from(states) & (NEW | 1 << 8) == 0)
}
