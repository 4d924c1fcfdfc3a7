//! `plan/<fact>.json`: configuration, IPAM result and what the host has; `plan/<fact>.txt`: what
//! would be done, in the order of an ADD.

use std::fmt::{Display, Write};

use causeway_bridge::config::{BridgeConfig, Gateway};
use causeway_bridge::operation::Operation;
use causeway_bridge::plan::{
    self, Ends, FoundBridge, FoundVlanGateway, NewLinks, Observed, Plan, ResolvConf, Situation,
    VlanGateway,
};
use cni_common::Result;
use cni_common::spec::{CniArgs, CniResult, NetworkConfig, Object, Version};
use cni_common::types::net::Link;
use cni_common::types::{Mac, parse_cidr};
use ipnetwork::IpNetwork;
use serde_json::Value;
use testsupport::golden;

const FOLDER: &str = "testdata/bridge/plan";

#[test]
fn every_plan_is_what_its_file_says() {
    for (fact, case) in super::cases(FOLDER) {
        let mut text = String::new();
        if let Err(error) = planned(&case, &mut text) {
            writeln!(text, "error {}: {error}", error.code()).unwrap();
        }
        golden::assert_matches(&format!("{FOLDER}/{fact}.txt"), &text);
    }
}

/// Appends all steps of an ADD, as far as it gets.
fn planned(case: &Value, text: &mut String) -> Result<()> {
    let json = super::config(&case["config"]).to_string();
    let keys = NetworkConfig::parse(Object::parse(&json, "config")?, &Version::ALL)?;
    let config = BridgeConfig::parse(&keys, &CniArgs::parse("")?)?;
    let new_links = new_links(&config);
    let observed = observed(&config, case);
    let file = ResolvConf {
        path: "/etc/netns/blue/resolv.conf".into(),
        unfinished: "/etc/netns/.unfinished".into(),
        marker: "# MARKER".to_owned(),
    };
    let mut situation = Situation {
        config: &config,
        new_links: &new_links,
        observed: &observed,
        result: None,
        resolv_conf: Some(&file).filter(|_| config.netns_resolv_conf),
        recorded: plan::Recorded::default(),
    };
    let Plan { bridge, pair, container_link, network } = plan::plan(&situation)?;
    assert_eq!(network, None);
    section(text, "bridge", &bridge);
    section(text, "pair", &pair);
    if config.container_up {
        section(text, "container link", &container_link);
    }

    let mut result = completed(&config, case)?;
    if let Some(dns) = &config.dns {
        result.dns = dns.clone();
    }
    situation.result = Some(&result);
    let plan = plan::plan(&situation)?;
    assert_eq!((plan.bridge, plan.pair, plan.container_link), (bridge, pair, container_link));
    let network = plan.network.unwrap();
    if !network.vlan_gateway.is_empty() {
        section(text, "VLAN gateway", &network.vlan_gateway);
    }
    if config.gateway >= Gateway::Gateway {
        section(text, "gateway", &network.gateway);
    }
    if config.container_up {
        section(text, "container", &network.container);
    }
    if config.gateway >= Gateway::Gateway {
        section(text, "forwarding", &network.forwarding);
    }
    if config.netns_resolv_conf {
        section(text, "name servers", &network.resolv_conf);
    }
    Ok(())
}

fn completed(config: &BridgeConfig, case: &Value) -> Result<CniResult> {
    let json = case.get("ipam").map_or_else(|| "{}".to_owned(), Value::to_string);
    let mut result = CniResult::parse(&Object::parse(&json, "ipam")?, Version::V1_1_0)?;
    plan::complete_result(config, &mut result, 2)?;
    Ok(result)
}

/// What is there, as the case says.
fn observed(config: &BridgeConfig, case: &Value) -> Observed {
    let (bridge, gateway) = (case.get("found"), case.get("found_vlan_gateway"));
    let with_addresses = if config.vlans.access.is_some() { gateway } else { bridge };
    Observed {
        bridge: bridge.map(|found| FoundBridge {
            link: link(config.bridge.as_str(), found),
            has_only_own_ports: false,
            keeps_mac: found["keeps_mac"].as_bool().unwrap_or(true),
        }),
        vlan_gateway: gateway
            .map(|found| FoundVlanGateway { link: link("gateway", found), unjoined_port: None }),
        gateway_addresses: with_addresses.map(addresses).unwrap_or_default(),
    }
}

fn section(text: &mut String, title: &str, operations: &[Operation]) {
    writeln!(text, "{title}:").unwrap();
    let mut line = |what: &dyn Display| writeln!(text, "  {what}").unwrap();
    operations.iter().for_each(|operation| line(operation));
    if operations.is_empty() {
        line(&"nothing");
    }
}

fn new_links(config: &BridgeConfig) -> NewLinks {
    let ends = Ends {
        host: "vethHOST".to_owned(),
        host_mac: mac(0x0a),
        container: "eth0".to_owned(),
        container_mac: mac(0x0c),
        unfinished_alias: "UNFINISHED".to_owned(),
    };
    let vlan = config.vlans.access.filter(|_| config.gateway >= Gateway::Gateway);
    let vlan_gateway = vlan.map(|vlan| VlanGateway {
        name: format!("{}.{vlan}", config.bridge),
        mac: mac(0xb0),
        port: "vethPORT".to_owned(),
        port_mac: mac(0xb1),
        vlan,
    });
    NewLinks { ends, bridge_mac: mac(0xb0), vlan_gateway }
}

fn mac(last: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, last])
}

fn link(name: &str, found: &Value) -> Link {
    Link {
        name: name.to_owned(),
        index: 7,
        mac: found["mac"].as_str().map_or(Some(mac(0xb0)), |text| text.parse().ok()),
        kind: found["kind"].as_str().unwrap_or("bridge").to_owned(),
        is_up: found["is_up"].as_bool().unwrap_or(true),
        is_promiscuous: found["is_promiscuous"].as_bool().unwrap_or(false),
        ..Link::default()
    }
}

fn addresses(found: &Value) -> Vec<IpNetwork> {
    let list = found["addresses"].as_array().cloned().unwrap_or_default();
    list.iter().map(|text| parse_cidr(text.as_str().unwrap()).unwrap()).collect()
}
