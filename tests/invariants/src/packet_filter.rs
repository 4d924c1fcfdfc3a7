//! What the plugins read that work on the packet filter alone: the configurations of `portmap` and
//! `firewall`, what is planned by them, and iptables' own text.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use causeway_firewall::config::{Config as FirewallConfig, IngressPolicy};
use causeway_firewall::plan as firewall_plan;
use causeway_firewall::subject::Subject;
use causeway_firewall::text::{self, Wanted};
use causeway_portmap::config::Config as PortmapConfig;
use causeway_portmap::holder;
use causeway_portmap::plan::{self, Place};
use causeway_portmap::target::Targets;
use causeway_portmap::text as portmap_text;
use cni_common::packet_filter::iptables_text;
use cni_common::spec::CniResult;
use cni_common::types::{Attachment, parse_ip};
use ipnetwork::IpNetwork;

use super::configuration::{REFUSALS, network};
use super::{halves, is_sound};

fn attachment() -> Attachment {
    Attachment {
        network: "net".parse().expect("a network's name"),
        container: "c1".parse().expect("a container ID"),
        ifname: "eth0".parse().expect("an interface's name"),
    }
}

/// `prevResult`; an empty result where it is none.
fn previous(text: &str) -> CniResult {
    match network(text).and_then(|network| network.prev_result()) {
        Ok(result) => result.unwrap_or_default(),
        Err(error) => {
            is_sound(&error, &REFUSALS);
            CniResult::default()
        }
    }
}

/// The configuration of `portmap` with its `prevResult`, and after a NUL the name of a set of some
/// network's.
pub fn config_portmap(data: &[u8]) {
    let Some((text, set)) = halves(data) else { return };
    let attachment = attachment();
    if let Some(place) = Place::named(&attachment.network, set) {
        assert_eq!(place.set().name, set);
    }
    let Ok(network) = network(text) else { return };
    let config = match PortmapConfig::parse(&network) {
        Ok(config) => config,
        Err(error) => return is_sound(&error, &REFUSALS),
    };
    assert!(config.mappings.iter().all(|one| one.host_port > 0 && one.container_port > 0));
    let targets = Targets::of(&previous(text), &attachment.ifname);
    let elements = plan::elements(&attachment, &config, &targets);
    // Nothing is there twice: the number of elements is how DEL knows that it has found all.
    let keys: BTreeSet<String> =
        elements.iter().map(|(set, element)| format!("{} {:?}", set.name, element.key)).collect();
    assert_eq!(keys.len(), elements.len(), "{elements:?}");
    for (_, target) in targets.iter() {
        let wanted = portmap_text::Wanted::new(&attachment, (&config, target), Path::new(set));
        are_lines(&wanted.changes(""), "");
        // What ADD makes is found by its own comment, whatever the conditions say.
        let chain = wanted.chain("");
        let owner = portmap_text::Owner::of_chain(&wanted.changes("").join("\n"), &chain);
        assert_eq!(owner, Some(portmap_text::Owner::of(&attachment, Path::new(set))));
    }
    let wanted = plan::wanted(&attachment, (&config, &targets), Path::new(set));
    assert!(wanted.operations().iter().all(|operation| !operation.to_string().is_empty()));
}

/// The configuration of `firewall` with its `prevResult`.
pub fn config_firewall(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(network) = network(text) else { return };
    let config = match FirewallConfig::parse(&network) {
        Ok(config) => config,
        Err(error) => return is_sound(&error, &REFUSALS),
    };
    assert_eq!(config.mark.count_ones(), 1);
    // It goes into the text that iptables-restore reads.
    assert!((1..=28).contains(&config.admin_chain.len()), "{:?}", config.admin_chain);
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"'\\!".contains(c);
    assert!(config.admin_chain.chars().all(is_plain), "{:?}", config.admin_chain);
    let subject = Subject::with(&attachment(), &previous(text));
    if let Err(error) = subject.require_bridge(config.policy) {
        return is_sound(&error, &REFUSALS);
    }
    let wanted = firewall_plan::wanted(&subject, &config);
    let keys: BTreeSet<String> = wanted
        .elements
        .iter()
        .map(|(table, set, element)| format!("{table} {} {:?}", set.name, element.key))
        .collect();
    assert_eq!(keys.len(), wanted.elements.len(), "{:?}", wanted.elements);
    assert!(wanted.operations().iter().all(|operation| !operation.to_string().is_empty()));
}

