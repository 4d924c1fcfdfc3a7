//! Changing iptables' rules: adding by its program, removing without it.
//!
//! Where iptables keeps its rules in nf_tables, they are removed there directly, so that needs no
//! program; only the old kind of tables does.

use super::iptables_text;
use crate::Result;
use crate::log;
use crate::nft::{Family, FoundRule, Operation, Table};
use crate::sys::iptables::{Iptables, Kind, Protocol, has_legacy_table};
use crate::sys::nft::Nft;

/// Programs that work on the same table at the same time make each other fail now and then.
const MAX_ATTEMPTS: usize = 20;

/// A chain that one other chain jumps to: a container's.
#[derive(Clone, Copy, Debug)]
pub struct Jump<'a> {
    /// The table of both, by its name in iptables.
    pub table: &'static str,
    /// The chain that jumps.
    pub from: &'a str,
    /// The chain that it jumps to.
    pub to: &'a str,
}

/// Both protocols.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Ipv4, Protocol::Ipv6];

/// Runs `creation`, which fails if something of it is there already. Then `replacement` is made from
/// what the table holds.
pub fn ensure(
    (protocol, table): (Protocol, &str),
    creation: String,
    replacement: impl Fn(&str) -> String,
) -> Result<()> {
    let iptables = Iptables { protocol, kind: Kind::Default };
    let mut input = creation;
    let mut attempt = 1;
    loop {
        let error = match iptables.restore(&input) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if attempt == MAX_ATTEMPTS || !iptables.is_installed() {
            return Err(error);
        }
        attempt += 1;
        input = replacement(&iptables.save(table)?);
    }
}

/// Makes the changes that `plan` finds are to be made in a table that holds what `save` says, and
/// finds anew when they are refused: somebody else changed it meanwhile, or they can't be made.
pub fn change(
    (protocol, table): (Protocol, &str),
    mut save: String,
    plan: impl Fn(&str) -> Result<Option<String>>,
) -> Result<()> {
    let iptables = Iptables { protocol, kind: Kind::Default };
    let mut attempt = 1;
    while let Some(input) = plan(&save)? {
        let Err(error) = iptables.restore(&input) else { break };
        if attempt == MAX_ATTEMPTS || !iptables.is_installed() {
            return Err(error);
        }
        attempt += 1;
        save = iptables.save(table)?;
    }
    Ok(())
}

/// Whether the table has all these rules, each as `-A` would append it. `iptables` compares them
/// itself, however it prints them.
pub fn has_rules((protocol, table): (Protocol, &'static str), rules: &[String]) -> Result<bool> {
    let lines = rules.iter().map(|rule| rule.replacen("-A", "-C", 1));
    let input = iptables_text::input(table, lines);
    match (Iptables { protocol, kind: Kind::Default }).restore(&input) {
        Ok(()) => Ok(true),
        Err(error) if error.is(crate::Code::Kernel) => {
            log::debug(|| format!("not all rules are there: {error}"));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The table as `iptables-save` prints it.
pub fn save(protocol: Protocol, table: &str) -> Result<String> {
    Iptables { protocol, kind: Kind::Default }.save(table)
}

/// Removes the wanted jumps, and with the last of them the chain that they lead to, where iptables
/// keeps its rules in nf_tables. One look when there are none.
pub fn remove_in_nftables(
    nft: &mut Nft,
    (protocol, jump): (Protocol, Jump<'_>),
    wanted: impl Fn(&FoundRule) -> bool,
) -> Result<()> {
    let table = nftables_table(protocol, jump.table);
    nft.change_unmistakable(|nft| {
        if nft.find_chain(table, jump.to)?.is_none() {
            return Ok(Vec::new());
        }
        let mut rules = nft.list_rules(table, jump.from)?;
        rules.retain(|rule| rule.target().as_deref() == Some(jump.to));
        let (gone, staying): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| wanted(rule));
        let delete =
            |rule: &&FoundRule| Operation::DeleteRule(table, jump.from.to_owned(), rule.handle);
        let mut operations: Vec<_> = gone.iter().map(delete).collect();
        if staying.is_empty() {
            operations.push(Operation::DeleteChain(table, jump.to.to_owned()));
        }
        Ok(operations)
    })
}

/// The same in the old kind of table, if there is one; `wanted` is asked about a rule's line.
pub fn remove_in_legacy(
    (protocol, jump): (Protocol, Jump<'_>),
    wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    let next = |save: &str| iptables_text::removal(save, jump.table, (jump.from, jump.to), &wanted);
    change_legacy((protocol, jump.table), next)
}

/// Changes the old kind of table, if there is one, until `next` finds nothing more to do. Without
/// the program nothing can have put rules there.
pub fn change_legacy(
    (protocol, table): (Protocol, &str),
    next: impl Fn(&str) -> Option<String>,
) -> Result<()> {
    if !has_legacy_table(protocol, table) {
        return Ok(());
    }
    let kinds = [Kind::Legacy, Kind::Default].map(|kind| Iptables { protocol, kind });
    let Some(iptables) = kinds.into_iter().find(|program| program.is_installed()) else {
        log::debug(|| format!("no {} program for the old tables", protocol.program()));
        return Ok(());
    };
    let mut failures = 0;
    while let Some(input) = next(&iptables.save(table)?) {
        if let Err(error) = iptables.restore(&input) {
            failures += 1;
            if failures == MAX_ATTEMPTS {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// The table of nf_tables in which iptables keeps its table of this name.
pub fn nftables_table(protocol: Protocol, name: &'static str) -> Table {
    match protocol {
        Protocol::Ipv4 => Table { family: Family::Ip, name },
        Protocol::Ipv6 => Table { family: Family::Ip6, name },
    }
}
