//! What the packet filter should hold for an attachment with mapped ports. Pure.
//!
//! Table `inet causeway`. For each IP version two maps lead from a port of the host to a container's
//! address and port: one with the host's address in its key, which is asked first, and one without.
//! Four rules look into them, however many ports are mapped. Whoever is on the container's own
//! subnet would be answered past the host, where nobody translates back: so for every (network,
//! subnet) a set of the containers' addresses and a chain that masquerades what comes from there.
//! What containers with conditions have instead is in `conditional`.

pub mod conditional;
mod maps;
mod place;
mod shared;

use std::collections::BTreeSet;
use std::path::Path;

use cni_common::names;
use cni_common::nft::{Element, IpVersion, MAX_COMMENT, Rule, Set, Value};
use cni_common::packet_filter::table::INET as TABLE;
use cni_common::packet_filter::{Wanted, owner};
use cni_common::types::{Attachment, NetworkName};
use ipnetwork::IpNetwork;

use crate::config::{Config, Snat};
use crate::mapping::Mapping;
use crate::target::Targets;

pub use self::maps::{
    attachments, is_map_of_ports, maps, namespace_key, namespaces, routed_link_key, routed_links,
};
pub use self::place::Place;
pub use self::shared::{LOCALNET, REDIRECT, redirect_rules, shared_chains, shared_units};

/// The places whose sets the attachment's addresses belong in.
pub fn places(attachment: &Attachment, config: &Config, targets: &Targets) -> BTreeSet<Place> {
    let mapped = targets.iter().filter(|(version, _)| is_mapped(config, *version));
    mapped.filter_map(|(_, target)| place(&attachment.network, config.snat, target)).collect()
}

fn place(network: &NetworkName, snat: Snat, target: IpNetwork) -> Option<Place> {
    let sources = match snat {
        Snat::Nobody => return None,
        Snat::Needed => target,
        Snat::Everybody => IpNetwork::new(target.ip(), 0).ok()?,
    };
    Some(Place::of(network, sources))
}

/// Whether any port is mapped at addresses of this version.
pub fn is_mapped(config: &Config, version: IpVersion) -> bool {
    config.mappings.iter().any(|mapping| mapping.host.has(version))
}

/// Whether any port is mapped at an address that the container has.
pub fn is_any_mapped(config: &Config, targets: &Targets) -> bool {
    targets.iter().any(|(version, _)| is_mapped(config, version))
}

/// The attachment's elements, without those that say that there are some.
pub fn elements(
    attachment: &Attachment,
    config: &Config,
    targets: &Targets,
) -> Vec<(Set, Element)> {
    let comment = owner::comment(attachment);
    let port = names::host_interface(attachment);
    let mut elements = Vec::new();
    for (version, target) in targets.iter() {
        let mapped = config.mappings.iter().filter(|mapping| mapping.host.has(version));
        let mapped = mapped.map(|mapping| port_element(mapping, target, &comment));
        match config.nftables.of(version).is_empty() {
            true => elements.extend(mapped),
            false => elements.extend(mapped.flat_map(|one| conditional::elements(one, &port))),
        }
        let place = place(&attachment.network, config.snat, target);
        if let Some(place) = place.filter(|_| is_mapped(config, version)) {
            let element = Element::new(vec![Value::Ip(target.ip())], comment.clone());
            elements.push((place.set(), element));
        }
    }
    elements
}

fn port_element(mapping: &Mapping, target: IpNetwork, comment: &str) -> (Set, Element) {
    let version = crate::mapping::version_of(target.ip());
    let mut key = Vec::from_iter(mapping.host.one().map(Value::Ip));
    let map = if key.is_empty() { maps::ports(version) } else { maps::addresses(version) };
    key.extend([Value::Protocol(mapping.protocol.number()), Value::Port(mapping.host_port)]);
    let data = vec![Value::Ip(target.ip()), Value::Port(mapping.container_port)];
    (map, Element::new(key, comment).with_data(data))
}

/// The attachment's chains, which look at its conditions.
pub fn own_chains(
    attachment: &Attachment,
    config: &Config,
    targets: &Targets,
) -> Vec<(String, Vec<Rule>)> {
    let port = names::host_interface(attachment);
    let mut chains = Vec::new();
    for (version, _) in targets.iter() {
        let conditions = config.nftables.of(version);
        if conditions.is_empty() {
            continue;
        }
        let hosts = || config.mappings.iter().map(|mapping| mapping.host);
        let of_version = || hosts().filter(|host| host.has(version));
        if of_version().any(|host| host.one().is_some()) {
            chains.push(conditional::own_chain(&maps::addresses(version), &port, conditions));
        }
        if of_version().any(|host| host.one().is_none()) {
            chains.push(conditional::own_chain(&maps::ports(version), &port, conditions));
        }
    }
    chains
}

