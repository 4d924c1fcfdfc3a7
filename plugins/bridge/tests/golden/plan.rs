//! `plan/<fact>.json`: configuration, IPAM result and what the host has; `plan/<fact>.txt`: what
//! would be done, in the order of an ADD.

use std::fmt::{Display, Write};
use std::path::PathBuf;

use causeway_bridge::config::{BridgeConfig, Gateway};
use causeway_bridge::operation::Operation;
use causeway_bridge::plan::{self, Ends, FoundBridge, VlanGateway};
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
    let bridge = config.bridge.as_str();
    let found = case.get("found").map(|found| FoundBridge {
        link: link(bridge, found),
        keeps_mac: found["keeps_mac"].as_bool().unwrap_or(true),
    });
    section(text, "bridge", plan::bridge(&config, found.as_ref(), mac(0xb0))?);
    section(text, "pair", plan::link_layer(&config, &ends()));
    if config.container_up {
        section(text, "container link", plan::container_link(&config, &ends()));
    }

    let result = completed(&config, case)?;
    if config.gateway >= Gateway::Gateway {
        let (link, addresses) = gateway_link(&config, case, text);
        let operations = plan::gateway_addresses(&config, &result, &link, &addresses)?;
        section(text, "gateway", operations);
    }
    if config.container_up {
        section(text, "container", plan::container(&config, &result, &ends())?);
    }
    if config.gateway >= Gateway::Gateway {
        section(text, "forwarding", plan::forwarding(&result));
    }
    if config.netns_resolv_conf {
        let path = PathBuf::from("/etc/netns/blue/resolv.conf");
        let dns = config.dns.as_ref().unwrap_or(&result.dns);
        section(
            text,
            "name servers",
            vec![plan::resolv_conf((path, "/etc/netns/.unfinished".into()), "# MARKER", dns)?],
        );
    }
    Ok(())
}

fn completed(config: &BridgeConfig, case: &Value) -> Result<CniResult> {
    let json = case.get("ipam").map_or_else(|| "{}".to_owned(), Value::to_string);
    let mut result = CniResult::parse(&Object::parse(&json, "ipam")?, Version::V1_1_0)?;
    plan::complete_result(config, &mut result, 2)?;
    Ok(result)
}

/// The link that gets the gateway addresses, and those it has.
fn gateway_link(config: &BridgeConfig, case: &Value, text: &mut String) -> (Link, Vec<IpNetwork>) {
    let Some(vlan) = config.vlans.access else {
        let none = Value::Object(serde_json::Map::default());
        let found = case.get("found").unwrap_or(&none);
        return (link(config.bridge.as_str(), found), addresses(found));
    };
    let name = format!("{}.{vlan}", config.bridge);
    if let Some(found) = case.get("found_vlan_gateway") {
        return (link(&name, found), addresses(found));
    }
    let gateway = VlanGateway {
        name: name.clone(),
        mac: mac(0xb0),
        port: "vethPORT".to_owned(),
        port_mac: mac(0xb1),
        vlan,
    };
    section(text, "VLAN gateway", plan::vlan_gateway(config, &gateway));
    (link(&name, &Value::Object(serde_json::Map::default())), Vec::new())
}

fn section(text: &mut String, title: &str, operations: Vec<Operation>) {
    writeln!(text, "{title}:").unwrap();
    let mut line = |what: &dyn Display| writeln!(text, "  {what}").unwrap();
    operations.iter().for_each(|operation| line(operation));
    if operations.is_empty() {
        line(&"nothing");
    }
}

fn ends() -> Ends {
    Ends {
        host: "vethHOST".to_owned(),
        host_mac: mac(0x0a),
        container: "eth0".to_owned(),
        container_mac: mac(0x0c),
        unfinished_alias: "UNFINISHED".to_owned(),
    }
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
