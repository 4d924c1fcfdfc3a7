//! The configuration of `bridge`: every key, its default, and every cross-check.

mod trunk;

use cni_common::spec::{CniArgs, Dns, NetworkConfig, Object, Route};
use cni_common::types::net::{DuplicateDetection, PortFlags};
use cni_common::types::{IfName, Mac, VlanId};
use cni_common::{Code, Context, Error, Result};

pub use trunk::Trunk;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The bridge's name.
    pub bridge: IfName,
    /// What the bridge is to the containers.
    pub gateway: Gateway,
    /// Whether an address that is in the gateway address's way is replaced.
    pub force_address: bool,
    /// Masquerading, and by which backend; `None`: none.
    pub masquerade: Option<MasqueradeBackend>,
    /// MTU of the pair, and of the bridge when it is made; `None` leaves it to the kernel.
    pub mtu: Option<u32>,
    /// Flags of the container's port.
    pub port: PortFlags,
    /// Whether the bridge takes every frame.
    pub promiscuous: bool,
    /// The VLANs of the port.
    pub vlans: Vlans,
    /// Whether only frames with the container's own address may leave its port.
    pub mac_spoof_check: bool,
    /// Duplicate address detection on the container interface.
    pub detection: DuplicateDetection,
    /// Whether the container interface is brought up.
    pub container_up: bool,
    /// The IPAM plugin; `None`: layer 2 only.
    pub ipam: Option<String>,
    /// Name resolution that replaces the IPAM's.
    pub dns: Option<Dns>,
    /// The container interface's address; `None`: a random one.
    pub mac: Option<Mac>,
    /// Whether `/etc/netns/<name>/resolv.conf` is written.
    pub netns_resolv_conf: bool,
}

/// What the bridge is to its containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gateway {
    /// A switch only.
    None,
    /// It has the gateway address and forwards.
    Gateway,
    /// And is where the default route leads.
    Default,
}

/// What puts masquerading into the packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasqueradeBackend {
    /// nftables where the kernel has it, else iptables.
    Automatic,
    /// The reference's chains, by iptables.
    Iptables,
    /// nf_tables, natively.
    Nftables,
}

/// The VLANs of the container's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vlans {
    /// The access VLAN.
    pub access: Option<VlanId>,
    /// VLANs that pass with their tag.
    pub trunk: Vec<Trunk>,
    /// Whether the port keeps the VLANs that it came with.
    pub preserve_default: bool,
}

impl Vlans {
    /// Whether any VLAN is configured.
    pub fn any(&self) -> bool {
        self.access.is_some() || !self.trunk.is_empty()
    }

    /// The VLAN of the port's untagged frames, if it is to be set: a trunk has a native one.
    pub fn untagged(&self) -> Option<VlanId> {
        self.access.or_else(|| (!self.trunk.is_empty()).then_some(VlanId::NATIVE))
    }
}

/// A name every node knows.
const DEFAULT_BRIDGE: &str = "cni0";
/// The largest MTU the kernel gives a veth (`ETH_MAX_MTU`).
const MAX_MTU: i64 = 65535;

/// IPAM plugins that only allocate addresses.
const ONLY_ALLOCATE: [&str; 2] = ["host-local", "static"];

impl BridgeConfig {
    /// Whether the IPAM plugin does nothing on the container interface. Any that is not known may,
    /// as `dhcp` does.
    pub(crate) fn ipam_only_allocates(&self) -> bool {
        self.ipam.as_deref().is_some_and(|ipam| ONLY_ALLOCATE.contains(&ipam))
    }

    /// Whether the bridge itself, not an interface of a VLAN, gets the gateway addresses.
    pub(crate) fn bridge_is_gateway(&self) -> bool {
        self.gateway >= Gateway::Gateway && self.ipam.is_some() && self.vlans.access.is_none()
    }

    /// Checks the keys of `bridge`. `args` are `CNI_ARGS`.
    pub fn parse(config: &NetworkConfig<'_>, args: &CniArgs) -> Result<Self> {
        let keys = &config.keys;
        let hairpin = keys.flag("hairpinMode")?;
        let promiscuous = keys.flag("promiscMode")?;
        if hairpin && promiscuous {
            return Err(Error::new(
                Code::InvalidConfig,
                "cannot set hairpin mode and promiscuous mode at the same time",
            )
            .with_details("\"hairpinMode\": true, \"promiscMode\": true"));
        }
        let ipam = config.ipam_type()?;
        refuse_mixed_routes(keys)?;
        let container_up = !keys.flag("disableContainerInterface")?;
        if !container_up && ipam.is_some() {
            return Err(Error::new(
                Code::InvalidConfig,
                "cannot use IPAM when DisableContainerInterface flag is set",
            )
            .with_details("\"disableContainerInterface\": true"));
        }
        Ok(Self {
            bridge: bridge_name(keys)?,
            gateway: gateway(keys)?,
            force_address: keys.flag("forceAddress")?,
            masquerade: masquerade(keys)?,
            mtu: mtu(keys)?,
            port: PortFlags { hairpin, isolated: keys.flag("portIsolation")?, locked: false },
            promiscuous,
            vlans: vlans(keys)?,
            mac_spoof_check: keys.flag("macspoofchk")?,
            detection: match keys.flag("enabledad")? {
                true => DuplicateDetection::AsSet,
                false => DuplicateDetection::Skipped,
            },
            container_up,
            ipam,
            dns: config.dns()?,
            mac: container_mac(config, args)?,
            netns_resolv_conf: keys.flag("netnsResolvConf")?,
        })
    }
}

