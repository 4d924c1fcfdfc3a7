//! The kernel's answers as values.

use netlink_packet_netfilter::nftables::NfTablesMessage as Message;
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};

use crate::error::Result;
use crate::nft::{self, Element, FoundChain, FoundRule, FoundTable, Generation, Set};
use crate::sys::netfilter::{NEW_ELEMENTS, NEW_RULE, Netfilter};
use crate::sys::socket::read_datagram;

/// What one datagram of answers says.
#[derive(Debug)]
pub struct Answers {
    /// The state's number.
    pub generation: Option<Generation>,
    /// Tables.
    pub tables: Vec<FoundTable>,
    /// The names of sets.
    pub sets: Vec<String>,
    /// Chains.
    pub chains: Vec<FoundChain>,
    /// Rules.
    pub rules: Vec<FoundRule>,
    /// Elements of the set that was asked about.
    pub elements: Vec<Element>,
}

/// Reads a datagram of answers, those about elements as of `set`.
pub fn read_answers(datagram: &[u8], set: &Set) -> Result<Answers> {
    let messages = read_datagram::<Netfilter>(datagram)?.into_iter();
    let answer: Vec<_> = messages.filter_map(|message| message.object()).collect();
    Ok(Answers {
        generation: read_generation(&answer),
        tables: read_tables(&answer),
        sets: read_sets(&answer),
        chains: read_chains(&answer),
        rules: read_rules(&answer),
        elements: read_elements(&answer, set),
    })
}

/// What `read` makes of the objects of an answer.
fn objects<T>(
    answer: &[NetfilterMessage],
    read: impl Fn(&NetfilterMessage, &Message) -> Option<T>,
) -> Vec<T> {
    let object = |message: &NetfilterMessage| match &message.inner {
        NetfilterMessageInner::NfTables(object) => read(message, object),
        _ => None,
    };
    answer.iter().filter_map(object).collect()
}

pub(super) fn read_generation(answer: &[NetfilterMessage]) -> Option<Generation> {
    let found = objects(answer, |_, object| match object {
        Message::NewGen(found) => nft::generation(found),
        _ => None,
    });
    found.into_iter().next()
}

pub(super) fn read_tables(answer: &[NetfilterMessage]) -> Vec<FoundTable> {
    objects(answer, |message, object| match object {
        Message::NewTable(found) => nft::table(&message.header, found),
        _ => None,
    })
}

pub(super) fn read_table_use(answer: &[NetfilterMessage]) -> Option<u32> {
    let found = objects(answer, |_, object| match object {
        Message::NewTable(found) => nft::table_use(found),
        _ => None,
    });
    found.into_iter().next()
}

pub(super) fn read_chains(answer: &[NetfilterMessage]) -> Vec<FoundChain> {
    objects(answer, |message, object| match object {
        Message::NewChain(found) => nft::chain(&message.header, found),
        _ => None,
    })
}

pub(super) fn read_rules(answer: &[NetfilterMessage]) -> Vec<FoundRule> {
    objects(answer, |message, object| match object {
        Message::Other { message_type: NEW_RULE, attributes } => {
            nft::rule(&message.header, attributes)
        }
        _ => None,
    })
}

pub(super) fn read_sets(answer: &[NetfilterMessage]) -> Vec<String> {
    objects(answer, |_, object| match object {
        Message::NewSet(found) => nft::set_name(found),
        _ => None,
    })
}

pub(super) fn read_elements(answer: &[NetfilterMessage], set: &Set) -> Vec<Element> {
    let parts = objects(answer, |_, object| match object {
        Message::Other { message_type: NEW_ELEMENTS, attributes } => {
            Some(nft::parts(attributes, set))
        }
        _ => None,
    });
    nft::elements(parts.into_iter().flatten().collect(), set)
}
