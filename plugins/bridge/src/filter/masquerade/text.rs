//! The reference's masquerading rules as `iptables-save` prints them. Pure.
//!
//! Callers parse the chain names and comments (Nomad, when a DEL failed), so they are the
//! reference's to the letter. The chain's name knows no interface: two interfaces of one container
//! in one network share it, and are told apart by their addresses only.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::packet_filter::iptables_text;
use ipnetwork::IpNetwork;

/// The table of all of it.
pub(super) const TABLE: &str = "nat";
/// The chain that jumps to those of containers.
pub(super) const POSTROUTING: &str = "POSTROUTING";
/// What their names begin with.
const PREFIX: &str = "CNI-";

/// The chain of a container in a network.
pub(super) fn chain(network: &str, container: &str) -> String {
    iptables_text::chain(PREFIX, network, container)
}

/// The rules of a container's addresses, all of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    chain: String,
    comment: String,
    subnets: BTreeSet<String>,
    sources: BTreeSet<String>,
    multicast: &'static str,
}

impl Rules {
    pub(super) fn new(network: &str, container: &str, addresses: &[IpNetwork]) -> Self {
        let four = addresses.iter().all(IpNetwork::is_ipv4);
        Self {
            chain: chain(network, container),
            comment: iptables_text::escaped(&iptables_text::comment("", network, container)),
            subnets: addresses.iter().map(|a| format!("{}/{}", a.network(), a.prefix())).collect(),
            sources: addresses.iter().map(|a| host(a.ip())).collect(),
            multicast: if four { "224.0.0.0/4" } else { "ff00::/8" },
        }
    }

    /// The chain.
    pub(super) fn chain(&self) -> &str {
        &self.chain
    }

    /// The lines of the chain and of POSTROUTING, in order.
    pub(super) fn lines(&self) -> Vec<String> {
        let (chain, comment) = (&self.chain, format!("-m comment --comment \"{}\"", self.comment));
        let mut lines: Vec<_> = self
            .subnets
            .iter()
            .map(|subnet| format!("-A {chain} -d {subnet} {comment} -j ACCEPT"))
            .collect();
        lines.push(format!("-A {chain} ! -d {} {comment} -j MASQUERADE", self.multicast));
        lines.extend(
            self.sources
                .iter()
                .map(|source| format!("-A POSTROUTING -s {source} {comment} -j {chain}")),
        );
        lines
    }

    /// What makes them where the chain is not there yet; it fails if it is.
    pub(super) fn creation(&self) -> String {
        let chain = format!("-N {}", self.chain);
        iptables_text::input(TABLE, [chain].into_iter().chain(self.lines()))
    }

    /// What makes them where the chain is there: an earlier ADD's that was killed, or another
    /// interface's of the container. Its addresses and subnets stay; nothing is there twice.
    pub(super) fn replacement(&self, save: &str) -> String {
        let mut all = self.clone();
        let accepted = format!("-A {} -d ", self.chain);
        for line in save.lines() {
            let subnet = line.strip_prefix(&accepted).and_then(|rest| rest.split(' ').next());
            all.subnets.extend(subnet.map(str::to_owned));
        }
        // Declaring a chain that is there empties it.
        let mut lines = vec![format!(":{} - [0:0]", self.chain)];
        let own = all.lines();
        let twice = save.lines().filter(|line| own.iter().any(|own| own == line));
        lines.extend(
            twice
                .filter_map(|line| line.strip_prefix("-A POSTROUTING "))
                .map(|rest| format!("-D POSTROUTING {rest}")),
        );
        lines.extend(own);
        iptables_text::input(TABLE, lines)
    }
}

/// The input that removes the jumps to this chain that are for one of the sources, or all without
/// any; and the chain with the last of them. `None` if there is nothing.
pub(super) fn removal(save: &str, chain: &str, sources: &[IpAddr]) -> Option<String> {
    let jump = (POSTROUTING, chain);
    iptables_text::removal(save, TABLE, jump, |line| is_of(line, sources))
}

/// Whether there is anything of the chain, itself or a jump to it.
pub(super) fn has_any(save: &str, chain: &str) -> bool {
    removal(save, chain, &[]).is_some()
}

/// Whether a jump's line is for one of the sources; any is without them.
pub(super) fn is_of(line: &str, sources: &[IpAddr]) -> bool {
    sources.is_empty() || sources.iter().any(|ip| line.contains(&format!(" -s {} ", host(*ip))))
}

/// The chain of the container that a comment names, if it is one of the network's and not alive.
pub(super) fn stale_chain(
    comment: &str,
    network: &str,
    lives: impl Fn(&str) -> bool,
) -> Option<String> {
    let (name, container) = iptables_text::parse_comment("", comment)?;
    (name == network && !lives(container)).then(|| chain(name, container))
}

fn host(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_input_is_that_of_the_reference() {
        let four = Rules::new("net", "c1", &addresses(&["10.88.0.2/16", "10.89.0.2/16"]));
        let six = Rules::new("net", "c1", &addresses(&["fd88::2/64"]));
        let text = format!("{}{}", four.creation(), six.creation());
        testsupport::golden::assert_matches("testdata/bridge/filter/masquerade.iptables", &text);
    }

    #[test]
    fn what_is_there_is_not_added_twice() {
        let rules = Rules::new("net", "c1", &addresses(&["10.88.0.2/16"]));
        let save = rules.creation();
        let again = rules.replacement(&save);
        let lines: Vec<_> = again.lines().collect();
        assert_eq!(lines[1], ":CNI-623e1c388032b20529218ecc - [0:0]");
        assert!(lines[2].starts_with("-D POSTROUTING -s 10.88.0.2/32 "), "{again}");
        assert_eq!(lines[3..], save.lines().collect::<Vec<_>>()[2..]);
    }

    #[test]
    fn another_interfaces_address_keeps_the_chain() {
        let both = Rules::new("net", "c1", &addresses(&["10.88.0.2/16", "10.88.0.3/16"]));
        let save = format!(":CNI-623e1c388032b20529218ecc - [0:0]\n{}", both.creation());
        let chain = chain("net", "c1");
        let one = removal(&save, &chain, &["10.88.0.2".parse().unwrap()]).unwrap();
        assert!(one.contains("-D POSTROUTING -s 10.88.0.2/32 ") && !one.contains("-X"), "{one}");
        let all = removal(&save, &chain, &[]).unwrap();
        assert!(all.contains("10.88.0.3/32") && all.contains(&format!("-X {chain}")), "{all}");
        assert_eq!(removal(&save, "CNI-0", &[]), None);
    }

    #[test]
    fn stale_is_what_names_the_network_and_no_living_container() {
        let save = ["net", "net2"].map(|network| {
            ["c1", "c2"].map(|id| Rules::new(network, id, &addresses(&["10.88.0.2/16"])).creation())
        });
        let comments = iptables_text::comments(&save.concat().concat());
        let stale = |comment: &String| stale_chain(comment, "net", |id| id == "c2");
        let stale: BTreeSet<_> = comments.iter().filter_map(stale).collect();
        assert_eq!(stale, BTreeSet::from([chain("net", "c1")]));
    }
}
