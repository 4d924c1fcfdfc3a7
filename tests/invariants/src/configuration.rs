//! JSON: configurations, results, and what is planned by them.

use causeway_bridge::config::{BridgeConfig, Gateway};
use causeway_bridge::plan::{self, Ends, NewLinks, Observed, ResolvConf, Situation};
use causeway_host_local::address::Span;
use causeway_host_local::allocate;
use causeway_host_local::config::{self, Config};
use cni_common::spec::{CniArgs, CniResult, NetworkConfig, Object, ValidAttachments, Version};
use cni_common::types::Mac;
use cni_common::{Code, Error};

use super::{halves, is_sound};

/// What may be wrong with a configuration and the variables beside it.
pub(super) const REFUSALS: [Code; 5] = [
    Code::IncompatibleVersion,
    Code::UnsupportedField,
    Code::InvalidEnvironment,
    Code::Decode,
    Code::InvalidConfig,
];

pub(super) fn network(text: &str) -> Result<NetworkConfig<'_>, Error> {
    NetworkConfig::parse(Object::parse(text, "network configuration")?, &Version::ALL)
}

/// The configuration of `bridge`: JSON, and after a NUL the `CNI_ARGS`.
pub fn config_bridge(data: &[u8]) {
    let Some((text, args)) = halves(data) else { return };
    let parse = |text: &str| BridgeConfig::parse(&network(text)?, &CniArgs::parse(args)?);
    let parsed = parse(text);
    match &parsed {
        Err(error) => is_sound(error, &REFUSALS),
        Ok(config) => {
            assert!(config.mtu.is_none_or(|mtu| (1..=65535).contains(&mtu)));
            assert!(config.mac.is_none_or(Mac::is_assignable));
            assert!(!(config.port.hairpin && config.promiscuous));
            assert!(config.container_up || config.ipam.is_none());
            let trunk = &config.vlans.trunk;
            assert!(trunk.iter().all(|range| range.first <= range.last));
            let apart = |pair: &[causeway_bridge::config::Trunk]| {
                pair[0].last.get() + 1 < pair[1].first.get()
            };
            assert!(trunk.windows(2).all(apart), "{trunk:?}");
        }
    }
    // A key that nobody knows changes nothing.
    if let Some(rest) = text.trim_start().strip_prefix('{')
        && !rest.trim_start().starts_with('}')
        && Object::parse(text, "").is_ok()
    {
        let more = format!("{{\"no such key\":[{{}}],{rest}");
        assert_eq!(
            parse(&more).map_err(|error| error.code()),
            parsed.map_err(|error| error.code())
        );
    }
}

/// The configuration of `host-local`: JSON, and after a NUL the `CNI_ARGS`.
pub fn config_host_local(data: &[u8]) {
    let Some((text, args)) = halves(data) else { return };
    let parse = || Config::parse(&network(text)?, &CniArgs::parse(args)?);
    match parse() {
        Err(error) => is_sound(&error, &REFUSALS),
        Ok(config) => accepted(&config),
    }
    // A release fails for nothing but the ways to the pool.
    if let Ok(config) = network(text) {
        config::pool_location(&config).err().iter().for_each(|error| is_sound(error, &REFUSALS));
    }
}

fn accepted(config: &Config) {
    assert!(config.location.data_dir.is_absolute() && !config.sets.is_empty());
    let spans: Vec<(usize, Span)> = config
        .sets
        .iter()
        .enumerate()
        .flat_map(|(index, set)| set.ranges().iter().map(move |range| (index, range.span)))
        .collect();
    assert!(
        spans.len() > 300
            || spans.iter().enumerate().all(|(place, (_, one))| {
                spans[place + 1..].iter().all(|(_, other)| !one.overlaps(other))
            })
    );
    for set in &config.sets {
        let order = allocate::order(set, None);
        let given: u128 = order.iter().fold(0, |sum, span| sum.saturating_add(span.count()));
        for span in &order {
            assert!(span.first <= span.last);
            for number in [span.first, span.last] {
                let ip = causeway_host_local::address::address_of(number);
                assert!(allocate::is_allocatable(set, ip), "{ip} of {set}");
                let range = set.range_of(ip).expect("a range of it");
                assert!(range.subnet.contains(ip) && ip != range.gateway);
                // Wherever the round begins, every address comes up once.
                let round = allocate::order(set, Some(ip));
                let count = round.iter().fold(0_u128, |sum, span| sum.saturating_add(span.count()));
                assert_eq!(count, given, "{set} after {ip}");
            }
        }
    }
    let mut requested = config.requested.clone();
    requested.sort();
    requested.dedup();
    assert_eq!(requested.len(), config.requested.len());
}

