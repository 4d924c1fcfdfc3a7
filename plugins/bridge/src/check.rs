//! CHECK: is the attachment still what its ADD said it was? The first difference is named.

use std::path::Path;

use cni_common::error::{Code, Error, Result};
use cni_common::skel::AttachmentRequest;
use cni_common::spec::{CniArgs, CniResult, Interface};
use cni_common::sys::{Netlink, sysctl};
use cni_common::types::net::{Link, LinkRoute, MAIN_TABLE};

use crate::add::open_netns;
use crate::config::{BridgeConfig, Gateway};
use crate::operation::Operation;
use crate::rules::Rules;
use crate::{ipam, plan};

/// Compares the attachment with `prevResult`.
pub fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let args = request.request.args().unwrap_or_else(|_| CniArgs::default());
    let config = BridgeConfig::parse(&request.request.config, &args)?;
    let result = request.request.config.prev_result()?.ok_or_else(|| {
        Error::new(Code::InvalidConfig, "Required prevResult missing").with_details("prevResult")
    })?;
    let (_netns, inside) = open_netns(request)?;
    let mut checking = Checking { request, config, result, host: Netlink::open()?, inside };
    let container = checking.container()?;
    let bridge = checking.bridge()?;
    checking.host_end(&container, &bridge)?;
    checking.addresses(&container)?;
    checking.routes(&container)?;
    checking.forwarding()?;
    let rules = Rules::of(&request.attachment);
    rules.check(&checking.config, container.mac, &checking.result)?;
    ipam::run(&request.request, "CHECK")
}

struct Checking<'a> {
    request: &'a AttachmentRequest<'a>,
    config: BridgeConfig,
    result: CniResult,
    host: Netlink,
    inside: Netlink,
}

impl Checking<'_> {
    fn bridge(&mut self) -> Result<Link> {
        let name = self.config.bridge.as_str();
        let recorded = self
            .result
            .interfaces
            .iter()
            .find(|interface| interface.name == name && interface.sandbox.is_empty())
            .ok_or_else(|| fault(format!("prevResult has no bridge {name:?}")))?;
        let bridge =
            self.host.find_link(name)?.ok_or_else(|| fault(format!("bridge {name:?} is gone")))?;
        if !bridge.is_bridge() {
            return Err(fault(format!("{name:?} is not a bridge but {:?}", bridge.kind)));
        }
        // A bridge that is nobody's gateway may take its ports' addresses, as the kernel lets it.
        if self.config.bridge_is_gateway() {
            check_mac(recorded, &bridge)?;
        }
        if self.config.promiscuous && !bridge.is_promiscuous {
            return Err(fault(format!("bridge {name:?} is not promiscuous")));
        }
        if !bridge.is_up {
            return Err(fault(format!("bridge {name:?} is down")));
        }
        Ok(bridge)
    }

    fn container(&mut self) -> Result<Link> {
        let name = self.request.attachment.ifname.as_str();
        let sandbox = self.request.netns.as_deref();
        let is_it =
            |interface: &&Interface| interface.name == name && !interface.sandbox.is_empty();
        let recorded =
            self.result.interfaces.iter().find(is_it).ok_or_else(|| {
                fault(format!("prevResult has no interface {name:?} in a sandbox"))
            })?;
        if Some(Path::new(&recorded.sandbox)) != sandbox {
            return Err(fault(format!(
                "Sandbox in prevResult {} doesn't match configured netns: {}",
                recorded.sandbox,
                sandbox.unwrap_or(Path::new("")).display()
            )));
        }
        let link = self
            .inside
            .find_link(name)?
            .ok_or_else(|| fault(format!("container interface {name:?} is gone")))?;
        if link.kind != "veth" {
            return Err(fault(format!("container interface {name:?} is no veth")));
        }
        check_mac(recorded, &link)?;
        if self.config.container_up && !link.is_up {
            return Err(fault(format!("container interface {name:?} is down")));
        }
        Ok(link)
    }

    /// The recorded link of the host whose peer is the container interface.
    fn host_end(&mut self, container: &Link, bridge: &Link) -> Result<()> {
        let Some(index) = container.peer else {
            return Err(fault(format!("container interface {:?} has no peer", container.name)));
        };
        let host = self
            .host
            .find_link_by_index(index)?
            .ok_or_else(|| fault(format!("host interface of {:?} is gone", container.name)))?;
        let recorded = self
            .result
            .interfaces
            .iter()
            .find(|interface| interface.sandbox.is_empty() && interface.name == host.name)
            .ok_or_else(|| {
                fault(format!(
                    "the peer of {:?} is {:?}, which prevResult does not have",
                    container.name, host.name
                ))
            })?;
        check_mac(recorded, &host)?;
        if host.master != Some(bridge.index) {
            let message =
                format!("host interface {:?} is not a port of {:?}", host.name, bridge.name);
            return Err(fault(message));
        }
        if !host.is_up {
            return Err(fault(format!("host interface {:?} is down", host.name)));
        }
        // What is set without being configured may be the work of a configuration that came whole.
        let (found, wanted) = (host.port, self.config.port);
        if (wanted.hairpin && !found.hairpin) || (wanted.isolated && !found.isolated) {
            let message = format!("port {:?} has {found:?}, configured is {wanted:?}", host.name);
            return Err(fault(message));
        }
        Ok(())
    }

    fn forwarding(&self) -> Result<()> {
        if self.config.gateway < Gateway::Gateway {
            return Ok(());
        }
        for operation in plan::forwarding(&self.result) {
            let Operation::EnableForwarding { name } = operation else { continue };
            if sysctl::read(name)?.as_deref() == Some("0") {
                let key = name.replace('/', ".");
                return Err(fault(format!("forwarding is switched off: net.{key} is 0")));
            }
        }
        Ok(())
    }

    fn addresses(&mut self, container: &Link) -> Result<()> {
        let found = self.inside.list_addresses(container.index)?;
        for ip in &self.result.ips {
            if !found.iter().any(|address| address.address == ip.address) {
                let message =
                    format!("address {} is not on interface {:?}", ip.address, container.name);
                return Err(fault(message));
            }
        }
        Ok(())
    }

    fn routes(&mut self, container: &Link) -> Result<()> {
        let found = self.inside.list_routes(container.index)?;
        for wanted in plan::link_routes(&self.result)? {
            let is_it = |route: &&LinkRoute| {
                route.dst == wanted.dst
                    && wanted.gateways.iter().all(|gateway| route.gateways.contains(gateway))
                    && route.table
                        == Some(wanted.table.filter(|table| *table > 0).unwrap_or(MAIN_TABLE))
                    && wanted
                        .priority
                        .is_none_or(|priority| priority == 0 || route.priority == Some(priority))
            };
            if !found.iter().any(|route| is_it(&route)) {
                let gateways: Vec<String> =
                    wanted.gateways.iter().map(|gateway| format!(" via {gateway}")).collect();
                let message = format!(
                    "route to {}{} through {:?} is gone",
                    wanted.dst,
                    gateways.concat(),
                    container.name
                );
                return Err(fault(message));
            }
        }
        Ok(())
    }
}

fn check_mac(recorded: &Interface, link: &Link) -> Result<()> {
    let found = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if recorded.mac.is_empty() || recorded.mac.eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    Err(fault(format!(
        "interface {:?} has MAC address {found}, prevResult has {}",
        link.name, recorded.mac
    )))
}

fn fault(message: String) -> Error {
    Error::new(Code::CheckFailed, message)
}
