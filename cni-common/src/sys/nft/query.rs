//! What is there: one element, all elements, sets, chains, rules. Absent is an answer, not an
//! error, and so is a kernel without nf_tables.

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenMessage, ListAttribute, NfTablesMessage as Message,
    RuleAttribute, RuleMessage, SetAttribute, SetElementAttribute, SetElementList,
    SetElementMessage, SetMessage, TableMessage,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};

use nix::errno::Errno;

use super::{Nft, is_unsupported};
use crate::error::{Code, Context, Error, Result};
use crate::nft::{self, Element, Family, FoundChain, FoundRule, Generation, Set, Table, Value};
use crate::sys::netfilter::{NEW_ELEMENTS, Netfilter, NetfilterSocket};
use crate::sys::socket::{Whole, is_transient, read_datagram};

/// What one datagram of answers says.
#[derive(Debug)]
pub struct Answers {
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
pub fn read_answers(datagram: &[u8], set: &Set) -> Result<Answers> {
    let messages = read_datagram::<Netfilter>(datagram)?.into_iter();
    let answer = objects(messages.filter_map(|message| message.object()));
    Ok(Answers {
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
const MAX_DUMPS: usize = 20;
/// How often a query is repeated on a new socket.
const MAX_RETRIES: usize = 20;

impl Nft {
    /// The present state's number; `None` in a kernel without nf_tables.
    pub fn generation(&mut self) -> Result<Option<Generation>> {
        let message = Message::GetGen(GenMessage { attributes: Vec::new() });
        let answer = self.get(Family::Inet, message);
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
        let answer = self.get(table.family, message);
        Ok(!answer.with_context(|| format!("look for table {table}"))?.is_empty())
    }

    /// How many chains, sets and other objects the table holds; `None` if it is not there.
    pub fn table_use(&mut self, table: Table) -> Result<Option<u32>> {
        let attributes = vec![nft::table_attribute(table)];
        let message = Message::GetTable(TableMessage { attributes });
        let answer = self.get(table.family, message);
        let answer = answer.with_context(|| format!("look for table {table}"))?;
        Ok(answer.iter().find_map(|message| match message {
            Message::NewTable(message) => nft::table_use(message),
            _ => None,
        }))
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
        let answer = self.get(table.family, message);
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
        for _ in 0..MAX_DUMPS {
            let answer = self.query(|socket| socket.dump_once(&message));
            let Some((answer, whole)) =
                answer.with_context(|| format!("list set {table} {}", set.name))?
            else {
                break;
            };
            let answer = objects(answer.into_iter());
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

    /// The first few elements of the set: none if it has none, or is not there.
    pub fn first_elements(&self, table: Table, set: &Set) -> Result<Vec<Element>> {
        let name = &set.name;
        let attributes = elements_of(table, name);
        let message = Message::GetSetElement(SetElementMessage { attributes });
        let message = NetfilterMessage::new(nft::header(table.family), message);
        // The rest of the answer goes with the connection.
        let answer = Self::open()?.query(|socket| socket.dump_beginning(&message));
        let answer = answer.with_context(|| format!("look into set {table} {name}"))?;
        let answer = objects(answer.unwrap_or_default().into_iter());
        Ok(read_elements(&answer, set))
    }

    /// The names of the table's sets.
    pub fn list_sets(&mut self, table: Table) -> Result<Vec<String>> {
        let attributes = vec![SetAttribute::Table(table.name.to_owned())];
        let message = Message::GetSet(SetMessage { attributes });
        let answer = self.dump(table.family, message);
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
        let answer = self.get(table.family, message);
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
        let answer = self.dump(table.family, message);
        let answer = answer.with_context(|| format!("list the rules of table {table}"))?;
        Ok(read_rules(&answer))
    }

    /// One object; absent is an answer.
    fn get(&mut self, family: Family, message: Message) -> Result<Vec<Message>> {
        let message = NetfilterMessage::new(nft::header(family), message);
        let answer = self.query(|socket| socket.get(&message))?;
        Ok(objects(answer.into_iter()))
    }

    /// All objects of a kind.
    fn dump(&mut self, family: Family, message: Message) -> Result<Vec<Message>> {
        let message = NetfilterMessage::new(nft::header(family), message);
        let answer = self.query(|socket| socket.dump(&message))?;
        Ok(objects(answer.unwrap_or_default().into_iter()))
    }

    /// Asks; `None` for what is not there. When an answer was lost, asks on a new socket.
    fn query<T>(
        &mut self,
        mut ask: impl FnMut(&mut NetfilterSocket) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(socket) = &mut self.socket else { return Ok(None) };
        let mut retries = 0;
        loop {
            match ask(socket) {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) if is_absent(&error) => return Ok(None),
                // The kernel begins no dump on a socket that is in the middle of one (EBUSY).
                Err(error) if retries < MAX_RETRIES && is_lost(&error) => {
                    retries += 1;
                    *socket = NetfilterSocket::open()?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// No such table, set or element; a key that the set can't hold; or (the others, and EINVAL again)
/// no nf_tables in this kernel.
fn is_absent(error: &Error) -> bool {
    error.raw_errno() == Some(Errno::EINVAL) || is_unsupported(error)
}

fn is_lost(error: &Error) -> bool {
    !error.is(Code::TryAgainLater)
        && (is_transient(error) || error.raw_errno() == Some(Errno::EBUSY))
}

fn objects(messages: impl Iterator<Item = NetfilterMessage>) -> Vec<Message> {
    let object = |message: NetfilterMessage| match message.inner {
        NetfilterMessageInner::NfTables(object) => Some(object),
        _ => None,
    };
    messages.filter_map(object).collect()
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
