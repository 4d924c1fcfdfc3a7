//! The reference's chains and rules of mapped ports as `iptables-save` prints them. Pure.
//!
//! Callers and the reference itself look for them by their words, so they are the reference's to the
//! letter, but for one: the last rule of a container's chain has no target, and a comment that names
//! the attachment and its namespace ([`Owner`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use cni_common::names;
use cni_common::nft::IpVersion;
use cni_common::packet_filter::iptables_text::{self, escaped, has_chain, input, quoted};
use cni_common::types::Attachment;
use ipnetwork::IpNetwork;

use crate::config::{Config, Marking, Snat};
use crate::mapping::{HostAddress, Mapping, Protocol};
use crate::plan::is_plain_path;

/// The table of all of it.
pub const TABLE: &str = "nat";
/// The chain that jumps to those of containers, and the chains of iptables that jump to it.
pub const DNAT: &str = "CNI-HOSTPORT-DNAT";
const DNAT_FROM: [&str; 2] = ["PREROUTING", "OUTPUT"];
/// What marks for the chain that masquerades.
const SETMARK: &str = "CNI-HOSTPORT-SETMARK";
const SETMARK_COMMENT: &str = "CNI portfwd masquerade mark";
const MASQUERADE: &str = "CNI-HOSTPORT-MASQ";
const MASQUERADE_FROM: &str = "POSTROUTING";
const MASQUERADE_COMMENT: &str = "CNI portfwd requiring masquerade";
/// What the name of a container's chain begins with.
const PREFIX: &str = "CNI-DN-";
/// The same of a chain that old releases of the reference made besides, and who jumps to it.
const OLD_PREFIX: &str = "CNI-SN-";
const OLD_FROM: &str = "CNI-HOSTPORT-SNAT";
/// What the comment of a jump to a container's chain begins with.
pub const COMMENT: &str = "dnat ";
/// As many ports fit one rule.
const MAX_PORTS: usize = 15;
/// The table of the rule that guards 127.0.0.0/8, the rule, and the chain it stands in.
pub const GUARD_TABLE: &str = "raw";
const GUARD: &str = "-A PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment \"Causeway portmap: nobody \
                     but the host itself reaches its 127.0.0.0/8\" -j DROP";

/// The chains that may be a container's: who jumps there, and its name.
pub fn chains(attachment: &Attachment) -> [(&'static str, String); 3] {
    let (network, container) = (attachment.network.as_str(), attachment.container.as_str());
    let [shared, own] = names(attachment);
    [(DNAT, shared), (DNAT, own), old_chain(network, container)]
}

/// The chain that an old release of the reference made besides, and who jumps there.
pub fn old_chain(network: &str, container: &str) -> (&'static str, String) {
    (OLD_FROM, iptables_text::chain(OLD_PREFIX, network, container))
}

/// The name that the reference gives, which knows no interface; and the one for an interface that is
/// not the container's first in the network.
fn names(attachment: &Attachment) -> [String; 2] {
    let (network, container) = (attachment.network.as_str(), attachment.container.as_str());
    let with_interface = format!("{container}/{}", attachment.ifname);
    [container, &with_interface].map(|id| iptables_text::chain(PREFIX, network, id))
}

/// The comment of the jumps to a container's chain.
pub fn jump_comment(network: &str, container: &str) -> String {
    iptables_text::comment(COMMENT, network, container)
}

/// What the comment of the last rule in a chain of this suite says: the name of the attachment's
/// host interface, which is derived from the attachment, and the path of the container's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The host interface.
    pub host_interface: String,
    /// The path; empty if it is not known.
    pub netns: String,
}

impl Owner {
    /// Of this attachment.
    pub fn of(attachment: &Attachment, netns: &Path) -> Self {
        let netns = netns.to_str().filter(|path| is_plain_path(path)).unwrap_or_default();
        Self { host_interface: names::host_interface(attachment), netns: netns.to_owned() }
    }