/// All that is to be there for the attachment. `netns` is the path of the container's namespace.
pub fn wanted(
    attachment: &Attachment,
    (config, targets): (&Config, &Targets),
    netns: &Path,
) -> Wanted {
    let mut base = shared::shared_base();
    base.extend(places(attachment, config, targets).iter().flat_map(Place::base));
    let own_chains = own_chains(attachment, config, targets);
    if !own_chains.is_empty() {
        base.extend(conditional::base());
    }
    let comment = owner::comment(attachment);
    base.extend(own_chains.into_iter().flat_map(|one| conditional::own_base(one, &comment)));
    let own = elements(attachment, config, targets);
    let port = names::host_interface(attachment);
    let registry = attachments();
    let registration = registry.element(&port, own.len(), &owner::comment(attachment));
    let mut elements = vec![(TABLE, registry.set().clone(), registration)];
    elements.extend(namespace_element(&port, netns).map(|one| (TABLE, namespaces(), one)));
    elements.extend(own.into_iter().map(|(set, element)| (TABLE, set, element)));
    Wanted { base, elements }
}

/// The element that names the namespace; none for a path that is no comment.
fn namespace_element(port: &str, netns: &Path) -> Option<Element> {
    let path = netns.to_str().filter(|path| is_plain_path(path))?;
    Some(Element::new(vec![Value::Name(port.to_owned())], path))
}

/// Whether the path can stand in a comment.
pub fn is_plain_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    path.len() <= MAX_COMMENT && path.starts_with('/') && path.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use cni_common::spec::{CniResult, Ip, NetworkConfig, Object, Version};

    use super::*;

    fn plan(keys: &str) -> String {
        let text = format!(r#"{{"cniVersion":"1.1.0","name":"podman"{keys}}}"#);
        let config = Object::parse(&text, "test").unwrap();
        let config = Config::parse(&NetworkConfig::parse(config, &Version::ALL).unwrap()).unwrap();
        let ip = |address: &str| Ip {
            interface: None,
            address: address.parse().unwrap(),
            gateway: None,
        };
        let ips = vec![ip("10.88.0.5/16"), ip("fd88::5/64")];
        let result = CniResult { ips, ..CniResult::default() };
        let attachment = Attachment {
            network: "podman".parse().unwrap(),
            container: "3b1c0ffee5".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let targets = Targets::of(&result, &attachment.ifname);
        let netns = Path::new("/run/netns/blue");
        let operations = wanted(&attachment, (&config, &targets), netns).operations();
        operations.iter().map(|operation| format!("{operation}\n")).collect()
    }

    const MAPPINGS: &str = r#","runtimeConfig":{"portMappings":[
        {"hostPort":8080,"containerPort":80,"protocol":"tcp"},
        {"hostPort":53,"containerPort":5353,"protocol":"udp","hostIP":"192.0.2.1"},
        {"hostPort":9,"containerPort":9,"protocol":"sctp","hostIP":"::"}]}"#;

    #[test]
    fn the_transaction_reads_as_nft_lines() {
        testsupport::golden::assert_matches("testdata/portmap/ports.nft", &plan(MAPPINGS));
    }

    #[test]
    fn snat_decides_who_is_masqueraded() {
        let none = plan(&format!(r#"{MAPPINGS},"snat":false"#));
        assert!(!none.contains("masquerade"), "{none}");
        let all = plan(&format!(r#"{MAPPINGS},"masqAll":true"#));
        assert!(all.contains("ct status dnat ip daddr @portmap/snat/podman/0.0.0.0/0 masquerade"));
    }

    #[test]
    fn a_name_leads_back_to_its_place_only() {
        let network: NetworkName = "podman".parse().unwrap();
        for address in ["10.88.0.5/16", "fd00::5/64", "::/0"] {
            let place = Place::of(&network, address.parse().unwrap());
            assert_eq!(Place::named(&network, &place.name()), Some(place));
        }
        assert_eq!(Place::named(&network, "portmap/snat/podman2/10.88.0.0/16"), None);
    }
}
