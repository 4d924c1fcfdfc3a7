//! The kernel's expressions: a name, and attributes as numbers and bytes. In this one form they are
//! sent and compared. The numbers are those of linux/netfilter/nf_tables.h.

use netlink_packet_core::{DefaultNla, Emitable, Nla, NlasIterator};
use netlink_packet_netfilter::nftables::{ExpressionAttribute, Expressions, ListAttribute};

use super::value::Verdict;

/// `NFT_REG_VERDICT`.
pub(super) const VERDICT_REGISTER: u32 = 0;
/// `NFTA_DATA_VALUE` and `NFTA_DATA_VERDICT`.
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NFTA_VERDICT_CODE` and `NFTA_VERDICT_CHAIN`.
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    name: String,
    attributes: Vec<(u16, Vec<u8>)>,
}

/// The number of the register that begins this many four-byte words into the registers: by the
/// older numbers of 16-byte registers where there is one, as the kernel says it too.
pub(super) fn register(word: u32) -> u32 {
    if word.is_multiple_of(4) { 1 + word / 4 } else { 8 + word }
}

impl Expression {
    /// An expression without attributes.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new() }
    }

    /// The same with a number.
    pub(super) fn number(self, kind: u16, number: u32) -> Self {
        self.bytes(kind, number.to_be_bytes().to_vec())
    }

    /// The same with a text.
    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        self.bytes(kind, terminated(text))
    }

    /// The same with a value.
    pub(super) fn value(self, kind: u16, value: Vec<u8>) -> Self {
        self.bytes(kind, emitted(&[DefaultNla::new(DATA_VALUE, value)]))
    }

    /// The same with a verdict.
    pub(super) fn verdict(self, kind: u16, verdict: &Verdict) -> Self {
        // Not flagged as nested, as the kernel doesn't do that either.
        let parts = emitted(&verdict_parts(verdict));
        self.bytes(kind, emitted(&[DefaultNla::new(DATA_VERDICT, parts)]))
    }

    /// The same with an attribute of one byte.
    pub(super) fn bytes(mut self, kind: u16, bytes: Vec<u8>) -> Self {
        self.attributes.push((kind, bytes));
        self
    }

    /// Whether this has everything that `wanted` has. The kernel adds attributes of its own.
    pub(super) fn covers(&self, wanted: &Self) -> bool {
        self.name == wanted.name
            && wanted.attributes.iter().all(|attribute| self.attributes.contains(attribute))
    }

    /// What it is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The attribute, if it is a number.
    pub(super) fn number_of(&self, kind: u16) -> Option<u32> {
        self.attribute(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The attribute, if it is a value: one attribute in another one.
    pub(super) fn data(&self, kind: u16) -> Option<Vec<u8>> {
        let data = nested(self.attribute(kind)?);
        data.into_iter().find(|(kind, _)| *kind == DATA_VALUE).map(|(_, value)| value)
    }

    /// The attribute.
    pub(super) fn attribute(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }

    /// Whether it is an expression of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether it is `iptables`' comment match.
    pub(super) fn is_comment(&self) -> bool {
        self.comment().is_some()
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

    /// The verdict, if it is one.
    pub(super) fn as_verdict(&self) -> Option<Verdict> {
        if self.name != "immediate" {
            return None;
        }
        // `NFTA_IMMEDIATE_DATA`.
        let data = nested(self.attribute(2)?);
        let (_, parts) = data.into_iter().find(|(kind, _)| *kind == DATA_VERDICT)?;
        let parts = nested(&parts);
        let part = |wanted| parts.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let code = u32::from_be_bytes(part(VERDICT_CODE)?.as_slice().try_into().ok()?);
        Verdict::of_code(code, part(VERDICT_CHAIN).and_then(|value| text(value)))
    }

    /// What it is compared with, if it is a comparison for equality.
    pub(super) fn compared(&self) -> Option<&[u8]> {
        // `NFTA_CMP_OP` and `NFTA_CMP_DATA`; the latter holds one attribute, the value.
        let is_equality = self.name == "cmp" && self.attribute(2)? == [0; 4];
        self.attribute(3)?.get(4..).filter(|_| is_equality)
    }

    /// The register that it is loaded into, and the value, if it loads one.
    pub(super) fn loaded(&self) -> Option<(&[u8], &[u8])> {
        if self.name != "immediate" {
            return None;
        }
        // `NFTA_IMMEDIATE_DREG` and `NFTA_IMMEDIATE_DATA`; the latter holds one attribute, the value.
        Some((self.attribute(1)?, self.attribute(2)?.get(4..)?))
    }

    /// The register of the address that it gives packets as their destination, if it does.
    pub(super) fn destination_register(&self) -> Option<&[u8]> {
        // `NFTA_NAT_TYPE`, which is `NFT_NAT_DNAT`, and `NFTA_NAT_REG_ADDR_MIN`.
        let is_dnat = self.name == "nat" && self.attribute(1)? == [0, 0, 0, 1];
        self.attribute(3).filter(|_| is_dnat)
    }

    /// The set or map that it looks into.
    pub(super) fn set(&self) -> Option<String> {
        if self.name != "lookup" { None } else { text(self.attribute(1)?) }
    }

    /// The message of the expression.
    pub(super) fn message(self) -> ListAttribute<ExpressionAttribute> {
        let attributes = self.attributes.into_iter();
        ListAttribute::Element(vec![
            ExpressionAttribute::Name(self.name.clone()),
            ExpressionAttribute::Data(Expressions::Other {
                expression_type: self.name,
                attributes: attributes.map(|(kind, value)| DefaultNla::new(kind, value)).collect(),
            }),
        ])
    }
}

/// The attributes of a verdict.
pub(super) fn verdict_parts(verdict: &Verdict) -> Vec<DefaultNla> {
    let mut parts = vec![DefaultNla::new(VERDICT_CODE, verdict.code().to_be_bytes().to_vec())];
    parts.extend(verdict.chain().map(|chain| DefaultNla::new(VERDICT_CHAIN, terminated(chain))));
    parts
}

/// The expressions in a list of them: each has its name and its own attributes.
pub(super) fn read(list: &[u8]) -> Vec<Expression> {
    let read_one = |(_, expression): (u16, Vec<u8>)| {
        let mut read = Expression::new("");
        for (kind, value) in nested(&expression) {
            match kind {
                EXPRESSION_NAME => read.name = text(&value)?,
                EXPRESSION_DATA => read.attributes = nested(&value),
                _ => {}
            }
        }
        Some(read)
    };
    nested(list).into_iter().filter_map(read_one).collect()
}

fn nested(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let items = NlasIterator::new(bytes).flatten();
    items.map(|item| (item.kind(), item.value().to_vec())).collect()
}

/// What an attribute holds.
pub(super) fn value_of(attribute: &impl Nla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

fn emitted(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

fn terminated(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// A text that ends with a NUL.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.split(|byte| *byte == 0).next()?.to_vec()).ok()
}