/// A result: a byte that chooses the version it is written in, then the JSON.
pub fn result(data: &[u8]) {
    let Some((version, text)) = data.split_first() else { return };
    let version = Version::ALL[usize::from(*version) % Version::ALL.len()];
    let Ok(text) = std::str::from_utf8(text) else { return };
    let parse = |text: &str, version| CniResult::parse(&Object::parse(text, "result")?, version);
    let parsed = match parse(text, version) {
        Ok(parsed) => parsed,
        Err(error) => return is_sound(&error, &REFUSALS),
    };
    for version in Version::ALL {
        match parsed.print(version) {
            Err(error) => {
                assert!(version < Version::V0_3_0);
                is_sound(&error, &[Code::InvalidConfig]);
            }
            Ok(printed) => {
                let again = parse(&printed, version).expect("its own text");
                assert_eq!(again.print(version).expect("printed before"), printed);
                if version >= Version::V1_0_0 {
                    assert_eq!(again, parsed);
                }
                assert_eq!(again.dns, parsed.dns);
            }
        }
    }
}

/// A whole request as far as nothing is done yet: the configuration as every plugin reads it, and what
/// `bridge` would do if `prevResult` were the answer of its IPAM plugin.
pub fn request(data: &[u8]) {
    let Some((text, args)) = halves(data) else { return };
    let config = match network(text) {
        Ok(config) => config,
        Err(error) => return is_sound(&error, &REFUSALS),
    };
    if let Err(error) = ValidAttachments::parse(&config.keys) {
        is_sound(&error, &[Code::InvalidConfig]);
    }
    config.ipam_type().err().iter().for_each(|error| is_sound(error, &REFUSALS));
    let args = CniArgs::parse(args).unwrap_or_default();
    let bridge = BridgeConfig::parse(&config, &args);
    match (bridge, config.prev_result()) {
        (Ok(bridge), Ok(Some(result))) => planned(&bridge, result),
        (bridge, result) => {
            bridge.err().iter().for_each(|error| is_sound(error, &REFUSALS));
            result.err().iter().for_each(|error| is_sound(error, &REFUSALS));
        }
    }
}

fn planned(config: &BridgeConfig, mut result: CniResult) {
    let ends = Ends {
        host: "veth0".to_owned(),
        host_mac: Mac::local([0; 6]),
        container: "eth0".to_owned(),
        container_mac: Mac::local([1; 6]),
        unfinished_alias: String::new(),
    };
    if let Err(error) = plan::complete_result(config, &mut result, 2) {
        return is_sound(&error, &REFUSALS);
    }
    assert!(result.ips.iter().all(|ip| ip.interface == Some(2)));
    if config.gateway == Gateway::Default {
        for ip in &result.ips {
            let is_default = |route: &cni_common::spec::Route| {
                route.is_default() && route.dst.is_ipv4() == ip.address.is_ipv4()
            };
            assert!(result.routes.iter().any(is_default));
        }
    }
    match plan::link_routes(&result) {
        Ok(routes) => assert!(routes.len() <= result.routes.len()),
        Err(error) => is_sound(&error, &REFUSALS),
    }
    let new_links = NewLinks { ends, bridge_mac: Mac::local([2; 6]), vlan_gateway: None };
    let file =
        ResolvConf { path: "/a".into(), unfinished: "/b".into(), marker: "# marker".to_owned() };
    let planned = plan::plan(&Situation {
        config,
        new_links: &new_links,
        observed: &Observed::default(),
        result: Some(&result),
        resolv_conf: Some(&file),
        recorded: plan::Recorded::default(),
    });
    match planned {
        Err(error) => is_sound(&error, &REFUSALS),
        Ok(plan) => {
            let network = plan.network.unwrap_or_default();
            let operations = plan.bridge.iter().chain(&plan.pair).chain(&network.resolv_conf);
            assert!(operations.map(ToString::to_string).all(|shown| !shown.is_empty()));
        }
    }
}
