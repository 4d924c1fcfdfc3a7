//! CHECK: is the attachment still what its ADD said it was, and would an ADD have nothing left to do to
//! what it shares with others? Every difference is named.

use std::path::Path;

use cni_common::error::{Code, Error, Result};
use cni_common::skel::AttachmentRequest;
use cni_common::spec::{CniArgs, CniResult, Interface, Ip};
use cni_common::sys::Netlink;
use cni_common::types::net::{Link, LinkRoute, MAIN_TABLE};

use crate::add::new_links;
use crate::config::BridgeConfig;
use crate::ipam;
use crate::observe::observe;
use crate::plan::{self, FoundBridge, NewLinks, Observed};
use crate::rules::Rules;
use crate::shared;

/// Compares the attachment with `prevResult`.
pub(crate) fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let args = request.request.args().unwrap_or_else(|_| CniArgs::default());
    let mut config = BridgeConfig::parse(&request.request.config, &args)?;
    // An address in the way of the gateway's is a fault like its absence.
    config.force_address = true;
    let result = request.required_prev_result("Required prevResult missing")?;
    let (_netns, inside) = request.open_netns()?;
    let mut host = Netlink::open()?;
    let new_links = new_links(&request.attachment, &config)?;
    let observed = observe(&mut host, &config, &new_links, None)?;
    let faults = Vec::new();
    let mut checking = Checking { request, config, result, host, inside, faults };
    let container = checking.container()?;
    checking.bridge(&observed);
    if let Some(container) = &container {
        checking.host_end(container, observed.bridge.as_ref().map(|found| &found.link))?;
        checking.addresses(container)?;
        checking.routes(container)?;
    }
    checking.planned(&new_links, &observed)?;
    let mac = container.and_then(|container| container.mac);
    let rules = Rules::of(&request.attachment);
    let Checking { config, result, mut faults, .. } = checking;
    faults.extend(rules.check(&config, mac, &result).err());
    faults.extend(ipam::run(&request.request, "CHECK").err());
    Error::join(faults)
}

struct Checking<'a> {
    request: &'a AttachmentRequest<'a>,
    config: BridgeConfig,
    result: CniResult,
    host: Netlink,
    inside: Netlink,
    faults: Vec<Error>,
}

