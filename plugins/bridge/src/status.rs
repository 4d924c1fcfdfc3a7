//! STATUS: whether an ADD could work. It fails only where something is wrong that makes every ADD
//! fail. Waits for no lock and changes nothing.

use cni_common::names;
use cni_common::skel::Request;
use cni_common::sys::Netlink;
use cni_common::{Code, Error, Result};

use crate::config::{BridgeConfig, Gateway};
use crate::ipam;

/// Fails where every ADD would fail, with the code of the cause or 50.
pub(crate) fn status(request: &Request<'_>) -> Result<()> {
    let config = BridgeConfig::parse(&request.config, &request.args()?)?;
    if let (Some(vlan), true) = (config.vlans.access, config.gateway >= Gateway::Gateway) {
        names::vlan_gateway(&config.bridge, vlan)?;
    }
    let name = config.bridge.as_str();
    match Netlink::open()?.find_link(name)? {
        Some(link) if link.kind != "bridge" => {
            let message = format!("{name:?} already exists but is not a bridge");
            return Err(Error::new(Code::NotAvailable, message)
                .with_details(format!("\"bridge\": {name:?}; it is of kind {:?}", link.kind)));
        }
        Some(_) | None => {}
    }
    ipam::run(request, "STATUS")
}
