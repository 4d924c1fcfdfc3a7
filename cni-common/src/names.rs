//! The names of links and their aliases, out of what DEL and GC know: made here, and read back here. Pure.

pub mod ifb;

use crate::types::{Attachment, IfName, Mac, PoolRecord, VlanId, hash};
use crate::{Code, Error, Result};

/// Digits of a hash in a name: with `veth` in front, as many as an interface name holds.
const DIGITS: usize = 11;
/// What stands before them.
const PREFIX: &str = "veth";
/// The first octets of the Ethernet address of a bridge that was made while the record of a pool ran.
const RECORDED: [u8; 2] = [0xca, 0x5e];
/// What an alias holds at most: `IFALIASZ` is 256, but a kernel counts the NUL that the message ends
/// with among the 255 it takes (seen in 6.18), and says ERANGE.
const MAX_ALIAS: usize = 254;
/// What stands behind the alias of a pair whose ADD has not come to its end.
const UNFINISHED: &str = " (being attached)";
/// What stands between an attachment and its pod.
const POD: &str = " pod ";

/// The name of an attachment's host interface.
pub fn host_interface(attachment: &Attachment) -> String {
    hashed(&attachment.to_string())
}

/// The names of a bridge's VLAN gateway interface and of its port.
pub fn vlan_gateway(bridge: &IfName, vlan: VlanId) -> Result<(String, String)> {
    let name = format!("{bridge}.{vlan}");
    name.parse::<IfName>().map_err(|error| {
        let message = format!("name of the VLAN gateway interface {name:?}: {}", error.message());
        Error::new(Code::InvalidConfig, message)
            .with_details(format!("\"bridge\": {:?}, \"vlan\": {vlan}", bridge.as_str()))
    })?;
    let port = hashed(&name);
    Ok((name, port))
}

/// The Ethernet address of a bridge in the namespace of inode `netns`, made while `record` ran: as long as it
/// has this address, nobody on it can remember an address that the pool gave before the record began.
pub fn recorded_bridge_mac(record: PoolRecord, bridge: &IfName, netns: u64) -> Mac {
    let text = format!("{:x} {bridge} {netns}", record.number());
    let digits = hash::sha256(&text, 8);
    let number = u32::from_str_radix(&digits, 16).unwrap_or_default();
    let [a, b] = RECORDED;
    let [c, d, e, f] = number.to_be_bytes();
    Mac::new([a, b, c, d, e, f])
}

/// Whether an Ethernet address is that of a bridge made while the record of some pool ran.
pub fn is_recorded_bridge(mac: Mac) -> bool {
    let [a, b, ..] = mac.octets();
    [a, b] == RECORDED
}

/// The number of an attachment's lock: the digits of its host interface, 44 bits.
pub fn lock_offset(attachment: &Attachment) -> i64 {
    i64::from_str_radix(&digits(&attachment.to_string()), 16).unwrap_or_default()
}

fn hashed(text: &str) -> String {
    format!("{PREFIX}{}", digits(text))
}

fn digits(text: &str) -> String {
    hash::sha256(text, DIGITS)
}

/// What an administrator reads on the host interface: `<network>/<container>/<ifname>`, and the
/// Kubernetes pod if there is one.
pub fn alias(attachment: &Attachment, pod: Option<&str>) -> String {
    let text = match pod {
        Some(pod) => format!("{attachment}{POD}{pod}"),
        None => attachment.to_string(),
    };
    cut(text, MAX_ALIAS)
}

/// The alias while the ADD still runs. One that finds it knows that another was killed.
pub fn unfinished_alias(attachment: &Attachment) -> String {
    let text = cut(attachment.to_string(), MAX_ALIAS - UNFINISHED.len());
    format!("{text}{UNFINISHED}")
}

/// Whether the alias says that the ADD that wrote it did not come to its end. One without any was
/// cut down before it could write it.
pub fn is_unfinished(alias: &str) -> bool {
    alias.is_empty() || alias.ends_with(UNFINISHED)
}

/// Whether a link is the host interface of some attachment, and says of which.
pub fn is_host_interface(name: &str, alias: &str) -> bool {
    is_derived(name) && alias.contains('/')
}

/// Whether a link is the host interface of an attachment whose ADD has not come to its end.
pub fn is_being_attached(name: &str, alias: &str) -> bool {
    is_derived(name) && is_unfinished(alias)
}