/// What `iptables-save` printed, and after a NUL words: a chain's name, a comment, or an address each.
pub fn iptables_save(data: &[u8]) {
    let Some((save, words)) = halves(data) else { return };
    for comment in iptables_text::comments(save) {
        if let Some((network, container)) = iptables_text::parse_comment("", &comment) {
            assert_eq!(iptables_text::comment("", network, container), comment);
        }
    }
    let addresses: Vec<IpAddr> = words.split_whitespace().filter_map(parse_ip).collect();
    for word in words.split_whitespace() {
        let removal = iptables_text::removal(save, "nat", ("POSTROUTING", word), |_all| true);
        removal.iter().for_each(|input| is_input(input, "nat", save));
        are_lines(&portmap_text::removal(save, portmap_text::DNAT, word), save);
    }
    host_ports(save, &addresses);
    let removal = text::removal(save, &addresses);
    removal.iter().for_each(|input| is_input(input, text::TABLE, save));
    for policy in [IngressPolicy::Open, IngressPolicy::SameBridge, IngressPolicy::Isolated] {
        let wanted = Wanted {
            admin: "CNI-ADMIN",
            rules: addresses.iter().flat_map(|ip| text::pair(*ip)).collect(),
            policy: (policy != IngressPolicy::Open).then_some(("cni0", policy)),
        };
        let changes = wanted.changes(save);
        // CHECK finds nothing where ADD would do nothing.
        assert!(!changes.is_empty() || wanted.faults(save).is_empty(), "{save}");
    }
}

/// What `portmap` does where the table holds that.
fn host_ports(save: &str, addresses: &[IpAddr]) {
    let text = r#"{"cniVersion":"1.0.0","name":"net","type":"portmap","runtimeConfig":{"portMappings":[
        {"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}}"#;
    let network = network(text).expect("a configuration");
    let config = PortmapConfig::parse(&network).expect("a valid configuration");
    let attachment = attachment();
    for ip in addresses {
        let target = IpNetwork::from(*ip);
        let wanted = portmap_text::Wanted::new(&attachment, (&config, target), Path::new("/n"));
        are_lines(&wanted.changes(save), save);
        let holders = holder::holders(save);
        for held in holder::held(save, &wanted) {
            assert!(holders.contains(&held.holder) && held.holder.chain != wanted.chain(save));
        }
    }
}

/// Whether each is one line that `iptables-restore` reads, and none removes a rule that is not there.
#[track_caller]
fn are_lines(lines: &[String], save: &str) {
    for line in lines {
        assert!(!line.contains(['\n', '\0']), "{line:?}");
        let is_known =
            ["-N ", "-F ", "-X ", "-A ", "-I ", "-D "].iter().any(|o| line.starts_with(o));
        assert!(is_known, "{line:?}");
        let there = line.strip_prefix("-D ").map(|rule| format!("-A {rule}"));
        let is_there = |there: &String| save.lines().any(|line| line == there);
        assert!(there.as_ref().is_none_or(is_there), "{line:?} is not in:\n{save}");
        // A comment of others may have one, and is given back as it was read.
        assert!(there.is_some() || !line.contains('\r'), "{line:?}");
    }
}

/// Whether it is one table's changes, and removes nothing that is not there.
#[track_caller]
fn is_input(input: &str, table: &str, save: &str) {
    assert!(input.starts_with(&format!("*{table}\n")) && input.ends_with("COMMIT\n"), "{input}");
    for rule in input.lines().filter_map(|line| line.strip_prefix("-D ")) {
        let there = format!("-A {rule}");
        assert!(save.lines().any(|line| line == there), "{there:?} is not in:\n{save}");
    }
}
