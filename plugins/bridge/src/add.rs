//! ADD: from a checked configuration to an attachment, or to nothing at all.

mod leftover;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cni_common::delegate::Delegate;
use cni_common::error::{Code, Error, Result};
use cni_common::log;
use cni_common::names;
use cni_common::skel::{Added, AttachmentRequest, Made};
use cni_common::spec::{CniResult, Interface};
use cni_common::sys::attacher::Attacher;
use cni_common::sys::byte_lock::ByteLock;
use cni_common::sys::netns::OwnNetns;
use cni_common::sys::{Netlink, Netns};
use cni_common::types::net::Link;
use cni_common::types::{Mac, VlanId};
use ipnetwork::IpNetwork;
use nix::errno::Errno;
use rustix::rand::GetRandomFlags;

use crate::apply::Machine;
use crate::config::{BridgeConfig, Gateway};
use crate::operation::Operation;
use crate::plan::{self, Ends, FoundBridge, VlanGateway};
use crate::rules::{Expected, Known, Rules};
use crate::{dns, ipam, lock, resolv_conf};

/// How often the bridge is made anew when somebody removes it between two steps.
const BRIDGE_TRIES: u32 = 5;
/// The container interface's place among the result's interfaces: bridge, host end, container.
const CONTAINER_INTERFACE: i64 = 2;

/// Makes the attachment.
pub fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let config = BridgeConfig::parse(&request.request.config, &request.request.args()?)?;
    let mut ipam = ipam::find(&request.request)?;
    let opened = open_netns(request)?;
    let lock = lock::attachment(&request.attachment)?;
    if let (Some(ipam), Some(_)) = (&mut ipam, &lock) {
        ipam.set_attacher(Attacher::here(&names::host_interface(&request.attachment)));
    }
    let mut attaching = Attaching {
        machine: Machine::new(Netlink::open()?, opened, config.bridge.as_str()),
        rules: Rules::of(&request.attachment),
        request,
        ends: ends(request, &config)?,
        config,
        bridge_addresses: None,
        lease: Lease::None,
        asked_for: Expected::default(),
    };
    attaching.refuse_taken_interface()?;
    // A panic is a defect, and no excuse for leaving half an attachment.
    let attached = catch_unwind(AssertUnwindSafe(|| attaching.attach(ipam.as_ref())));
    let Attaching { machine, rules, lease, asked_for, .. } = attaching;
    let ipam = ipam.filter(|_| lease == Lease::Allocated);
    let finished = Finished::of(request);
    let mut made = Unsettled { machine, rules, expected: asked_for, ipam, finished, _lock: lock };
    match attached {
        Ok(Ok(result)) => Ok(Added::new(result, made)),
        Ok(Err(error)) => Err(error.with_undo_failures(made.rollback())),
        Err(panic) => {
            made.rollback();
            resume_unwind(panic)
        }
    }
}

/// What an ADD that has not been heard of yet has made.
struct Unsettled {
    machine: Machine,
    rules: Rules,
    /// Which rules were asked for.
    expected: Expected,
    /// The IPAM plugin, if it may have allocated something.
    ipam: Option<Delegate>,
    finished: Finished,
    /// Held until the process ends: then all of this is settled or undone.
    _lock: Option<ByteLock>,
}

/// Whether there is a lease of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    /// The IPAM plugin has not been asked, or said that the lease is another's.
    None,
    /// It allocated, or whatever became of it leaves that open.
    Allocated,
}

/// What marks the host interface of a finished attachment.
struct Finished {
    host_interface: String,
    alias: String,
}

impl Finished {
    fn of(request: &AttachmentRequest<'_>) -> Self {
        let pod = request.request.args().ok().and_then(|args| args.pod());
        Self {
            host_interface: names::host_interface(&request.attachment),
            alias: names::alias(&request.attachment, pod.as_deref()),
        }
    }
}

