//! Every key, default and cross-check.

use cni_common::spec::{NetworkConfig, Version};

use super::*;

fn parse_with(keys: &str, args: &str) -> Result<BridgeConfig> {
    let text = format!(r#"{{"cniVersion":"1.0.0","name":"n","type":"bridge"{keys}}}"#);
    let object = Object::parse(&text, "test")?;
    let config = NetworkConfig::parse(object, &Version::ALL)?;
    BridgeConfig::parse(&config, &CniArgs::parse(args)?)
}

fn parse(keys: &str) -> Result<BridgeConfig> {
    parse_with(keys, "")
}

fn fault(keys: &str) -> String {
    let error = parse(keys).unwrap_err();
    assert!(error.is(Code::InvalidConfig), "{error:?}");
    error.message().to_owned()
}

#[test]
fn without_keys_it_is_a_switch_named_cni0() {
    let config = parse("").unwrap();
    assert_eq!(config.bridge.as_str(), "cni0");
    assert_eq!(config.gateway, Gateway::None);
    assert_eq!(config.detection, DuplicateDetection::Skipped);
    assert!(config.container_up && !config.vlans.any() && config.ipam.is_none());
    assert_eq!((config.masquerade, config.mtu, config.mac), (None, None, None));
    assert_eq!(config.dns, None);
    assert_eq!(parse(r#","bridge":"","ipam":{},"mtu":0,"vlan":0,"dns":{}"#).unwrap(), config);
    assert_eq!(parse(r#","addIf":"eth0","bridge":null"#).unwrap(), config);
}

#[test]
fn default_gateway_implies_gateway() {
    assert_eq!(parse(r#","isDefaultGateway":true"#).unwrap().gateway, Gateway::Default);
    assert_eq!(parse(r#","isGateway":true"#).unwrap().gateway, Gateway::Gateway);
}

#[test]
fn modes_that_exclude_each_other_are_refused() {
    assert_eq!(
        fault(r#","hairpinMode":true,"promiscMode":true"#),
        "cannot set hairpin mode and promiscuous mode at the same time"
    );
    assert_eq!(
        fault(r#","disableContainerInterface":true,"ipam":{"type":"host-local"}"#),
        "cannot use IPAM when DisableContainerInterface flag is set"
    );
    assert!(parse(r#","disableContainerInterface":true,"ipam":{}"#).is_ok());
}

#[test]
fn an_unknown_masquerade_backend_is_refused_even_without_masquerade() {
    assert_eq!(fault(r#","ipMasqBackend":"ipfw""#), "unknown ipmasq backend \"ipfw\"");
    let backend = |keys| parse(keys).unwrap().masquerade;
    assert_eq!(backend(r#","ipMasqBackend":"iptables""#), None);
    assert_eq!(backend(r#","ipMasq":true"#), Some(MasqueradeBackend::Automatic));
    assert_eq!(
        backend(r#","ipMasq":true,"ipMasqBackend":"nftables""#),
        Some(MasqueradeBackend::Nftables)
    );
}

#[test]
fn vlan_is_0_to_4094() {
    assert_eq!(fault(r#","vlan":4095"#), "invalid VLAN ID 4095 (must be between 0 and 4094)");
    assert_eq!(fault(r#","vlan":-1"#), "invalid VLAN ID -1 (must be between 0 and 4094)");
    assert_eq!(parse(r#","vlan":4094.0"#).unwrap().vlans.access.unwrap().get(), 4094);
}

#[test]
fn trunk_faults_are_named() {
    let trunk = |items: &str| fault(&format!(r#","vlanTrunk":[{items}]"#));
    assert_eq!(trunk(r#"{"minID":0,"maxID":5}"#), "incorrect trunk minID parameter");
    assert_eq!(trunk(r#"{"minID":1,"maxID":4095}"#), "incorrect trunk maxID parameter");
    assert_eq!(trunk(r#"{"id":4096}"#), "incorrect trunk id parameter");
    assert_eq!(trunk(r#"{"minID":9,"maxID":5}"#), "minID is greater than maxID in trunk parameter");
    assert_eq!(
        trunk(r#"{"minID":9}"#),
        "minID and maxID should be configured simultaneously, maxID is missing"
    );
    assert_eq!(
        trunk(r#"{"maxID":9}"#),
        "minID and maxID should be configured simultaneously, minID is missing"
    );
}

#[test]
fn trunk_ranges_that_touch_are_one() {
    let config = parse(
        r#","vlanTrunk":[{"id":101},{"minID":200,"maxID":299},{"id":100},{"id":300,"minID":250,"maxID":260}]"#,
    );
    let trunk = config.unwrap().vlans.trunk;
    let found: Vec<_> = trunk.iter().map(|t| (t.first.get(), t.last.get())).collect();
    assert_eq!(found, [(100, 101), (200, 300)]);
}

#[test]
fn the_mac_comes_from_the_nearest_of_three_sources() {
    let all = r#","runtimeConfig":{"mac":"02:00:00:00:00:01"},"args":{"cni":{"mac":"02:00:00:00:00:02"}}"#;
    let args_only = r#","args":{"cni":{"mac":"02:00:00:00:00:02"}}"#;
    let mac = |keys| parse_with(keys, "MAC=02:00:00:00:00:03").unwrap().mac.unwrap().to_string();
    assert_eq!(mac(all), "02:00:00:00:00:01");
    assert_eq!(mac(args_only), "02:00:00:00:00:02");
    assert_eq!(mac(""), "02:00:00:00:00:03");
    assert!(
        fault(r#","runtimeConfig":{"mac":"01:00:00:00:00:01"}"#).starts_with("runtimeConfig.mac")
    );
    assert!(parse_with("", "MAC=nonsense").unwrap_err().is(Code::InvalidEnvironment));
}

#[test]
fn names_and_sizes_that_no_link_can_have_are_refused() {
    assert!(fault(r#","bridge":"a/b""#).starts_with("bridge: \"a/b\""));
    assert!(fault(r#","bridge":"sixteen-bytes-xx""#).contains("too long"));
    assert_eq!(fault(r#","mtu":-1"#), "mtu: must be 0 to 65535, got -1");
    assert_eq!(fault(r#","mtu":65536"#), "mtu: must be 0 to 65535, got 65536");
    assert!(parse(r#","mtu":"1500""#).unwrap_err().is(Code::Decode));
}