    /// What the comment says; `None` for any other.
    pub fn parse(comment: &str) -> Option<Self> {
        let (host_interface, netns) = comment.split_once(' ')?;
        let is_own =
            host_interface.starts_with("veth") && (netns.is_empty() || netns.starts_with('/'));
        is_own.then(|| Self { host_interface: host_interface.to_owned(), netns: netns.to_owned() })
    }

    fn comment(&self) -> String {
        format!("{} {}", self.host_interface, self.netns)
    }

    /// Whose the chain is, if this suite made it.
    pub fn of_chain(save: &str, chain: &str) -> Option<Self> {
        let mut comments = rules(save, chain).filter_map(iptables_text::line_comment);
        comments.find_map(|comment| Self::parse(&comment))
    }
}

/// The rules of a chain.
pub fn rules<'a>(save: &'a str, chain: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("-A {chain} ");
    save.lines().filter(move |line| line.starts_with(&start))
}

/// The rules with which one chain jumps to another.
pub fn jumps<'a>(save: &'a str, from: &str, to: &str) -> impl Iterator<Item = &'a str> {
    let end = format!(" -j {to}");
    rules(save, from).filter(move |line| line.ends_with(&end))
}

/// What is to be in the table of one IP version for an attachment.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    attachment: &'a Attachment,
    config: &'a Config,
    target: IpNetwork,
    owner: Owner,
}

impl<'a> Wanted<'a> {
    /// That of this address of the container, whose namespace is at `netns`.
    pub fn new(
        attachment: &'a Attachment,
        (config, target): (&'a Config, IpNetwork),
        netns: &Path,
    ) -> Self {
        Self { attachment, config, target, owner: Owner::of(attachment, netns) }
    }

    fn version(&self) -> IpVersion {
        crate::mapping::version_of(self.target.ip())
    }

    /// The mappings at addresses of the version.
    pub fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        let version = self.version();
        self.config.mappings.iter().filter(move |mapping| mapping.host.has(version))
    }

    /// The address that the ports lead to.
    pub fn target(&self) -> IpAddr {
        self.target.ip()
    }

    /// Whether it is for packets with further conditions only.
    pub fn is_conditional(&self) -> bool {
        !self.conditions().is_empty()
    }

    fn conditions(&self) -> &[String] {
        self.config.iptables.conditions.of(self.version())
    }

    /// The configuration's chain that sets the mark, if it is needed and not there.
    pub fn missing_chain(&self, save: &str) -> Option<&str> {
        match &self.config.iptables.marking {
            Marking::Chain(chain) if self.config.snat != Snat::Nobody => {
                (!has_chain(save, chain)).then_some(chain)
            }
            Marking::Chain(_) | Marking::Bit(_) => None,
        }
    }

    /// The container's chain: the reference's name, unless that was another interface's.
    pub fn chain(&self, save: &str) -> String {
        let [shared, own] = names(self.attachment);
        let is_others = |owner: Owner| owner.host_interface != self.owner.host_interface;
        let is_taken = Owner::of_chain(save, &shared).is_some_and(is_others);
        if is_taken || has_chain(save, &own) { own } else { shared }
    }

    /// The changes that make it out of what the table holds.
    pub fn changes(&self, save: &str) -> Vec<String> {
        let chain = self.chain(save);
        let mut lines = self.shared_changes(save);
        lines.extend(jumps(save, DNAT, &chain).map(|line| operation(line, "-D")));
        lines.push(emptied(save, &chain));
        lines.extend(self.chain_rules(&chain));
        let comment = escaped(&self.owner.comment());
        lines.push(format!("-A {chain} -m comment --comment \"{comment}\""));
        lines.extend(self.jump_rules(&chain));
        lines
    }

