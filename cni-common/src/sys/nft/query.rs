//! What is there: one element, all elements, sets, chains, rules. Absent is an answer, not an
//! error, and so is a kernel without nf_tables.

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenMessage, ListAttribute, NfTablesMessage as Message,
    RuleAttribute, RuleMessage, SetAttribute, SetElementList, SetElementMessage, SetMessage,
    TableMessage,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use nix::errno::Errno;

use super::answer::{
    read_chains, read_elements, read_generation, read_rules, read_sets, read_table_use, read_tables,
};
use super::{Nft, is_unsupported};
use crate::error::{Code, Context, Error, Result};
use crate::nft::{
    self, Element, Family, FoundChain, FoundRule, FoundTable, Generation, Set, Table, Value,
};
use crate::sys::netfilter::NetfilterSocket;
use crate::sys::socket::{Whole, is_transient};

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
        Ok(read_generation(&answer))
    }

    /// Whether the table is there.
    pub fn has_table(&mut self, table: Table) -> Result<bool> {
        let attributes = vec![nft::table_attribute(table)];
        let message = Message::GetTable(TableMessage { attributes });
        let answer = self.get(table.family, message);
        Ok(!answer.with_context(|| format!("look for table {table}"))?.is_empty())
    }

    /// How many chains, sets and other objects the table holds; `None` if it is not there.
    pub(crate) fn table_use(&mut self, table: Table) -> Result<Option<u32>> {
        let attributes = vec![nft::table_attribute(table)];
        let message = Message::GetTable(TableMessage { attributes });
        let answer = self.get(table.family, message);
        let answer = answer.with_context(|| format!("look for table {table}"))?;
        Ok(read_table_use(&answer))
    }

    /// The element of this key. The set's other properties are not looked at.
    pub fn find_element(
        &mut self,
        table: Table,
        set: &Set,
        key: &[Value],
    ) -> Result<Option<Element>> {
        let element = ListAttribute::Element(nft::key_element(key));
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

    /// All elements of the set: none if it has none, or is not there.
    pub fn list_elements(&mut self, table: Table, set: &Set) -> Result<Vec<Element>> {
        self.search_elements((table, set), usize::MAX, |_all| true)
    }

    /// The first few elements of the set: none if it has none, or is not there.
    pub fn first_elements(&mut self, table: Table, set: &Set) -> Result<Vec<Element>> {
        let name = &set.name;
        let attributes = elements_of(table, name);
        let message = Message::GetSetElement(SetElementMessage { attributes });
        let message = NetfilterMessage::new(nft::header(table.family), message);
        // The rest of the answer goes with the connection.
        let mut other = Self::open()?;
        let answer = other.query(|socket| socket.dump_beginning(&message));
        self.begun.extend(other.socket.take());
        let answer = answer.with_context(|| format!("look into set {table} {name}"))?;
        Ok(read_elements(&answer.unwrap_or_default(), set))
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
        Ok(read_chains(&answer).into_iter().next())
    }

    /// The rules of the chain, in order.
    pub fn list_rules(&mut self, table: Table, chain: &str) -> Result<Vec<FoundRule>> {
        self.rules(table, vec![RuleAttribute::Chain(chain.to_owned())])
    }

    /// The rules of all chains of the table.
    pub fn list_all_rules(&mut self, table: Table) -> Result<Vec<FoundRule>> {
        self.rules(table, Vec::new())
    }

    /// The tables of all families, whoever made them.
    pub fn list_tables(&mut self) -> Result<Vec<FoundTable>> {
        let message = Message::GetTable(TableMessage { attributes: Vec::new() });
        let answer = self.dump_all(message).context("list the packet filter's tables")?;
        Ok(read_tables(&answer))
    }

    /// The chains of all tables, whoever made them.
    pub fn list_chains(&mut self) -> Result<Vec<FoundChain>> {
        let message = Message::GetChain(ChainMessage { attributes: Vec::new() });
        let answer = self.dump_all(message).context("list the packet filter's chains")?;
        Ok(read_chains(&answer))
    }

    /// The rules of a chain that was found, in order.
    pub fn list_rules_of(&mut self, chain: &FoundChain) -> Result<Vec<FoundRule>> {
        let attributes = vec![
            RuleAttribute::Table(chain.table.name.clone()),
            RuleAttribute::Chain(chain.name.clone()),
        ];
        let message = Message::GetRule(RuleMessage { attributes });
        let answer = self.dump(chain.table.family, message);
        let doing = || format!("list the rules of chain {} {}", chain.table, chain.name);
        Ok(read_rules(&answer.with_context(doing)?))
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
    fn get(&mut self, family: Family, message: Message) -> Result<Vec<NetfilterMessage>> {
        let message = NetfilterMessage::new(nft::header(family), message);
        let answer = self.query(|socket| socket.get(&message))?;
        Ok(answer.into_iter().collect())
    }

    /// All objects of a kind.
    fn dump(&mut self, family: Family, message: Message) -> Result<Vec<NetfilterMessage>> {
        let message = NetfilterMessage::new(nft::header(family), message);
        Ok(self.query(|socket| socket.dump(&message))?.unwrap_or_default())
    }

    /// All objects of a kind, of all families.
    fn dump_all(&mut self, message: Message) -> Result<Vec<NetfilterMessage>> {
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
        let message = NetfilterMessage::new(header, message);
        Ok(self.query(|socket| socket.dump(&message))?.unwrap_or_default())
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

fn elements_of(table: Table, set: &str) -> Vec<SetElementList> {
    vec![SetElementList::Table(table.name.to_owned()), SetElementList::Set(set.to_owned())]
}
