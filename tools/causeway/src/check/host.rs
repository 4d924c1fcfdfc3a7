//! What is wrong with the host for the containers on it.

use cni_common::Result;
use cni_common::nft::{FoundRule, Verdict};
use cni_common::packet_filter::table::INET;
use cni_common::sys::iptables::{Protocol, has_legacy_table};
use cni_common::sys::nft::Nft;
use cni_common::sys::sysctl;
use cni_common::types::net::Link;

use super::{Finding, Seen};
use crate::networks::Network;

/// What a bridge takes besides itself (`BR_MAX_PORTS` of net/bridge/br_private.h).
pub(crate) const MAX_PORTS: usize = 1023;
/// Above this it is worth saying: a tenth is left.
const MANY_PORTS: usize = MAX_PORTS * 9 / 10;
/// What guards the host's 127.0.0.0/8 where others let packets for it in.
const OTHER_GUARD: &str = "KUBE-FIREWALL";
/// Where `portmap` guards it with iptables, and what its comment begins with.
const RAW: &str = "raw";
const GUARD_COMMENT: &str = "Causeway portmap: nobody";
/// The same rule by hand.
const BY_HAND: &str = "iptables -t raw -I PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment 'Causeway \
    portmap: nobody but the host itself reaches its 127.0.0.0/8' -j DROP";

/// Looks at bridges, and at what they let in.
pub(super) fn look(seen: &Seen, findings: &mut Vec<Finding>) -> Result<()> {
    let mut nft = Nft::open()?;
    for (network, bridge) in used_bridges(seen) {
        ports(seen, (network, bridge), findings);
        localnet((&mut nft, seen), (network, bridge), findings)?;
    }
    Ok(())
}

/// The bridges that attachments are on, each with its network.
pub(super) fn used_bridges(seen: &Seen) -> impl Iterator<Item = (&Network, &Link)> {
    seen.networks.all.values().filter_map(|network| {
        let name = network.bridge_name()?;
        let link = seen.attachments.bridges.values().find(|link| link.name == name)?;
        Some((network, link))
    })
}

fn ports(seen: &Seen, (network, bridge): (&Network, &Link), findings: &mut Vec<Finding>) {
    let of_bridge = |link: &&Link| link.master == Some(bridge.index);
    let count = seen.attachments.pairs.iter().filter(of_bridge).count();
    if count >= MANY_PORTS {
        findings.push(Finding {
            kind: "bridge-nearly-full",
            network: network.name.to_string(),
            subject: bridge.name.clone(),
            fault: format!("it has {count} ports of {MAX_PORTS}").into(),
            means: "no kernel gives a bridge more; ADD will fail",
            mend: "give new containers a network on another bridge".to_owned(),
        });
    }
}

/// Whether who is on the bridge reaches what listens on the host's own 127.0.0.1.
fn localnet(
    (nft, seen): (&mut Nft, &Seen),
    (network, bridge): (&Network, &Link),
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let name = format!("ipv4/conf/{}/route_localnet", bridge.name);
    if sysctl::read(&name)?.as_deref() != Some("1") {
        return Ok(());
    }
    // What the old kind of tables holds can't be seen.
    if has_legacy_table(Protocol::Ipv4, RAW) || is_guarded(nft)? {
        return Ok(());
    }
    let mut published = seen.attachments.of(network.name.as_str()).filter(|(_, attached)| {
        let cached = attached.cached.as_ref().filter(|_| attached.host.is_some());
        cached.is_some_and(|one| one.attachment.capability_args.contains_key("portMappings"))
    });
    let mend = match published.next() {
        // The reference has no such guard: nothing of it is missing.
        Some((_, attached)) if !attached.is_ours => BY_HAND.to_owned(),
        Some(_) => format!("causeway repair {}", network.name),
        // Nobody needs it any more.
        None => format!("sysctl -w net.{}=0", name.replace('/', ".")),
    };
    findings.push(Finding {
        kind: "route-localnet-without-guard",
        network: network.name.to_string(),
        subject: bridge.name.clone(),
        fault: format!(
            "{} is 1, and no rule keeps packets for 127.0.0.0/8 away",
            name.replace('/', ".")
        )
        .into(),
        means: "containers reach what listens on the host's 127.0.0.1 alone",
        mend,
    });
    Ok(())
}

/// Whether a rule keeps everybody but the host away from its 127.0.0.0/8.
fn is_guarded(nft: &mut Nft) -> Result<bool> {
    for chain in nft.list_chains()? {
        let is_own = chain.table.is(INET) && chain.name == causeway_portmap::plan::LOCALNET;
        let drops = |rule: &FoundRule| rule.verdict() == Some(Verdict::Drop);
        let has_rule = is_own && nft.list_rules_of(&chain)?.iter().any(drops);
        if chain.name == OTHER_GUARD || (has_rule && chain.hook.is_some()) {
            return Ok(true);
        }
        if chain.table.name == RAW {
            let rules = nft.list_rules_of(&chain)?;
            if rules.iter().any(|rule| rule.comment.starts_with(GUARD_COMMENT)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Networks whose ranges have an address in common.
pub(super) fn overlaps(seen: &Seen, findings: &mut Vec<Finding>) {
    let networks: Vec<&Network> = seen.networks.all.values().collect();
    for (index, one) in networks.iter().enumerate() {
        for other in networks.iter().skip(index + 1) {
            let sets = |network: &&Network| {
                network.ranges.as_ref().map(|config| config.sets.clone()).unwrap_or_default()
            };
            let (ours, theirs) = (sets(one), sets(other));
            let pair = ours.iter().flat_map(|set| theirs.iter().map(move |with| (set, with)));
            let Some((set, with)) = pair.into_iter().find(|(set, with)| set.overlaps(with)) else {
                continue;
            };
            let file = other.list.as_ref().map(|(path, _)| path.display().to_string());
            findings.push(Finding {
                kind: "overlapping-networks",
                network: one.name.to_string(),
                subject: format!("{} and {}", one.name, other.name),
                fault: format!("{set} and {with} have addresses in common").into(),
                means: "the same address is given twice, and the host knows one way to it",
                mend: format!("give one of the two other ranges: {}", file.unwrap_or_default()),
            });
        }
    }
}