impl Made for Unsettled {
    /// Links first, then rules, then the lease: an address is free when nothing has it any more.
    fn rollback(&mut self) -> Vec<Error> {
        let mut failures = self.machine.rollback();
        if self.expected.any() {
            let remove = || self.rules.remove(self.expected, &Known::default());
            // What fails is tried once more: its trouble may have passed.
            if !remove().is_empty() {
                failures.extend(remove());
            }
        }
        let released = |ipam: &Delegate| ipam.run("DEL").or_else(|_first| ipam.run("DEL"));
        failures.extend(self.ipam.as_ref().and_then(|ipam| released(ipam).err()));
        failures
    }

    /// Takes the mark of an unfinished ADD off the host interface. Nothing waits for the answer:
    /// the caller has been told already, and an ADD that is killed now should not count as made.
    fn settle(&mut self) {
        let Finished { host_interface: name, alias } = &self.finished;
        let mut mark = || self.machine.host.mark_port_unanswered(name, alias);
        // Once more if the first met some passing trouble.
        if let Err(error) = mark().or_else(|_first| mark()) {
            // The attachment works; only a second ADD would take it for one that was cut short.
            log::debug(|| format!("mark {name} as attached: {error}"));
        }
    }
}

/// The container's namespace, by the rules of `CNI_NETNS` (code 8).
pub(crate) fn open_netns(request: &AttachmentRequest<'_>) -> Result<(Netns, Netlink)> {
    let path = request.netns.as_deref().ok_or_else(|| {
        Error::new(Code::InvalidEnvironment, "required env variables [CNI_NETNS] missing")
    })?;
    Netns::open(path, own_netns(request))
}

/// Whether `CNI_NETNS` may be the plugin's own namespace.
pub(crate) fn own_netns(request: &AttachmentRequest<'_>) -> OwnNetns {
    match request.request.environment.netns_override {
        true => OwnNetns::Allowed,
        false => OwnNetns::Refused,
    }
}

fn ends(request: &AttachmentRequest<'_>, config: &BridgeConfig) -> Result<Ends> {
    let [host_mac, random_mac] = random_macs()?;
    Ok(Ends {
        host: names::host_interface(&request.attachment),
        host_mac,
        container: request.attachment.ifname.to_string(),
        container_mac: config.mac.unwrap_or(random_mac),
        unfinished_alias: names::unfinished_alias(&request.attachment),
    })
}

fn random_macs() -> Result<[Mac; 2]> {
    let mut bytes = [0; 12];
    // The system call itself. It gives up to 256 bytes at once, and waits only on a machine that is
    // just booting.
    loop {
        match rustix::rand::getrandom(&mut bytes[..], GetRandomFlags::empty()) {
            Ok(_all) => break,
            Err(error) if error == rustix::io::Errno::INTR => {}
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error());
                return Err(Error::errno(Code::Io, errno).context("read random numbers"));
            }
        }
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    Ok([Mac::local([a, b, c, d, e, f]), Mac::local([g, h, i, j, k, l])])
}

struct Attaching<'a> {
    machine: Machine,
    request: &'a AttachmentRequest<'a>,
    config: BridgeConfig,
    ends: Ends,
    rules: Rules,
    /// The bridge's own addresses, where it has been asked for them ahead.
    bridge_addresses: Option<Vec<IpNetwork>>,
    /// What this run may hold of the IPAM plugin's addresses.
    lease: Lease,
    /// The rules that this run has asked for so far.
    asked_for: Expected,
}

