//! The links that a result names, as they are at the end.

use std::path::Path;

use cni_common::error::{Code, Error, Result};
use cni_common::spec::{CniResult, Interface};
use cni_common::types::net::Link;

use super::Attaching;

impl Attaching<'_> {
    /// Bridge, host interface, container interface, and the VLAN gateway interface if there is one.
    pub(super) fn interfaces(&mut self, result: &CniResult) -> Result<Vec<Interface>> {
        let host = self.link(&self.new_links.ends.host.clone())?;
        // Its MAC address and its MTU may have changed with the new port.
        let bridge = self.link(&self.config.bridge.to_string())?;
        if host.master != Some(bridge.index) {
            return Err(lost(&bridge.name));
        }
        let mut container = interface(&host, Some(self.machine.netns.path()));
        container.name.clone_from(&self.new_links.ends.container);
        container.mac = self.new_links.ends.container_mac.to_string();
        let mut interfaces = vec![interface(&bridge, None), interface(&host, None), container];
        if let (Some(gateway), false) = (&self.new_links.vlan_gateway, result.ips.is_empty()) {
            let link = self.link(&gateway.name.clone())?;
            interfaces.push(interface(&link, None));
        }
        Ok(interfaces)
    }

    fn link(&mut self, name: &str) -> Result<Link> {
        self.machine.host.find_link(name)?.ok_or_else(|| lost(name))
    }
}

fn lost(name: &str) -> Error {
    Error::new(Code::Kernel, format!("link {name:?} is gone"))
        .with_details("somebody removed it during this ADD")
}

/// A link as results show it.
fn interface(link: &Link, sandbox: Option<&Path>) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        mtu: Some(i64::from(link.mtu)),
        sandbox: sandbox.map(|path| path.display().to_string()).unwrap_or_default(),
        ..Interface::default()
    }
}