    /// What all containers share: made if it is missing. The mark is one for all of them.
    fn shared_changes(&self, save: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if !has_chain(save, DNAT) {
            lines.push(format!("-N {DNAT}"));
        }
        let missing = DNAT_FROM.iter().filter(|from| !save.lines().any(|line| line == entry(from)));
        lines.extend(missing.map(|from| entry(from)));
        let Some(mark) = self.own_mark() else { return lines };
        for (chain, rule) in [(SETMARK, set_mark(mark)), (MASQUERADE, masquerade(mark))] {
            if !rules(save, chain).eq([rule.as_str()]) {
                lines.extend([emptied(save, chain), rule]);
            }
        }
        if jumps(save, MASQUERADE_FROM, MASQUERADE).next().is_none() {
            // Before the masquerading of `bridge`, which would end the look at the packet.
            let comment = format!("-m comment --comment \"{MASQUERADE_COMMENT}\"");
            lines.push(format!("-I {MASQUERADE_FROM} 1 {comment} -j {MASQUERADE}"));
        }
        lines
    }

    /// The mark that this suite's own chains set and masquerade, if they are needed.
    fn own_mark(&self) -> Option<u32> {
        match &self.config.iptables.marking {
            Marking::Bit(bit) if self.config.snat != Snat::Nobody => Some(1 << bit),
            Marking::Bit(_) | Marking::Chain(_) => None,
        }
    }

    /// The rules of the container's chain, in their order.
    pub fn chain_rules(&self, chain: &str) -> Vec<String> {
        let set_mark = match &self.config.iptables.marking {
            Marking::Bit(_) => SETMARK,
            Marking::Chain(chain) => chain,
        };
        let mut lines = Vec::new();
        for mapping in self.mappings() {
            let (protocol, port) = (mapping.protocol, mapping.host_port);
            let host = mapping.host.one().map(|ip| format!("-d {} ", host(ip))).unwrap_or_default();
            let to = format!("{host}-p {protocol} -m {protocol} --dport {port}");
            for source in self.sources() {
                lines.push(format!("-A {chain} {source}{to} -j {set_mark}"));
            }
            let target = match self.target.ip() {
                IpAddr::V4(ip) => format!("{ip}:{}", mapping.container_port),
                IpAddr::V6(ip) => format!("[{ip}]:{}", mapping.container_port),
            };
            lines.push(format!("-A {chain} {to} -j DNAT --to-destination {target}"));
        }
        lines
    }

    /// Whose packets get the host's address, as matches.
    fn sources(&self) -> Vec<String> {
        let mut sources = Vec::new();
        match self.config.snat {
            Snat::Nobody => {}
            Snat::Everybody => sources.push(String::new()),
            Snat::Needed => {
                let (network, prefix) = (self.target.network(), self.target.prefix());
                sources.push(format!("-s {network}/{prefix} "));
                if self.target.is_ipv4() {
                    sources.push("-s 127.0.0.1/32 ".to_owned());
                }
            }
        }
        sources
    }

    /// The jumps to the container's chain. As with the reference, they name the ports of both IP
    /// versions.
    pub fn jump_rules(&self, chain: &str) -> Vec<String> {
        let mut ports: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for mapping in self.config.mappings.iter().filter(|mapping| self.is_first(mapping)) {
            let of_protocol = ports.entry(mapping.protocol.to_string()).or_default();
            of_protocol.push(mapping.host_port.to_string());
        }
        let (network, container) = (&self.attachment.network, &self.attachment.container);
        let comment = escaped(&jump_comment(network.as_str(), container.as_str()));
        let conditions: String =
            self.conditions().iter().map(|word| format!("{} ", quoted(word))).collect();
        let jump = |protocol: &str, ports: &[String]| {
            let ports = ports.join(",");
            format!(
                "-A {DNAT} -p {protocol} -m comment --comment \"{comment}\" -m multiport --dports \
                 {ports} {conditions}-j {chain}"
            )
        };
        let of_protocol = |(protocol, ports): (&String, &Vec<String>)| -> Vec<String> {
            ports.chunks(MAX_PORTS).map(|some| jump(protocol, some)).collect()
        };
        ports.iter().flat_map(of_protocol).collect()
    }

    /// Whether it is not the IPv6 half of a mapping whose IPv4 half is there, too.
    fn is_first(&self, mapping: &Mapping) -> bool {
        let other = Mapping { host: HostAddress::AnyOf(IpVersion::V4), ..*mapping };
        mapping.host != HostAddress::AnyOf(IpVersion::V6) || !self.config.mappings.contains(&other)
    }

