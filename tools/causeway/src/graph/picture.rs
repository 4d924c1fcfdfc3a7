//! What is drawn, and what JSON has of it. Pure.

use std::collections::BTreeMap;

use causeway_bridge::config::Gateway;
use ipnetwork::IpNetwork;
use serde::Serialize;

use crate::attachments::{Attached, Attachments, Key, Limits, Rules, State};
use crate::check::MAX_PORTS;
use crate::ls::{self, Listed};
use crate::networks::{Network, Networks};

/// All bridges of the networks; behind them, without a name, what is on none.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Picture {
    pub(crate) bridges: Vec<Bridge>,
}

/// A bridge, and what hangs on it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bridge {
    /// Its name; `None` for what is on no bridge.
    pub(crate) name: Option<String>,
    /// Whether it is up; `None` if it is not there.
    pub(crate) up: Option<bool>,
    pub(crate) mac: Option<String>,
    /// Pairs that are ports of it, and how many it may have.
    pub(crate) ports: usize,
    pub(crate) max_ports: usize,
    pub(crate) networks: Vec<Part>,
    pub(crate) attachments: Vec<Drawn>,
}

/// A network on a bridge, as its list has it.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// The addresses of the gateway, if the host is that.
    pub(crate) gateways: Vec<String>,
    pub(crate) vlan: Option<u16>,
    /// VLANs that pass with their tag: `7` or `10-20`.
    pub(crate) trunk: Vec<String>,
    pub(crate) masquerade: bool,
}

/// An attachment: what `ls` has, and how it hangs there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drawn {
    pub(crate) network: String,
    #[serde(flatten)]
    pub(crate) listed: Listed,
    /// Whether its host interface is a port of the bridge.
    pub(crate) is_port: bool,
    /// Whether its addresses are masqueraded.
    pub(crate) is_masqueraded: bool,
    /// Whether it is proved that nobody needs it any more.
    pub(crate) is_dead: bool,
    pub(crate) vlan: Option<u16>,
    pub(crate) trunk: Vec<String>,
    #[serde(skip)]
    pub(crate) state: State,
    #[serde(skip)]
    limits: Limits,
}

impl Picture {
    /// The picture of these networks.
    pub(crate) fn of(networks: &Networks, attachments: &Attachments) -> Self {
        let mut bridges = Bridges::new();
        for network in networks.all.values() {
            let name = network.bridge_name();
            let known: Vec<_> = attachments.of(network.name.as_str()).collect();
            // A network without a bridge that nobody is attached to has nothing to show.
            if name.is_some() || !known.is_empty() {
                let bridge = entry(&mut bridges, name, attachments);
                bridge.networks.push(part(network));
            }
            for (key, attached) in known {
                let port = attachments.bridge(attached.host.as_ref().and_then(|link| link.master));
                let bridge = entry(&mut bridges, port.or(name), attachments);
                bridge.attachments.push(drawn(key, attached, (network, attachments)));
            }
        }
        Self { bridges: bridges.into_values().collect() }
    }

    /// How many attachments there are, and how many of them are dead.
    pub(crate) fn count(&self) -> (usize, usize) {
        let all = || self.bridges.iter().flat_map(|bridge| &bridge.attachments);
        (all().count(), all().filter(|one| one.is_dead).count())
    }
}

/// Those without a name come last.
type Bridges = BTreeMap<(bool, Option<String>), Bridge>;

fn entry<'a>(
    bridges: &'a mut Bridges,
    name: Option<&str>,
    attachments: &Attachments,
) -> &'a mut Bridge {
    let key = (name.is_none(), name.map(str::to_owned));
    bridges.entry(key).or_insert_with(|| bridge(name, attachments))
}

fn bridge(name: Option<&str>, attachments: &Attachments) -> Bridge {
    let link = attachments.bridges.values().find(|link| Some(link.name.as_str()) == name);
    let is_port =
        |index| attachments.pairs.iter().filter(|pair| pair.master == Some(index)).count();
    Bridge {
        name: name.map(str::to_owned),
        up: link.map(|link| link.is_up),
        mac: link.and_then(|link| link.mac).map(|mac| mac.to_string()),
        ports: link.map(|link| is_port(link.index)).unwrap_or_default(),
        max_ports: MAX_PORTS,
        ..Bridge::default()
    }
}

