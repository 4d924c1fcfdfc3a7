//! ADD: the sysctls, then the interface's attributes, of which the former values are kept for DEL.

use std::path::Path;

use cni_common::skel::{Added, AttachmentRequest};
use cni_common::spec::{CniResult, Version};
use cni_common::sys::file;
use cni_common::types::{IfName, LinkAttributes};
use cni_common::{Context, Result, log};

use crate::allow_list::{self, AllowList};
use crate::apply::Changes;
use crate::config::Config;
use crate::plan::plan;
use crate::store::Kept;
use crate::sysctl::Sysctl;

/// Tunes the attachment. Without anything to be done no namespace is entered.
pub(crate) fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let network = &request.request.config;
    let ifname = &request.attachment.ifname;
    let config =
        log::configuration_step(|| Config::parse(network, &request.request.args()?, ifname))?;
    require_allowed(&config.sysctls)?;
    let mut result = request.required_prev_result(crate::NO_PREV_RESULT)?;
    if config.is_empty() {
        return Ok(Added::new(result, Vec::new));
    }
    let (netns, netlink) = request.open_netns()?;
    let kept = Kept::of(&config.data_dir, &request.attachment);
    Added::attempt(Changes::new(netns, netlink, kept.clone()), |changes| {
        tune(&config, ifname, &kept, changes)?;
        complete(&mut result, ifname, &config.attributes, network.version);
        Ok(result)
    })
}

fn tune(config: &Config, ifname: &IfName, kept: &Kept, changes: &mut Changes) -> Result<()> {
    if config.attributes.is_empty() {
        return changes.write_sysctls(&config.sysctls);
    }
    // Before anything is changed, so that nothing is where there is no such interface.
    let link = changes.find_link(ifname)?;
    changes.write_sysctls(&config.sysctls)?;
    let before = kept.read()?;
    let plan = plan(&config.attributes, &link.attributes(), &before.clone().unwrap_or_default());
    changes.keep(&plan.backup, before)?;
    changes.set(link.index, &plan.change, plan.replaced).with_context(|| format!("\"{ifname}\""))
}

/// Fails for a sysctl that the node's administrator does not allow.
pub(crate) fn require_allowed(sysctls: &[Sysctl]) -> Result<()> {
    if sysctls.is_empty() {
        return Ok(());
    }
    let list = match file::read_text(Path::new(allow_list::PATH), allow_list::MAX_BYTES) {
        Ok(text) => AllowList::parse(&text),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    sysctls.iter().try_for_each(|sysctl| list.require(&sysctl.key))
}

/// Says of the container's interface in the result what it has now.
fn complete(
    result: &mut CniResult,
    ifname: &IfName,
    attributes: &LinkAttributes,
    version: Version,
) {
    let is_named = |name: &str| name == ifname.as_str();
    // One of the same name on the host is another one, where the result tells them apart.
    let told_apart = result.interfaces.iter().any(|i| is_named(&i.name) && !i.sandbox.is_empty());
    let interfaces = result.interfaces.iter_mut().filter(|interface| is_named(&interface.name));
    for interface in interfaces.filter(|i| !told_apart || !i.sandbox.is_empty()) {
        if let Some(mac) = attributes.mac {
            interface.mac = mac.to_string();
        }
        if version >= Version::V1_1_0 || interface.mtu.is_some() {
            interface.mtu = attributes.mtu.map(i64::from).or(interface.mtu);
        }
    }
}
