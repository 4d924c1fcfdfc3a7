//! `macspoofchk`: only frames with the container's own MAC address leave its port.
//!
//! Always nf_tables: frames on a bridge are filtered there, whatever masquerades.

mod plan;

use cni_common::nft::{Element, Set, Value};
use cni_common::packet_filter::table::BRIDGE as TABLE;
use cni_common::packet_filter::{self, ElementKey, Report, element, owner, reference};
use cni_common::sys::nft::Nft;
use cni_common::types::{Mac, NetworkName};
use cni_common::{Context, Error, Result, log};

use self::plan::{chain, port_key, ports, rules, sender_key, senders, unit, wanted};
use super::Subject;

/// Guards the attachment's port, in one transaction. To be called before the port forwards.
pub fn ensure(subject: &Subject<'_>, mac: Mac) -> Result<()> {
    let former = |nft: &mut Nft| entries(nft, subject, None);
    packet_filter::ensure(&mut Nft::open()?, &wanted(subject, mac), former)
        .with_context(|| format!("guard port {} of {}", subject.port, subject.attachment))
}

/// The same for many ports in few transactions, for who holds the locks of their attachments. Where it fails,
/// each is to be guarded by itself.
pub fn ensure_together(all: &[(Subject<'_>, Mac)]) -> Result<()> {
    let wanted = all.iter().map(|(subject, mac)| wanted(subject, *mac)).collect();
    packet_filter::ensure_together(&mut Nft::open()?, wanted)
        .with_context(|| format!("guard {} ports", all.len()))
}

/// What [`ensure`] would do, as lines.
pub fn lines(subject: &Subject<'_>, mac: Mac) -> Vec<String> {
    let operations = wanted(subject, mac).operations();
    operations.iter().map(|operation| format!("nft {operation}")).collect()
}

/// Takes the guard away, the reference plugin's too. It works without the MAC address, only more
/// slowly.
pub fn remove(subject: &Subject<'_>, mac: Option<Mac>) -> Result<()> {
    let mut nft = Nft::open()?;
    let comment = owner::comment(subject.attachment);
    let own = |element: &Element| element.comment == comment;
    let ours = entries(&mut nft, subject, mac)
        .and_then(|all| element::remove(&mut nft, &all, &[unit()], own))
        .with_context(|| format!("unguard port {} of {}", subject.port, subject.attachment));
    let theirs = reference::remove_spoofcheck(&mut nft, subject.attachment);
    Error::join([ours, theirs].into_iter().filter_map(Result::err))
}

/// Says what is missing or altered of what ADD made: this suite's or the reference plugin's.
pub fn check(subject: &Subject<'_>, mac: Mac) -> Result<()> {
    let mut nft = Nft::open()?;
    let report = missing(&mut nft, subject, mac)?;
    if report.is_empty() {
        log::debug(|| "CHECK: the MAC check is complete: this suite's rules");
        return Ok(());
    }
    let port = entry(ports(), port_key(subject));
    let comment = owner::comment(subject.attachment);
    let is_ours = port.find(&mut nft)?.is_some_and(|element| element.comment == comment);
    match reference::check::spoofcheck(&mut nft, subject.attachment, mac)? {
        Some(theirs) if theirs.is_empty() => {
            log::debug(|| "CHECK: the MAC check is complete: the reference plugin's rules");
            Ok(())
        }
        Some(theirs) if !is_ours => theirs.into_result("macspoofchk by the reference plugin"),
        Some(_) | None => report.into_result("macspoofchk"),
    }
}

/// What is missing or altered of our rules.
fn missing(nft: &mut Nft, subject: &Subject<'_>, mac: Mac) -> Result<Report> {
    let mut report = Report::default();
    if !report.table(nft, TABLE)? {
        return Ok(report);
    }
    report.chain(nft, TABLE, (&chain(), &rules()))?;
    for (table, set, element) in &wanted(subject, mac).elements {
        report.element(nft, *table, (set, element))?;
    }
    Ok(report)
}

/// The comments of all attachments whose port is guarded.
pub fn list_owners(nft: &mut Nft) -> Result<Vec<String>> {
    element::list_owners(nft, (TABLE, &ports()))
}

/// Whether the attachment's is among them.
pub fn is_registered(nft: &mut Nft, subject: &Subject<'_>) -> Result<bool> {
    Ok(entry(ports(), port_key(subject)).find(nft)?.is_some())
}

/// Removes the guards of the network's attachments that live no more.
pub fn gc(network: &NetworkName, living: &owner::Living<'_>) -> Result<()> {
    let stale = |element: &Element| living.is_stale(&element.comment);
    let mut nft = Nft::open()?;
    let doing = || format!("sweep the guarded ports of network {network}");
    let mut found = Vec::new();
    for set in [ports(), senders()] {
        let some = element::search(&mut nft, (TABLE, &set), usize::MAX, stale);
        found.extend(some.with_context(doing)?);
    }
    element::remove(&mut nft, &found, &[unit()], stale).with_context(doing)
}

/// Where the attachment's elements are. Its sender is looked for if it is not the one that is said.
fn entries(nft: &mut Nft, subject: &Subject<'_>, mac: Option<Mac>) -> Result<Vec<ElementKey>> {
    let comment = owner::comment(subject.attachment);
    let own = |element: &Element| element.comment == comment;
    let port = entry(ports(), port_key(subject));
    let mut found = Vec::new();
    if let Some(mac) = mac {
        let sender = entry(senders(), sender_key(subject, mac));
        if sender.find(nft)?.is_some_and(|element| own(&element)) {
            found.push(sender);
        }
    }
    // Whatever became of the port's element: a sender that stays would be allowed at the next port
    // of this name.
    if found.is_empty() {
        found.extend(element::search(nft, (TABLE, &senders()), 1, own)?);
    }
    found.push(port);
    Ok(found)
}

fn entry(set: Set, key: Vec<Value>) -> ElementKey {
    ElementKey { table: TABLE, set, key }
}
