//! The one rule that lets marked packets pass `FORWARD` of iptables, where Docker and others drop by
//! default. An accept elsewhere would not do: a drop anywhere is final.
//!
//! It is made over netlink, of nothing but what iptables' programs read back.

use cni_common::nft::{
    BaseChain, ChainType, FoundRule, Hook, Operation, Policy, Rule, Statement, Table, Verdict,
};
use cni_common::packet_filter::iptables::{PROTOCOLS, nftables_table};
use cni_common::packet_filter::table::INET;
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Context, Error, Result};

use crate::config::Config;
use crate::plan;
use crate::text::{ADMIN_COMMENT, CHAIN, FORWARD, JUMP_COMMENT, TABLE};

/// What the comment of the rule that accepts begins with; the mark stands behind it.
const ACCEPT_COMMENT: &str = "Causeway firewall: what has mark ";

/// Makes it for the protocols, and the administrator's chain before it.
pub fn ensure(nft: &mut Nft, protocols: &[Protocol], config: &Config) -> Result<()> {
    for protocol in protocols {
        let table = nftables_table(*protocol, TABLE);
        nft.change(|nft| missing(nft, table, config))
            .with_context(|| format!("accept what is forwarded in table {table}"))?;
    }
    Ok(())
}

/// Removes it where nothing is marked any more.
pub fn remove_if_unused(nft: &mut Nft) -> Result<()> {
    let (marking, _) = plan::marking(0);
    for protocol in PROTOCOLS {
        let table = nftables_table(protocol, TABLE);
        nft.change(|nft| {
            if nft.find_chain(INET, &marking.name)?.is_some() {
                return Ok(Vec::new());
            }
            let rules = nft.list_rules(table, CHAIN)?;
            let own = rules.iter().filter(|rule| rule.comment.starts_with(ACCEPT_COMMENT));
            Ok(own.map(|rule| deletion(table, rule)).collect())
        })?;
    }
    Ok(())
}

/// What is missing of it.
pub fn faults(nft: &mut Nft, protocol: Protocol, config: &Config) -> Result<Vec<String>> {
    let table = nftables_table(protocol, TABLE);
    let mut faults = jump_faults(nft, protocol, config)?;
    if !nft.list_rules(table, CHAIN)?.iter().any(|rule| is_accept(rule, config)) {
        let wanted = accept(config);
        faults.push(format!("table {table}: expected {CHAIN} rule [{wanted}] not found"));
    }
    Ok(faults)
}

/// What is missing of the way to it, in the reference's words.
pub fn jump_faults(nft: &mut Nft, protocol: Protocol, config: &Config) -> Result<Vec<String>> {
    let table = nftables_table(protocol, TABLE);
    let mut faults = Vec::new();
    for (from, to) in [(FORWARD, CHAIN), (CHAIN, config.admin_chain.as_str())] {
        if !leads(&nft.list_rules(table, from)?, to) {
            faults.push(format!("table {table}: expected {from} rule [-j {to}] not found"));
        }
    }
    Ok(faults)
}

fn missing(nft: &mut Nft, table: Table, config: &Config) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    match nft.find_chain(table, FORWARD)? {
        // As iptables makes it. One that is there keeps its policy.
        None => {
            operations.push(Operation::AddTable(table, String::new()));
            operations.push(Operation::AddChain(table, base()));
        }
        Some(chain) if chain.hook.as_ref().is_some_and(|hook| hook.is_of(&base())) => {}
        Some(_) => {
            let message = format!("chain {table} {FORWARD} is not the one that iptables makes");
            return Err(Error::new(Code::Conflict, message));
        }
    }
    let admin = config.admin_chain.as_str();
    for chain in [CHAIN, admin] {
        if nft.find_chain(table, chain)?.is_none() {
            let (chain, comment) = (chain.to_owned(), String::new());
            operations.push(Operation::AddRegularChain(table, chain, comment));
        }
    }
    if !leads(&nft.list_rules(table, FORWARD)?, CHAIN) {
        let rule = jump(CHAIN, JUMP_COMMENT);
        operations.push(Operation::InsertRule(table, FORWARD.to_owned(), rule));
    }
    let rules = nft.list_rules(table, CHAIN)?;
    if !leads(&rules, admin) {
        let rule = jump(admin, ADMIN_COMMENT);
        operations.push(Operation::InsertRule(table, CHAIN.to_owned(), rule));
    }
    if !rules.iter().any(|rule| is_accept(rule, config)) {
        // One of another bit.
        let former = rules.iter().filter(|rule| rule.comment.starts_with(ACCEPT_COMMENT));
        operations.extend(former.map(|rule| deletion(table, rule)));
        operations.push(Operation::AddRule(table, CHAIN.to_owned(), accept(config)));
    }
    Ok(operations)
}

fn deletion(table: Table, rule: &FoundRule) -> Operation {
    Operation::DeleteRule(table, rule.chain.clone(), rule.handle)
}

fn leads(rules: &[FoundRule], to: &str) -> bool {
    rules.iter().any(|rule| rule.target().as_deref() == Some(to))
}

fn base() -> BaseChain {
    BaseChain {
        name: FORWARD.to_owned(),
        kind: ChainType::Filter,
        hook: Hook::Forward,
        priority: 0,
        policy: Policy::Accept,
        comment: String::new(),
    }
}

fn jump(to: &str, comment: &str) -> Rule {
    let verdict = Statement::Verdict(Verdict::Jump(to.to_owned()));
    Rule { statements: vec![Statement::Counter, verdict], comment: comment.to_owned() }
}

fn accept(config: &Config) -> Rule {
    let verdict = Statement::Verdict(Verdict::Accept);
    let statements = vec![Statement::MarkHas(config.mark), Statement::Counter, verdict];
    Rule { statements, comment: format!("{ACCEPT_COMMENT}{:#x}", config.mark) }
}

/// Whether it is that rule, also as `iptables-restore` writes it, which has a match of its own for
/// the mark.
fn is_accept(rule: &FoundRule, config: &Config) -> bool {
    let wanted = accept(config);
    let is_restored = rule.comment == wanted.comment && rule.verdict() == Some(Verdict::Accept);
    is_restored || rule.does(&wanted)
}