/// Whether a link is called like host interfaces and the ports of VLAN gateway interfaces are.
pub fn is_derived(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether a link is the host interface of some attachment of this network.
pub fn is_host_interface_of(network: &str, name: &str, alias: &str) -> bool {
    let prefix = cut(format!("{network}/"), MAX_ALIAS - UNFINISHED.len());
    is_host_interface(name, alias) && alias.starts_with(&prefix)
}

/// The attachment that a host interface is of. `None` for any other link, and where the alias could
/// not hold all of a long container ID.
pub fn attachment_of(name: &str, alias: &str) -> Option<Attachment> {
    // A pod, or that it is unfinished, stands behind a space; no name or ID holds one.
    let mut parts = alias.split(' ').next()?.split('/');
    let attachment = Attachment {
        network: parts.next()?.parse().ok()?,
        container: parts.next()?.parse().ok()?,
        ifname: parts.next()?.parse().ok()?,
    };
    (host_interface(&attachment) == name).then_some(attachment)
}

/// The Kubernetes pod that an alias names: `<namespace>/<name>`.
pub fn pod_of(alias: &str) -> Option<&str> {
    let (_attachment, pod) = alias.split_once(POD)?;
    (!pod.is_empty()).then_some(pod)
}

/// Cuts ASCII text; names and IDs hold nothing else, a pod's name may.
fn cut(mut text: String, longest: usize) -> String {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(container: &str) -> Attachment {
        Attachment {
            network: "net".parse().unwrap(),
            container: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        }
    }

    #[test]
    fn a_host_interface_is_named_after_network_container_and_ifname() {
        // printf net/c1/eth0 | sha256sum
        let name = host_interface(&attachment("c1"));
        assert_eq!(name, "veth6e5fcbeeefc");
        assert!(name.parse::<IfName>().is_ok());
        assert_ne!(host_interface(&attachment("c2")), name);
        assert_eq!(lock_offset(&attachment("c1")), 0x6e5fcbeeefc);
    }

    #[test]
    fn an_alias_fits_whatever_the_id() {
        let long = attachment(&"x".repeat(500));
        assert_eq!(alias(&long, Some("a/b")).len(), 254);
        assert_eq!(unfinished_alias(&long).len(), 254);
        assert!(is_unfinished(&unfinished_alias(&long)) && !is_unfinished(&alias(&long, None)));
        assert_eq!(alias(&attachment("c1"), Some("shop/web-0")), "net/c1/eth0 pod shop/web-0");
        assert_eq!(pod_of("net/c1/eth0 pod shop/web-0"), Some("shop/web-0"));
        assert_eq!(pod_of(&unfinished_alias(&attachment("c1"))), None);
        assert!(is_host_interface_of("net", &host_interface(&long), &unfinished_alias(&long)));
    }

    #[test]
    fn only_links_named_and_marked_by_us_are_a_networks() {
        let name = host_interface(&attachment("c1"));
        let of = |network, name, alias| is_host_interface_of(network, name, alias);
        assert!(of("net", &name, "net/c1/eth0"));
        assert!(!of("ne", &name, "net/c1/eth0"));
        assert!(!of("net", "vethABCDEF01234", "net/c1/eth0"));
        assert!(!of("net", "veth0", "net/c1/eth0"));
        assert!(!of("net", &name, ""));
    }

    #[test]
    fn an_attachment_is_read_back_from_its_host_interface() {
        let made = attachment("c1");
        let name = host_interface(&made);
        for alias in [alias(&made, None), alias(&made, Some("a/b")), unfinished_alias(&made)] {
            assert_eq!(attachment_of(&name, &alias), Some(made.clone()), "{alias}");
        }
        assert_eq!(attachment_of("veth0", &alias(&made, None)), None, "another link's alias");
        assert_eq!(attachment_of(&name, ""), None);
        let long = attachment(&"x".repeat(500));
        assert_eq!(attachment_of(&host_interface(&long), &alias(&long, None)), None);
    }

    #[test]
    fn a_vlan_gateway_needs_a_name_that_fits() {
        let bridge: IfName = "cni0".parse().unwrap();
        let (name, port) = vlan_gateway(&bridge, VlanId::new(100).unwrap()).unwrap();
        assert_eq!(name, "cni0.100");
        assert!(port.starts_with("veth"));
        let long: IfName = "a-long-bridge".parse().unwrap();
        let error = vlan_gateway(&long, VlanId::new(100).unwrap()).unwrap_err();
        assert!(error.is(Code::InvalidConfig) && error.message().contains("a-long-bridge.100"));
    }
}
