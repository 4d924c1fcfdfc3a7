//! `causeway ls`: every attachment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use cni_common::Result;
use ipnetwork::IpNetwork;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::attachments::{Attached, Attachments, Key, Limits, State};
use crate::exit::Exit;
use crate::networks::{Network, Networks, Places};
use crate::output::{Colour, Output, Table, distinct};

/// The listing, as JSON has it.
#[derive(Serialize)]
struct Listing {
    networks: Vec<ListedNetwork>,
}

#[derive(Serialize)]
struct ListedNetwork {
    name: String,
    /// The file of its list.
    list: Option<String>,
    bridge: Option<String>,
    /// As `docker network inspect` has it: by container.
    #[serde(rename = "Containers")]
    containers: BTreeMap<String, DockerContainer>,
    attachments: Vec<Listed>,
}

/// What Docker's users know.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerContainer {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

/// An attachment, as JSON has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    pub(crate) state: &'static str,
    /// What proves the state, where it is not seen.
    pub(crate) reason: Option<String>,
    pub(crate) container: String,
    pub(crate) interface: String,
    pub(crate) pod: Option<String>,
    netns: Option<String>,
    pub(crate) addresses: Vec<String>,
    mac: Option<String>,
    mtu: Option<u32>,
    pub(crate) host_interface: Option<String>,
    pub(crate) bridge: Option<String>,
    pub(crate) ports: Vec<ListedPort>,
    rules: Vec<&'static str>,
    /// Bits a second, as its runtime asked for them.
    rates: Option<Map<String, Value>>,
    /// What limits its traffic, as the kernel has it.
    limits: Limits,
    /// Seconds since 1970.
    since: Option<u64>,
    /// Whether this suite made it.
    causeway: bool,
}

/// A published port, as JSON has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedPort {
    #[serde(rename = "hostIP")]
    host_ip: Option<IpAddr>,
    host_port: u16,
    container_ip: IpAddr,
    container_port: u16,
    protocol: String,
    #[serde(skip)]
    shown: String,
}

impl fmt::Display for ListedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Lists them.
pub(crate) fn ls(places: &Places, network: Option<&str>, output: Output) -> Result<Exit> {
    let mut networks = Networks::read(places)?;
    let attachments = Attachments::read(places, &mut networks)?;
    let networks = networks.only(network)?;
    let listed = |network: &Network| listed_network(network, &attachments);
    let listing = Listing { networks: networks.all.values().map(listed).collect() };
    let exit = attachments.complain(network);
    output.show(&listing, || text(&networks, &attachments, output))?;
    Ok(exit)
}

fn listed_network(network: &Network, attachments: &Attachments) -> ListedNetwork {
    let name = network.name.as_str();
    let mut containers = BTreeMap::new();
    for (key, attached) in attachments.of(name).filter(|(key, _)| !key.container.is_empty()) {
        // Of a container with several interfaces the first: Docker has one.
        containers.entry(key.container.clone()).or_insert_with(|| docker(key, attached, network));
    }
    let listed = |(key, attached)| listed(key, attached, (network, attachments));
    ListedNetwork {
        name: name.to_owned(),
        list: network.list.as_ref().map(|(path, _)| path.display().to_string()),
        bridge: network.bridge_name().map(str::to_owned),
        containers,
        attachments: attachments.of(name).map(listed).collect(),
    }
}

fn docker(key: &Key, attached: &Attached, network: &Network) -> DockerContainer {
    let addresses = addresses(attached, network);
    let first = |is: fn(&IpNetwork) -> bool| {
        addresses.iter().find(|one| is(one)).map(ToString::to_string).unwrap_or_default()
    };
    DockerContainer {
        name: attached.pod.clone().unwrap_or_else(|| key.container.clone()),
        endpoint_id: attached.host_name().unwrap_or_default().to_owned(),
        mac_address: mac(attached).unwrap_or_default(),
        ipv4_address: first(IpNetwork::is_ipv4),
        ipv6_address: first(IpNetwork::is_ipv6),
    }
}