fn part(network: &Network) -> Part {
    let config = network.bridge.as_ref();
    let is_gateway = config.is_some_and(|config| config.gateway != Gateway::None);
    let sets = network.ranges.iter().filter(|_| is_gateway).flat_map(|ranges| &ranges.sets);
    let gateway = |range: &causeway_host_local::range::Range| {
        IpNetwork::new(range.gateway, range.subnet.prefix()).ok()
    };
    let mut gateways: Vec<String> = Vec::new();
    for address in sets.flat_map(|set| set.ranges()).filter_map(gateway) {
        if !gateways.contains(&address.to_string()) {
            gateways.push(address.to_string());
        }
    }
    let (vlan, trunk) = vlans(network);
    Part {
        name: network.name.to_string(),
        gateways,
        vlan,
        trunk,
        masquerade: config.is_some_and(|config| config.masquerade.is_some()),
    }
}

fn drawn(
    key: &Key,
    attached: &Attached,
    (network, attachments): (&Network, &Attachments),
) -> Drawn {
    let listed = ls::listed(key, attached, (network, attachments));
    let (vlan, trunk) = vlans(network);
    Drawn {
        network: key.network.clone(),
        is_port: listed.bridge.is_some(),
        is_masqueraded: attached.rules.contains(&Rules::Masquerading),
        is_dead: matches!(attached.state, State::Gone | State::Unfinished),
        state: attached.state,
        limits: attached.limits,
        listed,
        vlan,
        trunk,
    }
}

fn vlans(network: &Network) -> (Option<u16>, Vec<String>) {
    let Some(config) = &network.bridge else { return (None, Vec::new()) };
    let trunk = config.vlans.trunk.iter().map(|trunk| match trunk.first == trunk.last {
        true => trunk.first.to_string(),
        false => format!("{}-{}", trunk.first, trunk.last),
    });
    (config.vlans.access.map(|vlan| vlan.get()), trunk.collect())
}

impl Drawn {
    /// What a person calls it.
    pub(crate) fn title(&self) -> String {
        let short = ls::short(&self.listed.container);
        match &self.listed.pod {
            Some(pod) => format!("{pod} ({short})"),
            None if short.is_empty() => "(nobody's)".to_owned(),
            None => short.to_owned(),
        }
    }

    /// From the host interface to that in the container.
    pub(crate) fn link(&self) -> String {
        let part = |text: &str| if text.is_empty() { "?" } else { text }.to_owned();
        let inside = part(&self.listed.interface);
        match &self.listed.host_interface {
            Some(host) => format!("{host} – {inside}"),
            None => format!("no link – {inside}"),
        }
    }

    /// VLANs, limits and masquerading, if there are any.
    pub(crate) fn traits(&self) -> Vec<String> {
        let mut all = vlan_words(self.vlan, &self.trunk);
        all.extend(Some(self.limits.to_string()).filter(|text| !text.is_empty()));
        all.extend(self.is_masqueraded.then(|| "masqueraded".to_owned()));
        if self.listed.host_interface.is_some() && !self.is_port {
            all.push("no port of its bridge".to_owned());
        }
        all
    }
}

impl Bridge {
    /// What a person calls it.
    pub(crate) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or("on no bridge")
    }

    /// How it is.
    pub(crate) fn condition(&self) -> String {
        let Some(up) = self.up else {
            return if self.name.is_some() { "not there" } else { "" }.to_owned();
        };
        let word = if up { "up" } else { "down" };
        format!("{word}, {} of {} ports", self.ports, self.max_ports)
    }
}

impl Part {
    /// What its list says, as a line.
    pub(crate) fn line(&self) -> String {
        self.words().join(", ")
    }

    /// What its list says.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec![format!("network {}", self.name)];
        words.extend(self.gateways.iter().map(|gateway| format!("gateway {gateway}")));
        words.extend(vlan_words(self.vlan, &self.trunk));
        words.extend(self.masquerade.then(|| "masqueraded".to_owned()));
        words
    }
}

fn vlan_words(vlan: Option<u16>, trunk: &[String]) -> Vec<String> {
    let mut words: Vec<String> = vlan.map(|vlan| format!("VLAN {vlan}")).into_iter().collect();
    if !trunk.is_empty() {
        words.push(format!("VLANs {} tagged", trunk.join(" ")));
    }
    words
}