impl Attaching<'_> {
    fn attach(&mut self, ipam: Option<&Delegate>) -> Result<CniResult> {
        let (bridge, mut result) = match ipam {
            None => (self.attach_links()?, CniResult::default()),
            // It takes its time in a process of its own; the links need no addresses.
            Some(ipam) if self.config.ipam_only_gives_addresses() => {
                let running = ipam.start_add()?;
                let bridge = self.attach_links();
                let result = self.result_past_stale_lease(running, ipam);
                (bridge?, result?)
            }
            // One that works on the container interface finds it there, as with the reference.
            Some(ipam) => {
                let bridge = self.attach_links()?;
                let running = ipam.start_add()?;
                (bridge, self.result_past_stale_lease(running, ipam)?)
            }
        };
        if ipam.is_some() && result.ips.is_empty() {
            return Err(Error::new(Code::Delegate, "IPAM plugin returned missing IP config"));
        }
        plan::complete_result(&self.config, &mut result, CONTAINER_INTERFACE)?;
        let dns = std::mem::take(&mut result.dns);
        let config = &self.request.request.config;
        result.dns = dns::merged(config, self.config.dns.as_ref(), dns)?;
        self.attach_network(&bridge, result)
    }

    /// Makes bridge and pair and brings both ends up; returns the bridge.
    fn attach_links(&mut self) -> Result<Link> {
        let bridge = self.attach_pair()?;
        self.asked_for.guard = self.config.mac_spoof_check;
        self.rules.guard(&self.config, self.ends.container_mac)?;
        if self.config.container_up {
            self.machine.apply(plan::container_link(&self.config, &self.ends))?;
        }
        self.look_ahead(&bridge)?;
        Ok(bridge)
    }

    /// Asks what will have to be known when the addresses are there, while they are not.
    fn look_ahead(&mut self, bridge: &Link) -> Result<()> {
        if self.config.ipam.is_none() {
            return Ok(());
        }
        self.machine.learn_container_index(&self.ends.container)?;
        if self.config.bridge_is_gateway() {
            self.bridge_addresses = Some(self.addresses_of(bridge)?);
        }
        Ok(())
    }

    fn addresses_of(&mut self, link: &Link) -> Result<Vec<IpNetwork>> {
        let addresses = self.machine.host.list_addresses(link.index)?;
        Ok(addresses.iter().map(|address| address.address).collect())
    }

    fn attach_pair(&mut self) -> Result<Link> {
        let mut tries = 0;
        loop {
            let bridge = self.ensure_bridge()?;
            match self.machine.apply(plan::link_layer(&self.config, &self.ends)) {
                Ok(()) => return Ok(bridge),
                // Between two steps somebody removed the bridge, as an ADD that failed may.
                Err(error) if error.raw_errno() == Some(Errno::ENODEV) && tries < BRIDGE_TRIES => {
                    self.machine.forget_indices();
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn ensure_bridge(&mut self) -> Result<Link> {
        let name = self.config.bridge.as_str().to_owned();
        let mut tries = 0;
        loop {
            let found = self.machine.host.find_link(&name)?;
            let [mac, _] = random_macs()?;
            let found = found.map(|link| self.found_bridge(link));
            let operations = plan::bridge(&self.config, found.as_ref(), mac)?;
            let done = self.machine.apply(operations);
            let link = match (done, found) {
                (Ok(()), Some(found)) => Some(found.link),
                (Ok(()), None) => self.machine.host.find_link(&name)?,
                // Another ADD made it at the same moment, or one that failed removed it.
                (Err(error), _) if error.is_exists() || error.is_not_found() => None,
                (Err(error), _) => return Err(error),
            };
            if let Some(link) = link {
                self.machine.learn_index(&name, link.index);
                return Ok(link);
            }
            tries += 1;
            if tries > BRIDGE_TRIES {
                let message = format!("bridge {name:?} comes and goes: others make and remove it");
                return Err(Error::new(Code::Conflict, message));
            }
        }
    }

    fn found_bridge(&self, link: Link) -> FoundBridge {
        // Set without need the kernel only forgets the neighbours that it knows there.
        let keeps_mac = self.config.bridge_is_gateway() && link.is_mac_set().unwrap_or(false);
        FoundBridge { link, keeps_mac }
    }

    /// Addresses, routes, forwarding; returns the whole result.
    fn attach_network(&mut self, bridge: &Link, mut result: CniResult) -> Result<CniResult> {
        let vlan_interface = self.attach_gateway(bridge, &result)?;
        self.asked_for.masquerade = self.config.masquerade.is_some();
        self.rules.masquerade(&self.config, &result)?;
        if self.config.container_up {
            let operations = plan::container(&self.config, &result, &self.ends)?;
            self.machine.apply(operations)?;
        }
        if self.config.gateway >= Gateway::Gateway {
            self.machine.apply(plan::forwarding(&result))?;
        }
        if !result.ips.is_empty() {
            let (name, mac) = (self.ends.container.clone(), self.ends.container_mac);
            self.machine.apply(vec![Operation::Announce { name, mac }])?;
        }
        self.write_resolv_conf(&result)?;
        result.interfaces = self.interfaces(bridge)?;
        result.interfaces.extend(vlan_interface);
        Ok(result)
    }

    /// Gives the bridge, or its VLAN gateway interface, the gateway addresses.
    fn attach_gateway(&mut self, bridge: &Link, result: &CniResult) -> Result<Option<Interface>> {
        if self.config.gateway < Gateway::Gateway || result.ips.is_empty() {
            return Ok(None);
        }
        let link = match self.config.vlans.access {
            None => bridge.clone(),
            Some(vlan) => self.ensure_vlan_gateway(vlan)?,
        };
        let found = match self.bridge_addresses.take() {
            Some(addresses) => addresses,
            None => self.addresses_of(&link)?,
        };
        let operations = plan::gateway_addresses(&self.config, result, &link, &found)?;
        self.machine.apply(operations)?;
        Ok(self.config.vlans.access.map(|_| interface(&link, None)))
    }

    fn ensure_vlan_gateway(&mut self, vlan: VlanId) -> Result<Link> {
        let (name, port) = names::vlan_gateway(&self.config.bridge, vlan)?;
        if let Some(link) = self.machine.host.find_link(&name)? {
            self.repair_vlan_gateway(&link, vlan)?;
            return Ok(link);
        }
        let [mac, port_mac] = random_macs()?;
        let gateway = VlanGateway { name: name.clone(), mac, port, port_mac, vlan };
        match self.machine.apply(plan::vlan_gateway(&self.config, &gateway)) {
            // Another ADD made it at the same moment.
            Err(error) if error.is_exists() => {}
            other => other?,
        }
        self.machine.host.find_link(&name)?.ok_or_else(|| {
            Error::new(Code::Kernel, format!("VLAN gateway interface {name:?} is gone"))
        })
    }

    /// Finishes what an ADD that was killed began: a port that is none yet.
    fn repair_vlan_gateway(&mut self, gateway: &Link, vlan: VlanId) -> Result<()> {
        let port = match gateway.peer {
            Some(index) => self.machine.host.find_link_by_index(index)?,
            None => None,
        };
        match port.filter(|port| port.master.is_none()) {
            Some(port) => {
                self.machine.apply(plan::vlan_gateway_port(&self.config, &port.name, vlan))
            }
            None => Ok(()),
        }
    }

    fn write_resolv_conf(&mut self, result: &CniResult) -> Result<()> {
        let path = resolv_conf::path(self.machine.netns.path());
        let (Some(path), true) = (path, self.config.netns_resolv_conf) else { return Ok(()) };
        let attachment = &self.request.attachment;
        let paths = (path, resolv_conf::unfinished(attachment));
        let marker = resolv_conf::marker(attachment);
        self.machine.apply(vec![plan::resolv_conf(paths, &marker, &result.dns)?])
    }

    fn interfaces(&mut self, bridge: &Link) -> Result<Vec<Interface>> {
        let lost = |name: &str| Error::new(Code::Kernel, format!("link {name:?} is gone"));
        let host = self.machine.host.find_link(&self.ends.host)?;
        let host = host.ok_or_else(|| lost(&self.ends.host))?;
        // Its MAC address and its MTU may have changed with the new port.
        let now = self.machine.host.find_link_by_index(bridge.index)?;
        let Some(bridge) = now.filter(|bridge| host.master == Some(bridge.index)) else {
            return Err(lost(&bridge.name).with_details("somebody removed it during this ADD"));
        };
        let mut container = interface(&host, Some(self.machine.netns.path()));
        container.name.clone_from(&self.ends.container);
        container.mac = self.ends.container_mac.to_string();
        Ok(vec![interface(&bridge, None), interface(&host, None), container])
    }
}

/// A link as results show it.
fn interface(link: &Link, sandbox: Option<&std::path::Path>) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        mtu: Some(i64::from(link.mtu)),
        sandbox: sandbox.map(|path| path.display().to_string()).unwrap_or_default(),
        ..Interface::default()
    }
}
