//! What an ADD would do, as lines, for the operator's tool: it is planned and not done.

use cni_common::error::Result;
use cni_common::names;
use cni_common::spec::CniResult;
use cni_common::sys::Netlink;
use cni_common::types::Attachment;
use ipnetwork::IpNetwork;

use crate::add::new_links;
use crate::config::BridgeConfig;
use crate::filter::{Subject, masquerade, spoofcheck};
use crate::observe::observe;
use crate::operation::Operation;
use crate::plan::{self, Recorded, Situation};

/// The steps in their order: links and addresses as `ip` would have them, rules as `nft` would. The
/// Ethernet addresses of new links are random. Without a `result` no step that needs addresses is there.
pub fn lines(
    host: &mut Netlink,
    config: &BridgeConfig,
    (attachment, result): (&Attachment, Option<&CniResult>),
) -> Result<Vec<String>> {
    let new_links = new_links(attachment, config)?;
    let observed = observe(host, config, &new_links, None)?;
    let (new_links, observed) = (&new_links, &observed);
    let situation = Situation {
        config,
        new_links,
        observed,
        result,
        resolv_conf: None,
        recorded: Recorded::Unasked,
    };
    let plan = plan::plan(&situation)?;
    let network = plan.network.unwrap_or_default();
    let port = names::host_interface(attachment);
    let subject = Subject { attachment, port: &port };
    let addresses: Vec<IpNetwork> =
        result.into_iter().flat_map(|result| &result.ips).map(|ip| ip.address).collect();
    let guard =
        config.mac_spoof_check.then(|| spoofcheck::lines(&subject, new_links.ends.container_mac));
    let rules = config.masquerade.map(|backend| masquerade::lines(backend, &subject, &addresses));
    let shown = |operations: Vec<Operation>| operations.into_iter().map(|one| one.to_string());
    let links = shown(plan.bridge).chain(shown(plan.pair));
    let after = [
        plan.container_link,
        network.vlan_gateway,
        network.gateway,
        network.container,
        network.forwarding,
        network.announcement,
    ];
    let lines = links.chain(guard.into_iter().flatten());
    let lines = lines.chain(after.into_iter().flat_map(shown));
    Ok(lines.chain(rules.into_iter().flatten()).collect())
}
