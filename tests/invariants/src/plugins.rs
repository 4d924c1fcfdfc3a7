//! What the smaller plugins read: the configurations of `bandwidth`, `static` and `tuning`, the allow list of
//! sysctls, and the values that are kept for DEL.

use causeway_bandwidth::bucket::Shape;
use causeway_bandwidth::config::{Config as BandwidthConfig, Subnets};
use causeway_static::config::Config as StaticConfig;
use causeway_tuning::allow_list::AllowList;
use causeway_tuning::backup;
use causeway_tuning::config::Config as TuningConfig;
use cni_common::Code;
use cni_common::spec::{CniArgs, Version};
use cni_common::types::Mac;

use super::configuration::{REFUSALS, network};
use super::{halves, is_sound};

/// The configuration of `bandwidth`.
pub fn config_bandwidth(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(network) = network(text) else { return };
    let config = match BandwidthConfig::parse(&network) {
        Ok(config) => config,
        Err(error) => return is_sound(&error, &REFUSALS),
    };
    assert!((1..=60_000).contains(&config.latency));
    for limit in config.ingress.iter().chain(&config.egress) {
        assert!(limit.rate > 0);
        // No rate and no burst overflows what the kernel is told.
        for mtu in [68, 1500, 65_535] {
            Shape::of(limit, config.latency, mtu);
        }
    }
    let (Subnets::Except(subnets) | Subnets::Only(subnets)) = &config.subnets else { return };
    assert!(!subnets.is_empty());
    for (place, one) in subnets.iter().enumerate() {
        assert_eq!(one.ip(), one.network(), "host bits");
        let apart = |other: &ipnetwork::IpNetwork| !one.contains(other.ip());
        assert!(place > 100 || subnets[place + 1..].iter().all(apart), "{subnets:?}");
    }
}

/// The configuration of `static`: JSON, and after a NUL the `CNI_ARGS`.
pub fn config_static(data: &[u8]) {
    let Some((text, args)) = halves(data) else { return };
    let Ok(network) = network(text) else { return };
    match CniArgs::parse(args).and_then(|args| StaticConfig::parse(&network, &args)) {
        Err(error) => is_sound(&error, &REFUSALS),
        Ok(config) => {
            let mut ips: Vec<_> = config.addresses.iter().map(|a| a.address.ip()).collect();
            ips.sort();
            ips.dedup();
            assert_eq!(ips.len(), config.addresses.len());
            let of_ipv4 = config.addresses.iter().filter(|a| a.address.is_ipv4()).count();
            let few = of_ipv4 <= 1 && config.addresses.len() - of_ipv4 <= 1;
            assert!(few || network.version >= Version::V0_3_0);
        }
    }
}

/// The configuration of `tuning`: JSON, and after a NUL the `CNI_ARGS`.
pub fn config_tuning(data: &[u8]) {
    let Some((text, args)) = halves(data) else { return };
    let Ok(network) = network(text) else { return };
    let ifname = "eth0.5".parse().expect("an interface's name");
    let parsed =
        CniArgs::parse(args).and_then(|args| TuningConfig::parse(&network, &args, &ifname));
    match parsed {
        Err(error) => is_sound(&error, &REFUSALS),
        Ok(config) => {
            assert!(config.data_dir.is_absolute());
            assert!(config.attributes.mac.is_none_or(Mac::is_assignable));
            assert!(
                config.attributes.mtu != Some(0) && config.attributes.promiscuous != Some(false)
            );
            assert!(config.sysctls.is_sorted_by(|one, other| one.path < other.path));
            for sysctl in &config.sysctls {
                let is_plain = |word: &str| !matches!(word, "" | "." | "..");
                assert!(sysctl.path.split('/').all(is_plain), "{sysctl:?}");
            }
        }
    }
}

/// The allow list of sysctls: its text, and after a NUL a key.
pub fn allow_list(data: &[u8]) {
    let Some((text, key)) = halves(data) else { return };
    if let Err(error) = AllowList::parse(text).require(key) {
        is_sound(&error, &[Code::InvalidConfig]);
    }
    // A line that is the beginning of everything allows everything.
    if AllowList::parse(&format!("^\n{text}")).require(key).is_err() {
        panic!("{key:?} is refused");
    }
}

/// The values that are kept for DEL: read, printed and read again they are the same.
pub fn backup(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let values = backup::parse(text);
    let printed = backup::print(&values);
    assert_eq!(backup::parse(&printed), values);
    assert!(printed.len() < backup::MAX_BYTES);
}
