//! What is there: one element, all elements, sets, chains, rules. Absent is an answer, not an
//! error, and so is a kernel without nf_tables.

use netlink_packet_netfilter::NetfilterMessage;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenMessage, ListAttribute, NfTablesMessage as Message,
    RuleAttribute, RuleMessage, SetAttribute, SetElementAttribute, SetElementList,
    SetElementMessage, SetMessage, TableMessage,
};

use super::Nft;
use super::wire::{self, NEW_ELEMENTS, Question, Whole, Wire};
use crate::error::{Context, Result};
use crate::nft::{self, Element, Family, FoundChain, FoundRule, Generation, Set, Table, Value};

/// What one datagram of answers tells of.
#[derive(Debug)]
pub struct Told {
    /// The state's number.
    pub generation: Option<Generation>,
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
pub fn read_answers(datagram: &[u8], set: &Set) -> Result<Told> {
    let answer = wire::objects(datagram)?;
    Ok(Told {
        generation: answer.iter().find_map(|message| match message {
            Message::NewGen(message) => nft::generation(message),
            _ => None,
        }),
        sets: read_sets(&answer),
        chains: read_chains(&answer).collect(),
        rules: read_rules(&answer),
        elements: read_elements(&answer, set),
    })
}

/// Changes would have to come in between, and hide the same element, this many times.
const LOOKS: usize = 20;

impl Nft {
    /// The present state's number; `None` in a kernel without nf_tables.
    pub fn generation(&mut self) -> Result<Option<Generation>> {
        let message = Message::GetGen(GenMessage { attributes: Vec::new() });
        let answer = self.ask(Family::Inet, message, Question::One);
        let answer = answer.context("ask for the packet filter's generation")?;
        Ok(answer.iter().find_map(|message| match message {
            Message::NewGen(message) => nft::generation(message),
            _ => None,
        }))
    }

    /// Whether the table is there.
    pub fn has_table(&mut self, table: Table) -> Result<bool> {
        let attributes = vec![nft::table_attribute(table)];
        let message = Message::GetTable(TableMessage { attributes });
        let answer = self.ask(table.family, message, Question::One);
        Ok(!answer.with_context(|| format!("look for table {table}"))?.is_empty())
    }

    /// The element of this key. The set's other properties are not looked at.
    pub fn find_element(
        &mut self,
        table: Table,
        set: &Set,
        key: &[Value],
    ) -> Result<Option<Element>> {
        let element =
            ListAttribute::Element(vec![SetElementAttribute::Key(nft::key_attribute(key))]);
        let mut attributes = elements_of(table, &set.name);
        attributes.push(SetElementList::Elements(vec![element]));
        let message = Message::GetSetElement(SetElementMessage { attributes });
        let answer = self.ask(table.family, message, Question::One);
        let answer = answer.with_context(|| format!("look into set {table} {}", set.name))?;
        Ok(read_elements(&answer, set).into_iter().next())
    }

