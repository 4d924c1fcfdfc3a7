//! The reference's chains and rules as `iptables-save` prints them. Pure.
//!
//! Others look for them by their words (Nomad fills the administrator's chain), so they are the
//! reference's to the letter.

use std::net::IpAddr;

use cni_common::packet_filter::iptables_text::{has_chain, input};

use crate::config::IngressPolicy;

/// The table of all of it.
pub const TABLE: &str = "filter";
/// The chain of iptables that forwarded packets go through.
pub const FORWARD: &str = "FORWARD";
/// The plugin's chain.
pub const CHAIN: &str = "CNI-FORWARD";
/// The comment of the jump to it.
pub const JUMP_COMMENT: &str = "CNI firewall plugin rules";
/// The comment of the jump to the administrator's chain.
pub const ADMIN_COMMENT: &str = "CNI firewall plugin admin overrides";
const STAGE_1: &str = "CNI-ISOLATION-STAGE-1";
const STAGE_2: &str = "CNI-ISOLATION-STAGE-2";

/// The two rules of an address.
pub fn pair(ip: IpAddr) -> [String; 2] {
    let host = format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 });
    [
        format!("-A {CHAIN} -d {host} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        format!("-A {CHAIN} -s {host} -j ACCEPT"),
    ]
}

/// What is to be in the table.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The administrator's chain.
    pub admin: &'a str,
    /// The rules of addresses, in order.
    pub rules: Vec<String>,
    /// The bridge with a policy, if it has one.
    pub policy: Option<(&'a str, IngressPolicy)>,
}

impl Wanted<'_> {
    /// The changes that make what is missing; empty if nothing is.
    pub fn changes(&self, save: &str) -> String {
        let mut lines = created(save, &[CHAIN, self.admin]);
        for (from, to, comment) in self.jumps() {
            if !jumps_to(save, from, to) {
                lines.push(inserted(from, to, comment));
            }
        }
        lines.extend(self.rules.iter().filter(|rule| !has_line(save, rule)).cloned());
        if let Some((bridge, policy)) = self.policy {
            lines.extend(isolation_changes(save, bridge, policy));
        }
        if lines.is_empty() { String::new() } else { input(TABLE, lines) }
    }

    /// What is missing, in the reference's words.
    pub fn faults(&self, save: &str) -> Vec<String> {
        let jumps = self.jumps();
        let jumps = jumps.iter().filter(|(from, to, _)| !jumps_to(save, from, to));
        let mut faults: Vec<String> = jumps
            .map(|(from, to, _)| format!("expected {from} rule [-j {to}] not found"))
            .collect();
        let isolation = self.policy.map(|(bridge, policy)| isolation(bridge, policy));
        let rules = self.rules.iter().cloned().chain(isolation.into_iter().flatten());
        let missing = rules.filter(|rule| !has_line(save, rule));
        faults.extend(missing.map(|rule| format!("expected rule [{rule}] not found")));
        if self.policy.is_some() && !jumps_to(save, FORWARD, STAGE_1) {
            faults.push(format!("expected {FORWARD} rule [-j {STAGE_1}] not found"));
        }
        faults
    }

    fn jumps(&self) -> [(&str, &str, &str); 2] {
        [(FORWARD, CHAIN, JUMP_COMMENT), (CHAIN, self.admin, ADMIN_COMMENT)]
    }
}

/// The rules that keep the bridge apart, those of one chain in their order.
fn isolation(bridge: &str, policy: IngressPolicy) -> Vec<String> {
    let own = format!("-m comment --comment \"{JUMP_COMMENT} (ingressPolicy: {})\"", policy.word());
    let mut rules = Vec::new();
    if policy == IngressPolicy::Isolated {
        rules.push(format!("-A {STAGE_1} -i {bridge} -o {bridge} {own} -j DROP"));
    }
    rules.push(format!("-A {STAGE_1} -i {bridge} ! -o {bridge} {own} -j {STAGE_2}"));
    rules.push(format!("-A {STAGE_2} -o {bridge} {} -j DROP", common()));
    rules
}

fn common_comment() -> String {
    format!("{JUMP_COMMENT} (ingressPolicy: same-bridge|isolated)")
}

/// The comment of what both policies need, as a match.
fn common() -> String {
    format!("-m comment --comment \"{}\"", common_comment())
}

fn isolation_changes(save: &str, bridge: &str, policy: IngressPolicy) -> Vec<String> {
    let mut lines = created(save, &[STAGE_1, STAGE_2]);
    if !jumps_to(save, FORWARD, STAGE_1) {
        lines.push(inserted(FORWARD, STAGE_1, &common_comment()));
    }
    let wanted = isolation(bridge, policy);
    let other = match policy {
        IngressPolicy::Isolated => IngressPolicy::SameBridge,
        IngressPolicy::Open | IngressPolicy::SameBridge => IngressPolicy::Isolated,
    };
    // What another policy of the bridge left would go on dropping.
    let stale = isolation(bridge, other).into_iter().filter(|rule| !wanted.contains(rule));
    lines.extend(stale.filter(|rule| has_line(save, rule)).map(|rule| changed(&rule, "-D")));
    for stage in [STAGE_1, STAGE_2] {
        let last = format!("-A {stage} {} -j RETURN", common());
        if !has_line(save, &last) {
            lines.push(last);
        }
    }
    // Each is put before the others, so that the first of them comes to stand first.
    let new = wanted.iter().rev().filter(|rule| !has_line(save, rule));
    lines.extend(new.map(|rule| changed(rule, "-I")));
    lines
}

fn changed(rule: &str, operation: &str) -> String {
    rule.replacen("-A", operation, 1)
}

/// Whether the rule is there; also as releases of the reference made it that had no `isolated`.
fn has_line(save: &str, rule: &str) -> bool {
    let former = rule.replace("same-bridge|isolated", "same-bridge");
    save.lines().any(|line| line == rule || line == former)
}

/// What makes the chains that are missing. It fails where somebody else has made one since: the form in
/// which `iptables-save` declares a chain would empty that.
fn created(save: &str, chains: &[&str]) -> Vec<String> {
    let missing = chains.iter().filter(|chain| !has_chain(save, chain));
    missing.map(|chain| format!("-N {chain}")).collect()
}

fn inserted(from: &str, to: &str, comment: &str) -> String {
    format!("-I {from} 1 -m comment --comment \"{comment}\" -j {to}")
}

/// Whether a rule of the one chain leads to the other.
fn jumps_to(save: &str, from: &str, to: &str) -> bool {
    let (start, end) = (format!("-A {from} "), format!(" -j {to}"));
    save.lines().any(|line| line.starts_with(&start) && line.ends_with(&end))
}

/// The changes that remove the rules of these addresses; `None` if there are none.
pub fn removal<'a>(save: &str, addresses: impl IntoIterator<Item = &'a IpAddr>) -> Option<String> {
    let rules = addresses.into_iter().flat_map(|ip| pair(*ip));
    let found = rules.filter(|rule| has_line(save, rule));
    let lines: Vec<_> = found.map(|rule| changed(&rule, "-D")).collect();
    (!lines.is_empty()).then(|| input(TABLE, lines))
}