    /// What is missing or not as ADD made it, in the reference's words; but for the conditions.
    pub fn faults(&self, save: &str) -> Vec<String> {
        let chain = self.chain(save);
        let mut missing: Vec<String> = DNAT_FROM.map(entry).to_vec();
        missing.retain(|line| !save.lines().any(|found| found == line));
        let wanted = self.chain_rules(&chain);
        if !has_chain(save, &chain) {
            return vec![format!("chain {chain} not found in iptables table {TABLE}")];
        }
        let is_owners = |line: &&str| Owner::of_chain(line, &chain).is_some();
        let found: Vec<&str> = rules(save, &chain).filter(|line| !is_owners(line)).collect();
        missing.extend(wanted.iter().filter(|line| !found.contains(&line.as_str())).cloned());
        if missing.is_empty() && found != wanted {
            return vec![format!(
                "chain {chain} in table {TABLE} has other rules, or another order"
            )];
        }
        if !self.is_conditional() {
            let jumps: Vec<&str> = jumps(save, DNAT, &chain).collect();
            let wanted = self.jump_rules(&chain);
            missing.extend(wanted.into_iter().filter(|line| !jumps.contains(&line.as_str())));
        }
        if self.own_mark().is_some() {
            missing.extend(mark_faults(save));
        }
        missing.iter().map(|line| format!("rule {line} not found in table {TABLE}")).collect()
    }
}

/// What is missing of the chains that mark and masquerade; the bit may be that of another ADD.
fn mark_faults(save: &str) -> Vec<String> {
    let mark = (0..u32::BITS).map(|bit| 1 << bit).find(|mark| {
        rules(save, SETMARK).eq([set_mark(*mark).as_str()])
            && rules(save, MASQUERADE).eq([masquerade(*mark).as_str()])
    });
    let mut missing = Vec::new();
    if mark.is_none() {
        missing.push(format!("-A {SETMARK} -j MARK and -A {MASQUERADE} -j MASQUERADE of one mark"));
    }
    if jumps(save, MASQUERADE_FROM, MASQUERADE).next().is_none() {
        missing.push(format!("-A {MASQUERADE_FROM} -j {MASQUERADE}"));
    }
    missing
}

fn entry(from: &str) -> String {
    format!("-A {from} -m addrtype --dst-type LOCAL -j {DNAT}")
}

fn set_mark(mark: u32) -> String {
    let comment = format!("-m comment --comment \"{SETMARK_COMMENT}\"");
    format!("-A {SETMARK} {comment} -j MARK --set-xmark {mark:#x}/{mark:#x}")
}

fn masquerade(mark: u32) -> String {
    format!("-A {MASQUERADE} -m mark --mark {mark:#x}/{mark:#x} -j MASQUERADE")
}

fn host(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

/// The line that makes the chain or, if it is there, removes its rules.
fn emptied(save: &str, chain: &str) -> String {
    format!("{} {chain}", if has_chain(save, chain) { "-F" } else { "-N" })
}

fn operation(line: &str, name: &str) -> String {
    line.replacen("-A", name, 1)
}

/// The lines that remove a container's chain and the jumps to it.
pub fn removal(save: &str, from: &str, chain: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        jumps(save, from, chain).map(|line| operation(line, "-D")).collect();
    if has_chain(save, chain) {
        lines.extend([format!("-F {chain}"), format!("-X {chain}")]);
    }
    lines
}

/// The input that makes the rule which guards 127.0.0.0/8; `None` if it is there.
pub fn guarding(save: &str) -> Option<String> {
    let is_there = save.lines().any(|line| line == GUARD);
    (!is_there).then(|| input(GUARD_TABLE, [operation(GUARD, "-I")]))
}

/// Says so if that rule is missing.
pub fn guard_fault(save: &str) -> Option<String> {
    guarding(save).map(|_missing| format!("rule {GUARD} not found in table {GUARD_TABLE}"))
}

/// The protocol that a line is for.
pub fn protocol(line: &str) -> Option<Protocol> {
    Protocol::named(iptables_text::option(line, "-p")?)
}