/// What is told of an attachment.
pub(crate) fn listed(
    key: &Key,
    attached: &Attached,
    (network, attachments): (&Network, &Attachments),
) -> Listed {
    let ports = attached.ports.iter().map(|port| ListedPort {
        host_ip: port.host_ip,
        host_port: port.host_port,
        container_ip: port.container_ip,
        container_port: port.container_port,
        protocol: port.protocol.clone(),
        shown: port.to_string(),
    });
    Listed {
        state: attached.state.word(),
        reason: attached.why.as_ref().map(ToString::to_string),
        container: key.container.clone(),
        interface: key.ifname.clone(),
        pod: attached.pod.clone(),
        netns: attached.netns.clone(),
        addresses: addresses(attached, network).iter().map(ToString::to_string).collect(),
        mac: mac(attached),
        mtu: attached.inside.as_ref().map(|inside| inside.mtu),
        host_interface: attached.host_name().map(str::to_owned),
        bridge: bridge(attached, attachments).map(str::to_owned),
        ports: ports.collect(),
        rules: attached.rules.iter().map(|rules| rules.word()).collect(),
        rates: rates(attached).cloned(),
        limits: attached.limits,
        since: attached.since().and_then(seconds),
        causeway: attached.is_ours,
    }
}

/// Its addresses, with the prefix of the range where that is all that is known.
fn addresses(attached: &Attached, network: &Network) -> Vec<IpNetwork> {
    let sets = network.ranges.iter().flat_map(|config| &config.sets);
    let ranges: Vec<_> = sets.flat_map(|set| set.ranges()).collect();
    let with_prefix = |address: IpNetwork| {
        let is_whole = address.prefix() == if address.is_ipv4() { 32 } else { 128 };
        let range = ranges.iter().find(|range| is_whole && range.subnet.contains(address.ip()));
        let widened =
            range.and_then(|range| IpNetwork::new(address.ip(), range.subnet.prefix()).ok());
        widened.unwrap_or(address)
    };
    attached.addresses().into_iter().map(with_prefix).collect()
}

fn mac(attached: &Attached) -> Option<String> {
    Some(attached.inside.as_ref()?.mac?.to_string())
}

fn bridge<'a>(attached: &Attached, attachments: &'a Attachments) -> Option<&'a str> {
    attachments.bridge(attached.host.as_ref()?.master)
}

/// What its runtime asked of `bandwidth`.
fn rates(attached: &Attached) -> Option<&Map<String, Value>> {
    let arguments = &attached.cached.as_ref()?.attachment.capability_args;
    arguments.get("bandwidth")?.as_object()
}

fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

fn text(networks: &Networks, attachments: &Attachments, output: Output) -> String {
    let mut table = Table::new(&[
        "NETWORK",
        "CONTAINER",
        "INTERFACE",
        "ADDRESSES",
        "MAC",
        "HOST END",
        "BRIDGE",
        "PORTS",
        "RATES",
        "AGE",
        "STATE",
    ]);
    for network in networks.all.values() {
        for (key, attached) in attachments.of(network.name.as_str()) {
            table.line(line(key, attached, (network, attachments)));
        }
    }
    table.text(output)
}

fn line(
    key: &Key,
    attached: &Attached,
    (network, attachments): (&Network, &Attachments),
) -> Vec<(Colour, String)> {
    let joined = |texts: Vec<String>| texts.join(",");
    let container = match &attached.pod {
        Some(pod) => format!("{} ({pod})", short(&key.container)),
        None => short(&key.container).to_owned(),
    };
    let host = attached.host_name().unwrap_or_default().to_owned();
    let plain = |text: String| (Colour::Plain, text);
    vec![
        plain(key.network.clone()),
        plain(container),
        plain(key.ifname.clone()),
        plain(joined(addresses(attached, network).iter().map(ToString::to_string).collect())),
        plain(mac(attached).unwrap_or_default()),
        plain(host),
        plain(bridge(attached, attachments).unwrap_or_default().to_owned()),
        plain(joined(distinct(&attached.ports))),
        plain(attached.limits.to_string()),
        plain(attached.since().map(age).unwrap_or_default()),
        (colour(attached.state), attached.state.word().to_owned()),
    ]
}

/// The colour of a state.
pub(crate) fn colour(state: State) -> Colour {
    match state {
        State::Alive => Colour::Good,
        State::Busy => Colour::Faint,
        State::OnlyLease | State::OnlyLink | State::OnlyRules => Colour::Warning,
        State::Gone | State::Unfinished => Colour::Bad,
    }
}

/// As much of a container's ID as people look at: the IDs of runtimes are 64 hexadecimal digits.
pub(crate) fn short(container: &str) -> &str {
    let is_digest = container.len() == 64 && container.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { container.get(..12).unwrap_or(container) } else { container }
}

fn age(since: SystemTime) -> String {
    let age = SystemTime::now().duration_since(since).unwrap_or(Duration::ZERO).as_secs();
    match age {
        0..120 => format!("{age}s"),
        120..7_200 => format!("{}m", age / 60),
        7_200..172_800 => format!("{}h", age / 3_600),
        _ => format!("{}d", age / 86_400),
    }
}
