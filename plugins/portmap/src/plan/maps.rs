//! The maps and sets of table `inet causeway` that hold what is of single attachments.

use cni_common::names;
use cni_common::nft::{Field, IpVersion, KeyType, Set, Value};
use cni_common::packet_filter::table::INET as TABLE;
use cni_common::packet_filter::{ElementKey, Registry};
use cni_common::types::Attachment;

use super::conditional;

/// Both IP versions.
pub(super) const VERSIONS: [IpVersion; 2] = [IpVersion::V4, IpVersion::V6];

/// How many elements each attachment has in the other maps and sets.
pub fn attachments() -> Registry {
    let comment = "host interface of a container with mapped ports : how many elements it has";
    Registry::new(TABLE, "portmap/attachments", comment)
}

/// The paths of the containers' namespaces, as comments: with that its attachment ends.
pub fn namespaces() -> Set {
    Set::new("portmap/namespaces", &[KeyType::Ifname], "comments: the containers' namespaces")
}

/// The key of an attachment in [`namespaces`].
pub fn namespace_key(attachment: &Attachment) -> ElementKey {
    let key = vec![Value::Name(names::host_interface(attachment))];
    ElementKey { table: TABLE, set: namespaces(), key }
}

/// The links that lead to containers and have `route_localnet`; comments: who set it.
pub fn routed_links() -> Set {
    let comment = "links to containers with mapped ports that have route_localnet";
    Set::new("portmap/route-localnet", &[KeyType::Ifname], comment)
}

/// The key of a link in [`routed_links`].
pub fn routed_link_key(link: &str) -> ElementKey {
    let key = vec![Value::Name(link.to_owned())];
    ElementKey { table: TABLE, set: routed_links(), key }
}

/// The map of the ports at all addresses of the host.
pub(super) fn ports(version: IpVersion) -> Set {
    let key = [KeyType::Protocol, KeyType::Port];
    let name = format!("portmap/ports/{version}");
    Set::new(name, &key, "port of the host : container").to(&[address_type(version), KeyType::Port])
}

/// The map of the ports at one address of the host.
pub(super) fn addresses(version: IpVersion) -> Set {
    let key = [address_type(version), KeyType::Protocol, KeyType::Port];
    let name = format!("portmap/addresses/{version}");
    let comment = "address and port of the host : container";
    Set::new(name, &key, comment).to(&[address_type(version), KeyType::Port])
}

/// The maps of ports without conditions.
pub(super) fn plain() -> impl Iterator<Item = Set> {
    // The likeliest to hold something first.
    VERSIONS.into_iter().flat_map(|version| [ports(version), addresses(version)])
}

/// All maps of ports.
pub fn maps() -> impl Iterator<Item = Set> {
    let beside = plain().flat_map(|map| [conditional::targets(&map), conditional::chains(&map)]);
    plain().chain(beside)
}

/// The IP version of a map of ports.
pub(super) fn version_of(map: &Set) -> IpVersion {
    if map.data.contains(&KeyType::Ipv4) { IpVersion::V4 } else { IpVersion::V6 }
}

/// What of a packet is looked up in a map of ports.
pub(super) fn key_fields(map: &Set) -> Vec<Field> {
    let field = |key: &KeyType| match key {
        KeyType::Ipv4 => Some(Field::Ip4Destination),
        KeyType::Ipv6 => Some(Field::Ip6Destination),
        KeyType::Protocol => Some(Field::L4Protocol),
        KeyType::Port => Some(Field::DestinationPort),
        KeyType::Ether | KeyType::Ifname | KeyType::Mark | KeyType::Verdict => None,
    };
    map.key.iter().filter_map(field).collect()
}

/// Whether it is one of the maps of ports, whose elements only their owner may replace.
pub fn is_map_of_ports(set: &Set) -> bool {
    maps().any(|map| map.name == set.name)
}

/// The type of an address of this version.
pub(super) fn address_type(version: IpVersion) -> KeyType {
    destination(version).key_type()
}

/// A packet's destination.
pub(super) fn destination(version: IpVersion) -> Field {
    match version {
        IpVersion::V4 => Field::Ip4Destination,
        IpVersion::V6 => Field::Ip6Destination,
    }
}

/// A packet's source.
pub(super) fn source(version: IpVersion) -> Field {
    match version {
        IpVersion::V4 => Field::Ip4Source,
        IpVersion::V6 => Field::Ip6Source,
    }
}
