//! `causeway check`: every inconsistency, with what it means and the command that mends it.
//!
//! ADDs and DELs go on meanwhile: what one look finds is believed when a second one, a moment later, finds
//! it again.
//!
//! - `attachments`: what is wrong with an attachment.
//! - `host`: what is wrong with the host for them.
//! - `forwarding`: chains of others that drop what they send.
//! - `lists`: network lists that can't work.
//! - `listeners`: programs that listen on a published port.

mod attachments;
mod forwarding;
mod host;
mod listeners;
mod lists;

pub(crate) use host::MAX_PORTS;

use std::thread;
use std::time::Duration;

use cni_common::Result;
use serde::Serialize;

use crate::attachments::Attachments;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::networks::{Networks, Places};
use crate::output::{Colour, Output};

/// Longer than an ADD or DEL takes between two of its steps.
pub(crate) const MOMENT: Duration = Duration::from_millis(500);

/// All kinds of findings.
pub(crate) const KINDS: [&str; 19] = [
    "address-on-two",
    "attachment-without-rules",
    "bridge-altered",
    "bridge-nearly-full",
    "bridge-without-address",
    "dead-attachment",
    "forwarding-dropped",
    "forwarding-off",
    "interface-without-lease",
    "lease-without-interface",
    "mtu-mismatch",
    "not-checked",
    "overlapping-networks",
    "port-off-bridge",
    "published-port-in-use",
    "route-localnet-without-guard",
    "rules-without-attachment",
    "unfinished-attachment",
    "unusable-list",
];

/// What no ADD or DEL makes come and go.
const STEADY: [&str; 4] =
    ["bridge-nearly-full", "forwarding-dropped", "overlapping-networks", "unusable-list"];

/// One inconsistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The word for what it is.
    pub(crate) kind: &'static str,
    /// The network; empty for what is of none.
    pub(crate) network: String,
    /// What it is about: an attachment, a link, a file.
    pub(crate) subject: String,
    /// What was found.
    pub(crate) fault: Fault,
    /// What comes of it.
    pub(crate) means: &'static str,
    /// What mends it.
    pub(crate) mend: String,
}

impl Finding {
    /// Whether no ADD or DEL makes it come and go.
    fn is_steady(&self) -> bool {
        STEADY.contains(&self.kind)
    }
}

/// All of them, as JSON has it.
#[derive(Default, Serialize)]
struct Findings {
    findings: Vec<Finding>,
    /// What may be wrong, and can't be told.
    unknown: Vec<Finding>,
}

/// What there is at one time.
pub(crate) struct Seen {
    pub(crate) networks: Networks,
    pub(crate) attachments: Attachments,
}

/// Looks for them.
pub(crate) fn check(places: &Places, network: Option<&str>, output: Output) -> Result<Exit> {
    let (Findings { mut findings, unknown }, unread) = look(places, network)?;
    if !findings.iter().all(Finding::is_steady) {
        thread::sleep(MOMENT);
        let again = look(places, network)?.0.findings;
        let is_same = |one: &Finding, other: &Finding| {
            (one.kind, &one.network, &one.subject) == (other.kind, &other.network, &other.subject)
        };
        findings.retain(|finding| {
            finding.is_steady() || again.iter().any(|other| is_same(finding, other))
        });
    }
    let findings = Findings { findings, unknown };
    output.show(&findings, || text(&findings, output))?;
    Ok(Exit::LEFT.when(!findings.findings.is_empty()) | Exit::FAILED.when(unread))
}

impl Seen {
    /// Looks.
    pub(crate) fn new(places: &Places) -> Result<Self> {
        let mut networks = Networks::read(places)?;
        let attachments = Attachments::read(places, &mut networks)?;
        Ok(Self { networks, attachments })
    }
}

/// What is wrong, and whether something could not be read.
fn look(places: &Places, network: Option<&str>) -> Result<(Findings, bool)> {
    let seen = Seen::new(places)?;
    let mut unread = seen.attachments.unread.iter();
    let is_unread = unread.any(|(name, _)| network.is_none_or(|one| one == name));
    let mut all = all(&seen)?;
    if let Some(name) = network {
        seen.networks.only(Some(name))?;
        all.findings.retain(|finding| finding.network == name);
        all.unknown.retain(|finding| finding.network == name);
    }
    Ok((all, is_unread))
}

/// What is wrong with what is seen.
pub(crate) fn findings(seen: &Seen) -> Result<Vec<Finding>> {
    Ok(all(seen)?.findings)
}

fn all(seen: &Seen) -> Result<Findings> {
    let mut findings = Vec::new();
    lists::look(seen, &mut findings);
    host::overlaps(seen, &mut findings);
    attachments::look(seen, &mut findings)?;
    host::look(seen, &mut findings)?;
    listeners::look(seen, &mut findings);
    let forwarding = forwarding::look(seen)?;
    findings.extend(forwarding.dropping);
    let mut found = Findings { findings, unknown: forwarding.unknown };
    for list in [&mut found.findings, &mut found.unknown] {
        list.sort_by(|a, b| {
            (&a.network, a.kind, &a.subject).cmp(&(&b.network, b.kind, &b.subject))
        });
        list.dedup();
    }
    Ok(found)
}

fn text(found: &Findings, output: Output) -> String {
    let mut text = String::new();
    if found.findings.is_empty() {
        text.push_str("nothing is wrong\n");
    }
    let wrong = found.findings.iter().map(|one| (one, Colour::Bad, "mend"));
    let unknown = found.unknown.iter().map(|one| (one, Colour::Warning, "see"));
    for (finding, colour, label) in wrong.chain(unknown) {
        let Finding { kind, subject, fault, means, mend, .. } = finding;
        let (kind, fault) = (output.paint(colour, kind), fault.text());
        text.push_str(&format!("{kind} {subject}: {fault}\n"));
        text.push_str(&format!("    {means}\n    {label}: {mend}\n"));
    }
    text
}
