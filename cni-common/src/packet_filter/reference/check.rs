//! Whether what the reference plugins made for an attachment is complete. Changes nothing.
//!
//! The layout is that of release 1.9.1, the same since both came to be: 1.1 for the MAC check, 1.7
//! for masquerading on nftables.

use ipnetwork::IpNetwork;

use super::{
    MASQUERADE, MASQUERADE_CHAIN, SPOOFCHECK, SPOOFCHECK_CHAIN, comment, fits, spoofcheck_chains,
};
use crate::Result;
use crate::nft::{Comparison, Field, FoundHook, FoundRule, Rule, Statement, Table, Value, Verdict};
use crate::packet_filter::Report;
use crate::sys::nft::Nft;
use crate::types::{Attachment, Mac};

/// A base chain's name, type, hook number and priority.
type Base<'a> = (&'a str, &'a str, u32, i32);

/// The base chain that leads to [`MASQUERADE_CHAIN`].
const MASQUERADE_BASE: Base<'_> = ("postrouting", "nat", 4, 100);
/// The same of [`SPOOFCHECK_CHAIN`].
const SPOOFCHECK_BASE: Base<'_> = (SPOOFCHECK_CHAIN, "filter", 0, -300);

/// What is missing of its masquerading of the attachment's addresses; `None` if there is none.
pub fn masquerading(
    nft: &mut Nft,
    attachment: &Attachment,
    addresses: &[IpNetwork],
) -> Result<Option<Report>> {
    let own =
        comment(&attachment.network, (attachment.container.as_str(), attachment.ifname.as_str()));
    let mut rules = nft.list_rules(MASQUERADE, MASQUERADE_CHAIN)?;
    rules.retain(|rule| rule.comment.starts_with(&own));
    if rules.is_empty() {
        return Ok(None);
    }
    let mut report = Report::default();
    let name = format!("chain {MASQUERADE} {MASQUERADE_CHAIN}");
    for address in addresses {
        if !rules.iter().any(|rule| rule.source() == Some(address.ip())) {
            report.fault(format!("{name}: the rule for {} is missing", address.ip()));
        }
    }
    lead(nft, (MASQUERADE, MASQUERADE_BASE, MASQUERADE_CHAIN), &mut report)?;
    Ok(Some(report))
}

/// What is missing of its MAC check of the attachment; `None` if there is none.
pub fn spoofcheck(nft: &mut Nft, attachment: &Attachment, mac: Mac) -> Result<Option<Report>> {
    let [chain, mac_chain] = spoofcheck_chains(attachment);
    if !fits(&mac_chain) {
        return Ok(None);
    }
    let mut report = Report::default();
    let mut found = false;
    for name in [&chain, &mac_chain] {
        match nft.find_chain(SPOOFCHECK, name)? {
            Some(_chain) => found = true,
            None => report.fault(format!("chain {SPOOFCHECK} {name}: missing")),
        }
    }
    if !found {
        return Ok(None);
    }
    lead(nft, (SPOOFCHECK, SPOOFCHECK_BASE, &chain), &mut report)?;
    let rules = nft.list_rules(SPOOFCHECK, &chain)?;
    if !rules.iter().any(|rule| rule.target().as_ref() == Some(&mac_chain)) {
        report.fault(format!("chain {SPOOFCHECK} {chain}: the jump to {mac_chain} is missing"));
    }
    let rules = nft.list_rules(SPOOFCHECK, &mac_chain)?;
    let name = format!("chain {SPOOFCHECK} {mac_chain}");
    let is_mac = Statement::Compare(Field::EtherSource, Comparison::Equal, Value::Mac(mac));
    for statements in
        [vec![is_mac, Statement::Verdict(Verdict::Return)], vec![Statement::Verdict(Verdict::Drop)]]
    {
        let rule = Rule { statements, comment: String::new() };
        if !rules.iter().any(|found| found.does(&rule)) {
            report.fault(format!("{name}: the rule \"{rule}\" is missing or altered"));
        }
    }
    Ok(Some(report))
}

/// Looks whether the base chain is hooked as it should be and leads to the chain.
fn lead(
    nft: &mut Nft,
    (table, (base, kind, number, priority), chain): (Table, Base<'_>, &str),
    report: &mut Report,
) -> Result<()> {
    let name = format!("chain {table} {base}");
    let Some(found) = nft.find_chain(table, base)? else {
        report.fault(format!("{name}: missing"));
        return Ok(());
    };
    if found.hook != Some(FoundHook { kind: kind.to_owned(), number, priority }) {
        report.fault(format!("{name}: it has another hook"));
    }
    let leads = |rule: &FoundRule| rule.target().as_deref() == Some(chain);
    if !nft.list_rules(table, base)?.iter().any(leads) {
        report.fault(format!("{name}: no rule leads to {chain}"));
    }
    Ok(())
}
