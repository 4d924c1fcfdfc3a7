//! `macspoofchk`: only frames with the container's own MAC address leave its port.
//!
//! Always nf_tables: frames on a bridge are filtered there, whatever masquerades.

mod plan;

use std::collections::HashSet;

use cni_common::nft::{Element, Operation, Value};
use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::{Mac, NetworkName};
use cni_common::{Context, Error, Result};

use self::plan::{TABLE, chain, port_key, ports, rules, sender_key, senders, wanted};
use super::report::Report;
use super::{Subject, ensure, leftovers, owner};

/// Guards the attachment's port, in one transaction. To be called before the port forwards.
pub fn ensure(subject: &Subject<'_>, mac: Mac) -> Result<()> {
    let stale = |nft: &mut Nft| found(nft, subject, None);
    ensure::ensure(&mut Nft::open()?, &wanted(subject, mac), stale)
        .with_context(|| format!("guard port {} of {}", subject.port, subject.attachment))
}

/// Takes the guard away, the reference plugin's too. It works without the MAC address, only more
/// slowly.
pub fn remove(subject: &Subject<'_>, mac: Option<Mac>) -> Result<()> {
    let mut nft = Nft::open()?;
    let ours = nft
        .change(|nft| found(nft, subject, mac))
        .and_then(|()| remove_if_unused(&mut nft))
        .with_context(|| format!("unguard port {} of {}", subject.port, subject.attachment));
    let theirs = leftovers::remove_spoofcheck(&mut nft, subject.attachment);
    let errors = [ours, theirs].into_iter().filter_map(Result::err).collect();
    Error::join(errors).map_or(Ok(()), Err)
}

/// Says what is missing or altered of what ADD made.
pub fn check(subject: &Subject<'_>, mac: Mac) -> Result<()> {
    let (mut nft, mut report) = (Nft::open()?, Report::default());
    if !nft.has_table(TABLE)? {
        report.fault(format!("table {TABLE}: missing"));
        return report.into_result("macspoofchk");
    }
    report.chain(&mut nft, TABLE, (&chain(), &rules()))?;
    for (table, set, element) in &wanted(subject, mac).elements {
        report.element(&mut nft, *table, (set, element))?;
    }
    report.into_result("macspoofchk")
}

/// Takes away the guards of the network's attachments that live no more.
pub fn gc(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let (prefix, living) = (owner::prefix(network), owner::comments(network, valid));
    let stale = |element: &Element| {
        element.comment.starts_with(&prefix) && !living.contains(&element.comment)
    };
    let mut nft = Nft::open()?;
    nft.change(|nft| {
        let mut operations = Vec::new();
        for set in [ports(), senders()] {
            let elements = nft.list_elements(TABLE, &set)?;
            let stale = elements.into_iter().filter(stale);
            operations.extend(
                stale.map(|one| Operation::DeleteElement(TABLE, set.name.clone(), one.key)),
            );
        }
        Ok(operations)
    })
    .with_context(|| format!("sweep the guarded ports of network {network}"))?;
    remove_if_unused(&mut nft)
}

/// What deletes all that is there for the attachment.
fn found(nft: &mut Nft, subject: &Subject<'_>, mac: Option<Mac>) -> Result<Vec<Operation>> {
    let comment = owner::comment(subject.attachment);
    let own = |element: &Element| element.comment == comment;
    let port = nft.find_element(TABLE, &ports(), &port_key(subject))?.filter(own);
    let sender = match mac {
        Some(mac) => nft.find_element(TABLE, &senders(), &sender_key(subject, mac))?.filter(own),
        None => None,
    };
    let mut keys: HashSet<Vec<Value>> = sender.map(|element| element.key).into_iter().collect();
    if port.is_some() && keys.is_empty() {
        let all = nft.list_elements(TABLE, &senders())?;
        keys.extend(all.into_iter().filter(own).map(|element| element.key));
    }
    let delete = |name: String, key| Operation::DeleteElement(TABLE, name, key);
    let mut operations: Vec<_> = keys.into_iter().map(|key| delete(senders().name, key)).collect();
    operations.extend(port.map(|element| delete(ports().name, element.key)));
    Ok(operations)
}

/// Takes the table away once no port is guarded.
fn remove_if_unused(nft: &mut Nft) -> Result<()> {
    nft.change(|nft| {
        let mut empty = nft.has_table(TABLE)?;
        for set in [ports(), senders()] {
            empty = empty && nft.is_empty(TABLE, &set)?;
        }
        Ok(if empty { vec![Operation::DeleteTable(TABLE)] } else { Vec::new() })
    })
    .with_context(|| format!("take away the unused table {TABLE}"))
}
