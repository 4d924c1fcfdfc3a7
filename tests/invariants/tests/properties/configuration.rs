//! Keys of configurations, against the table of what each takes.

use causeway_bridge::config::BridgeConfig;
use causeway_host_local::config::Config;
use cni_common::spec::{CniArgs, NetworkConfig, Object, Version};
use cni_common::{Code, Error};
use proptest::prelude::*;
use serde_json::{Value, json};

fn bridge(keys: Value) -> Result<BridgeConfig, Error> {
    let mut config = json!({"cniVersion": "1.1.0", "name": "net"});
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let text = config.to_string();
    let config = NetworkConfig::parse(Object::parse(&text, "test")?, &Version::ALL)?;
    BridgeConfig::parse(&config, &CniArgs::default())
}

/// Numbers around every edge.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -3_i64..10, 4090_i64..4100, 65530_i64..65540]
}

/// A JSON value of any kind.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,5}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Keys of `bridge` that are flags.
const FLAGS: [&str; 11] = [
    "isGateway",
    "isDefaultGateway",
    "forceAddress",
    "ipMasq",
    "hairpinMode",
    "promiscMode",
    "macspoofchk",
    "enabledad",
    "portIsolation",
    "preserveDefaultVlan",
    "netnsResolvConf",
];

proptest! {
    #![proptest_config(super::cases(1024))]

    #[test]
    fn vlan_and_mtu_have_their_ranges(vlan in number(), mtu in number()) {
        let found = bridge(json!({"vlan": vlan}));
        prop_assert_eq!(found.is_ok(), (0..=4094).contains(&vlan));
        if let Err(error) = found {
            prop_assert!(error.is(Code::InvalidConfig) && error.message().contains(&vlan.to_string()));
            prop_assert_eq!(error.details(), Some("vlan"));
        }
        let found = bridge(json!({"mtu": mtu}));
        prop_assert_eq!(found.is_ok(), (0..=65535).contains(&mtu));
        if let Err(error) = found {
            prop_assert_eq!(error.message(), format!("mtu: must be 0 to 65535, got {mtu}"));
        }
    }

    #[test]
    fn a_trunk_holds_what_it_names(items in prop::collection::vec(
        (prop::option::of(number()), prop::option::of(number()), prop::option::of(number())), 0..6
    )) {
        let value: Vec<Value> = items
            .iter()
            .map(|(id, min, max)| json!({"id": id, "minID": min, "maxID": max}))
            .collect();
        let mut wanted = std::collections::BTreeSet::new();
        let is_vlan = |id: &Option<i64>| id.is_none_or(|id| (1..=4094).contains(&id));
        let sound = items.iter().all(|(id, min, max)| {
            let ids = is_vlan(id) && is_vlan(min) && is_vlan(max);
            ids && min.is_some() == max.is_some() && min <= max
        });
        if sound {
            for (id, min, max) in &items {
                wanted.extend(*id);
                wanted.extend(min.zip(*max).into_iter().flat_map(|(min, max)| min..=max));
            }
        }
        match bridge(json!({"vlanTrunk": value})) {
            Ok(config) => {
                prop_assert!(sound);
                let found = config.vlans.trunk.iter().flat_map(|range| range.first.get()..=range.last.get());
                prop_assert_eq!(found.map(i64::from).collect::<Vec<_>>(), wanted.into_iter().collect::<Vec<_>>());
            }
            Err(error) => {
                prop_assert!(!sound && error.is(Code::InvalidConfig), "{:?}", error);
                prop_assert!(error.details().unwrap().starts_with("vlanTrunk["), "{:?}", error);
            }
        }
    }

    #[test]
    fn a_flag_is_true_false_or_absent(key in prop::sample::select(&FLAGS[..]), value in any_value()) {
        match bridge(json!({key: value})) {
            Ok(_) => prop_assert!(value.is_boolean() || value.is_null()),
            Err(error) => {
                prop_assert!(!value.is_boolean() && !value.is_null() && error.is(Code::Decode));
                let said = format!("{key}: must be true or false, got ");
                prop_assert!(error.message().starts_with(&said), "{}", error);
            }
        }
    }

    /// Whatever the value, it is taken or refused with its key; the case of the key does not matter.
    #[test]
    fn an_error_names_its_key(
        key in prop::sample::select(&["mtu", "vlan", "bridge", "ipMasqBackend", "dns", "vlanTrunk"][..]),
        value in any_value(),
    ) {
        let found = bridge(json!({key: value}));
        let other = bridge(json!({key.to_uppercase(): value}));
        prop_assert_eq!(found.as_ref().err().map(Error::code), other.err().map(|error| error.code()));
        if let Err(error) = found {
            let text = format!("{} {}", error.message(), error.details().unwrap_or_default());
            prop_assert!(text.contains(key) || text.contains("VLAN") || text.contains("backend"), "{}", text);
        }
    }

    #[test]
    fn an_ipam_object_is_taken_or_refused_by_its_key(
        key in prop::sample::select(&[
            "ranges", "subnet", "rangeStart", "routes", "exclude", "dataDir", "resolvConf", "stickyBy", "cooldownSeconds",
        ][..]),
        value in any_value(),
    ) {
        let text = json!({"name": "n", "cniVersion": "1.0.0", "ipam": {"subnet": "10.0.0.0/24", key: value}}).to_string();
        let config = NetworkConfig::parse(Object::parse(&text, "test").unwrap(), &Version::ALL).unwrap();
        match Config::parse(&config, &CniArgs::default()) {
            Ok(config) => prop_assert!(!config.sets.is_empty()),
            Err(error) => {
                prop_assert!(error.is(Code::Decode) || error.is(Code::InvalidConfig) || error.is(Code::UnsupportedField));
                let known = ["range set", "no IP ranges"].iter().any(|words| error.message().contains(words));
                prop_assert!(known || error.message().contains(&format!("ipam.{key}")), "{}", error);
            }
        }
    }
}