impl Checking<'_> {
    fn fault(&mut self, message: String) {
        self.faults.push(Error::new(Code::CheckFailed, message));
    }

    fn recorded(&self, is_it: impl Fn(&Interface) -> bool) -> Option<Interface> {
        self.result.interfaces.iter().find(|interface| is_it(interface)).cloned()
    }

    fn mac(&mut self, recorded: &Interface, link: &Link) {
        let found = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
        if !recorded.mac.is_empty() && !recorded.mac.eq_ignore_ascii_case(&found) {
            self.fault(format!(
                "interface {:?} has MAC address {found}, prevResult has {}",
                link.name, recorded.mac
            ));
        }
    }

    fn bridge(&mut self, observed: &Observed) {
        let name = self.config.bridge.to_string();
        let recorded =
            self.recorded(|interface| interface.name == name && interface.sandbox.is_empty());
        if recorded.is_none() {
            self.fault(format!("prevResult has no bridge {name:?}"));
        }
        let Some(FoundBridge { link: bridge, .. }) = &observed.bridge else {
            return self.fault(format!("bridge {name:?} is gone"));
        };
        if !bridge.is_bridge() {
            return self.fault(format!("{name:?} is not a bridge but {:?}", bridge.kind));
        }
        // A bridge that is nobody's gateway may take its ports' addresses, as the kernel lets it.
        if let Some(recorded) = recorded.filter(|_| self.config.bridge_is_gateway()) {
            self.mac(&recorded, bridge);
        }
    }

    /// The container interface, if it is there.
    fn container(&mut self) -> Result<Option<Link>> {
        let name = self.request.attachment.ifname.as_str();
        let sandbox = self.request.netns.as_deref();
        let recorded =
            self.recorded(|interface| interface.name == name && !interface.sandbox.is_empty());
        match &recorded {
            None => self.fault(format!("prevResult has no interface {name:?} in a sandbox")),
            Some(recorded) if Some(Path::new(&recorded.sandbox)) != sandbox => {
                self.fault(format!(
                    "Sandbox in prevResult {} doesn't match configured netns: {}",
                    recorded.sandbox,
                    sandbox.unwrap_or(Path::new("")).display()
                ));
            }
            Some(_) => {}
        }
        let Some(link) = self.inside.find_link(name)? else {
            self.fault(format!("container interface {name:?} is gone"));
            return Ok(None);
        };
        if link.kind != "veth" {
            self.fault(format!("container interface {name:?} is no veth"));
            return Ok(None);
        }
        if let Some(recorded) = recorded {
            self.mac(&recorded, &link);
        }
        if self.config.container_up && !link.is_up {
            self.fault(format!("container interface {name:?} is down"));
        }
        Ok(Some(link))
    }

    /// The recorded link of the host whose peer is the container interface.
    fn host_end(&mut self, container: &Link, bridge: Option<&Link>) -> Result<()> {
        let Some(index) = container.peer else {
            self.fault(format!("container interface {:?} has no peer", container.name));
            return Ok(());
        };
        let Some(host) = self.host.find_link_by_index(index)? else {
            self.fault(format!("host interface of {:?} is gone", container.name));
            return Ok(());
        };
        let is_it =
            |interface: &Interface| interface.sandbox.is_empty() && interface.name == host.name;
        match self.recorded(is_it) {
            Some(recorded) => self.mac(&recorded, &host),
            None => self.fault(format!(
                "the peer of {:?} is {:?}, which prevResult does not have",
                container.name, host.name
            )),
        }
        if let Some(bridge) = bridge.filter(|bridge| host.master != Some(bridge.index)) {
            self.fault(format!(
                "host interface {:?} is not a port of {:?}",
                host.name, bridge.name
            ));
        }
        if !host.is_up {
            self.fault(format!("host interface {:?} is down", host.name));
        }
        // What is set without being configured may be the work of a configuration that came whole.
        let (found, wanted) = (host.port, self.config.port);
        if (wanted.hairpin && !found.hairpin) || (wanted.isolated && !found.isolated) {
            self.fault(format!("port {:?} has {found:?}, configured is {wanted:?}", host.name));
        }
        Ok(())
    }

    /// What an ADD would have to do to what all attachments of the bridge share.
    fn planned(&mut self, new_links: &NewLinks, observed: &Observed) -> Result<()> {
        if !observed.bridge.as_ref().is_some_and(|found| found.link.is_bridge()) {
            return Ok(());
        }
        let planned = shared::planned(&self.config, (new_links, observed), &self.result)?;
        planned.into_iter().for_each(|(_, fault)| self.fault(fault));
        Ok(())
    }

    fn addresses(&mut self, container: &Link) -> Result<()> {
        let found = self.inside.list_addresses(container.index)?;
        let is_found = |ip: &&Ip| found.iter().any(|address| address.address == ip.address);
        let ips = self.result.ips.clone();
        for ip in ips.iter().filter(|ip| !is_found(ip)) {
            self.fault(format!("address {} is not on interface {:?}", ip.address, container.name));
        }
        Ok(())
    }

    fn routes(&mut self, container: &Link) -> Result<()> {
        let found = self.inside.list_routes(container.index)?;
        for wanted in plan::link_routes(&self.result)? {
            if !found.iter().any(|route| is_same_route(route, &wanted)) {
                let gateways: Vec<String> =
                    wanted.gateways.iter().map(|gateway| format!(" via {gateway}")).collect();
                self.fault(format!(
                    "route to {}{} through {:?} is gone",
                    wanted.dst,
                    gateways.concat(),
                    container.name
                ));
            }
        }
        Ok(())
    }
}

fn is_same_route(found: &LinkRoute, wanted: &LinkRoute) -> bool {
    let table = wanted.table.filter(|table| *table > 0).unwrap_or(MAIN_TABLE);
    let is_priority = |priority| priority == 0 || found.priority == Some(priority);
    found.dst == wanted.dst
        && wanted.gateways.iter().all(|gateway| found.gateways.contains(gateway))
        && found.table == Some(table)
        && wanted.priority.is_none_or(is_priority)
}
