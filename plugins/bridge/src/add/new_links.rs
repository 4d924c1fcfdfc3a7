//! What new links are called, and their random Ethernet addresses.

use cni_common::error::{Code, Error, Result};
use cni_common::names;
use cni_common::types::{Attachment, Mac};
use nix::errno::Errno;
use rustix::rand::GetRandomFlags;

use crate::config::{BridgeConfig, Gateway};
use crate::plan::{Ends, NewLinks, VlanGateway};

/// The links that an ADD may have to make: the pair, and the bridge and its VLAN gateway interface.
const MAX_NEW_MACS: usize = 5;

pub(crate) fn new_links(attachment: &Attachment, config: &BridgeConfig) -> Result<NewLinks> {
    let [host_mac, random_mac, bridge_mac, gateway_mac, port_mac] = random_macs()?;
    let vlan_gateway = match config.vlans.access.filter(|_| config.gateway >= Gateway::Gateway) {
        None => None,
        Some(vlan) => {
            let (name, port) = names::vlan_gateway(&config.bridge, vlan)?;
            Some(VlanGateway { name, mac: gateway_mac, port, port_mac, vlan })
        }
    };
    let ends = Ends {
        host: names::host_interface(attachment),
        host_mac,
        container: attachment.ifname.to_string(),
        container_mac: config.mac.unwrap_or(random_mac),
        unfinished_alias: names::unfinished_alias(attachment),
    };
    Ok(NewLinks { ends, bridge_mac, vlan_gateway })
}

fn random_macs() -> Result<[Mac; MAX_NEW_MACS]> {
    let mut bytes = [[0; 6]; MAX_NEW_MACS];
    // The system call itself. It gives up to 256 bytes at once, and waits only on a machine that is
    // just booting.
    loop {
        match rustix::rand::getrandom(bytes.as_flattened_mut(), GetRandomFlags::empty()) {
            Ok(_all) => return Ok(bytes.map(Mac::local)),
            Err(error) if error == rustix::io::Errno::INTR => {}
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error());
                return Err(Error::errno(Code::Io, errno).context("read random numbers"));
            }
        }
    }
}