    /// The elements that are wanted; `expected` says after how many to stop looking.
    ///
    /// Changes that come into the look make it be repeated, but not for ever: under a flood of them
    /// what was seen in any look is the answer. It is about the past in any case: what is done
    /// with it asks again for the element, in [`Nft::change`].
    pub fn search_elements(
        &mut self,
        (table, set): (Table, &Set),
        expected: usize,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Vec<Element>> {
        let attributes = elements_of(table, &set.name);
        let message = Message::GetSetElement(SetElementMessage { attributes });
        let message = NetfilterMessage::new(nft::header(table.family), message);
        let mut found: Vec<Element> = Vec::new();
        for _ in 0..LOOKS {
            let answer = self.wire.glimpse(&message, Question::All);
            let (answer, whole) =
                answer.with_context(|| format!("list set {table} {}", set.name))?;
            for element in read_elements(&answer, set).into_iter().filter(&wanted) {
                if !found.iter().any(|known| known.key == element.key) {
                    found.push(element);
                }
            }
            if whole == Whole::Yes || found.len() >= expected {
                break;
            }
        }
        Ok(found)
    }

    /// Whether the set has no element, or is not there: looks at its beginning only.
    pub fn is_empty(&self, table: Table, set: &Set) -> Result<bool> {
        let name = &set.name;
        let attributes = elements_of(table, name);
        let message = Message::GetSetElement(SetElementMessage { attributes });
        let message = NetfilterMessage::new(nft::header(table.family), message);
        // The rest of the answer goes with the connection.
        let answer = Wire::open()?.ask(&message, Question::Some);
        let answer = answer.with_context(|| format!("look into set {table} {name}"))?;
        Ok(read_elements(&answer, set).is_empty())
    }

    /// The names of the table's sets.
    pub fn list_sets(&mut self, table: Table) -> Result<Vec<String>> {
        let attributes = vec![SetAttribute::Table(table.name.to_owned())];
        let message = Message::GetSet(SetMessage { attributes });
        let answer = self.ask(table.family, message, Question::All);
        let answer = answer.with_context(|| format!("list the sets of table {table}"))?;
        Ok(read_sets(&answer))
    }

    /// The chain of this name.
    pub fn find_chain(&mut self, table: Table, name: &str) -> Result<Option<FoundChain>> {
        let attributes = vec![
            ChainAttribute::Table(table.name.to_owned()),
            ChainAttribute::Name(name.to_owned()),
        ];
        let message = Message::GetChain(ChainMessage { attributes });
        let answer = self.ask(table.family, message, Question::One);
        let answer = answer.with_context(|| format!("look for chain {table} {name}"))?;
        Ok(read_chains(&answer).next())
    }

    /// The rules of the chain, in order.
    pub fn list_rules(&mut self, table: Table, chain: &str) -> Result<Vec<FoundRule>> {
        self.rules(table, vec![RuleAttribute::Chain(chain.to_owned())])
    }

    /// The rules of all chains of the table.
    pub fn list_all_rules(&mut self, table: Table) -> Result<Vec<FoundRule>> {
        self.rules(table, Vec::new())
    }

    fn rules(&mut self, table: Table, more: Vec<RuleAttribute>) -> Result<Vec<FoundRule>> {
        let mut attributes = vec![RuleAttribute::Table(table.name.to_owned())];
        attributes.extend(more);
        let message = Message::GetRule(RuleMessage { attributes });
        let answer = self.ask(table.family, message, Question::All);
        let answer = answer.with_context(|| format!("list the rules of table {table}"))?;
        Ok(read_rules(&answer))
    }

    fn ask(
        &mut self,
        family: Family,
        message: Message,
        question: Question,
    ) -> Result<Vec<Message>> {
        self.wire.ask(&NetfilterMessage::new(nft::header(family), message), question)
    }
}

fn elements_of(table: Table, set: &str) -> Vec<SetElementList> {
    vec![SetElementList::Table(table.name.to_owned()), SetElementList::Set(set.to_owned())]
}

fn read_elements(answer: &[Message], set: &Set) -> Vec<Element> {
    answer
        .iter()
        .filter_map(|message| match message {
            Message::Other { message_type: NEW_ELEMENTS, attributes } => {
                Some(nft::elements(attributes, (&set.key, set.data)))
            }
            _ => None,
        })
        .flatten()
        .collect()
}

fn read_sets(answer: &[Message]) -> Vec<String> {
    let name = |message: &Message| match message {
        Message::NewSet(message) => nft::set_name(message),
        _ => None,
    };
    answer.iter().filter_map(name).collect()
}

fn read_rules(answer: &[Message]) -> Vec<FoundRule> {
    let rule = |message: &Message| match message {
        Message::NewRule(message) => nft::rule(message),
        _ => None,
    };
    answer.iter().filter_map(rule).collect()
}

fn read_chains(answer: &[Message]) -> impl Iterator<Item = FoundChain> {
    answer.iter().filter_map(|message| match message {
        Message::NewChain(message) => nft::chain(message),
        _ => None,
    })
}