/// Refuses a route of the IPAM configuration that no kernel takes, before anything is done. What
/// can't be read is the IPAM plugin's to refuse.
fn refuse_mixed_routes(keys: &Object<'_>) -> Result<()> {
    let routes = keys.object("ipam")?.and_then(|ipam| ipam.list("routes").ok());
    for route in routes.iter().flatten() {
        if let Ok(route) = route.object().and_then(|route| Route::parse(&route)) {
            mixed_families(&route).context("ipam.routes")?;
        }
    }
    Ok(())
}

fn bridge_name(keys: &Object<'_>) -> Result<IfName> {
    let name = keys.nonempty("bridge")?.unwrap_or_else(|| DEFAULT_BRIDGE.to_owned());
    name.parse::<IfName>()
        .map_err(|error| error.with_code(Code::InvalidConfig))
        .with_context(|| format!("bridge: {name:?}"))
}

fn gateway(keys: &Object<'_>) -> Result<Gateway> {
    let is_gateway = keys.flag("isGateway")?;
    Ok(if keys.flag("isDefaultGateway")? {
        Gateway::Default
    } else if is_gateway {
        Gateway::Gateway
    } else {
        Gateway::None
    })
}

fn masquerade(keys: &Object<'_>) -> Result<Option<MasqueradeBackend>> {
    let wanted = keys.flag("ipMasq")?;
    let backend = match keys.nonempty("ipMasqBackend")?.as_deref() {
        None => MasqueradeBackend::Automatic,
        Some("iptables") => MasqueradeBackend::Iptables,
        Some("nftables") => MasqueradeBackend::Nftables,
        Some(other) => {
            return Err(Error::new(
                Code::InvalidConfig,
                format!("unknown ipmasq backend {other:?}"),
            )
            .with_details("ipMasqBackend: \"iptables\" or \"nftables\""));
        }
    };
    Ok(wanted.then_some(backend))
}

fn mtu(keys: &Object<'_>) -> Result<Option<u32>> {
    let Some(value) = keys.value("mtu") else { return Ok(None) };
    match value.integer()? {
        0 => Ok(None),
        mtu if (1..=MAX_MTU).contains(&mtu) => Ok(u32::try_from(mtu).ok()),
        _ => Err(value.invalid(format_args!("must be 0 to {MAX_MTU}"))),
    }
}

fn vlans(keys: &Object<'_>) -> Result<Vlans> {
    let access = match keys.integer("vlan")? {
        None | Some(0) => None,
        Some(id) => Some(VlanId::new(id).ok_or_else(|| {
            let message = format!("invalid VLAN ID {id} (must be between 0 and 4094)");
            Error::new(Code::InvalidConfig, message).with_details("vlan")
        })?),
    };
    Ok(Vlans {
        access,
        trunk: trunk::parse(keys)?,
        preserve_default: keys.flag("preserveDefaultVlan")?,
    })
}

/// The container interface's address, by precedence: the runtime's capability, `args.cni`,
/// `CNI_ARGS`.
fn container_mac(config: &NetworkConfig<'_>, args: &CniArgs) -> Result<Option<Mac>> {
    let from_keys = [config.runtime_config()?, config.cni_args()?];
    for keys in from_keys.into_iter().flatten() {
        if keys.nonempty("mac")?.is_some() {
            return keys.parsed("mac", assignable);
        }
    }
    match args.get("MAC") {
        None => Ok(None),
        Some(text) => assignable(text).map(Some).ok_or_else(|| {
            Error::new(Code::InvalidEnvironment, format!("CNI_ARGS: MAC: not valid, got {text:?}"))
        }),
    }
}

fn assignable(text: &str) -> Option<Mac> {
    text.parse::<Mac>().ok().filter(|mac| mac.is_assignable())
}

/// Refuses a route whose gateway is of the other family than its destination.
pub(crate) fn mixed_families(route: &Route) -> Result<()> {
    let Some(gw) = route.gw.filter(|gw| gw.is_ipv4() != route.dst.is_ipv4()) else {
        return Ok(());
    };
    let message = format!("route to {}: gw: {gw} is of the other address family", route.dst);
    Err(Error::new(Code::InvalidConfig, message))
}

#[cfg(test)]
mod tests;
