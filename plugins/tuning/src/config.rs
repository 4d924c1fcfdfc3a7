//! The configuration of `tuning`: every key, who overrides it, and what is refused. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cni_common::spec::json::Value;
use cni_common::spec::{CniArgs, NetworkConfig, Object};
use cni_common::types::{IfName, LinkAttributes, Mac};
use cni_common::{Code, Error, Result};

use crate::sysctl::{self, Sysctl};

/// Where values are kept for DEL unless `dataDir` says otherwise.
const DATA_DIR: &str = "/run/cni/tuning";

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `dataDir`.
    pub data_dir: PathBuf,
    /// The sysctls, in the order of their paths.
    pub sysctls: Vec<Sysctl>,
    /// The attributes of the interface.
    pub attributes: LinkAttributes,
}

impl Config {
    /// Checks the keys of `tuning` for the interface `ifname`. `args` are `CNI_ARGS`.
    pub fn parse(config: &NetworkConfig<'_>, args: &CniArgs, ifname: &IfName) -> Result<Self> {
        let overriding = config.cni_args()?;
        let find = |key: &str| {
            let overriding = overriding.as_ref().and_then(|keys| keys.value(key));
            overriding.or_else(|| config.keys.value(key))
        };
        let is_promiscuous = find("promisc").map_or(Ok(false), |value| value.flag())?;
        Ok(Self {
            data_dir: strict_data_dir(config)?,
            sysctls: sysctls(config, overriding.as_ref(), ifname)?,
            attributes: LinkAttributes {
                mac: mac(config, overriding.as_ref(), args)?,
                promiscuous: is_promiscuous.then_some(true),
                mtu: find("mtu").map_or(Ok(0), |value| number(&value)).map(nonzero)?,
                all_multicast: find("allmulti").map(|value| value.flag()).transpose()?,
                tx_queue_length: find("txQLen").map(|value| number(&value)).transpose()?,
            },
        })
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.attributes.is_empty()
    }
}

/// `dataDir` for a command that no fault of the configuration may stop.
pub fn data_dir(config: &NetworkConfig<'_>) -> PathBuf {
    let configured = config.keys.nonempty("dataDir").ok().flatten();
    configured.map_or_else(|| DATA_DIR.into(), PathBuf::from)
}

fn strict_data_dir(config: &NetworkConfig<'_>) -> Result<PathBuf> {
    config.keys.string("dataDir")?;
    let folder = data_dir(config);
    match config.keys.value("dataDir") {
        // DEL may come from elsewhere.
        Some(value) if !folder.is_absolute() => Err(value.invalid("must be an absolute path")),
        _ => Ok(folder),
    }
}

/// `sysctl`, and over it `args.cni.sysctl`.
fn sysctls(
    config: &NetworkConfig<'_>,
    overriding: Option<&Object<'_>>,
    ifname: &IfName,
) -> Result<Vec<Sysctl>> {
    let mut sysctls = BTreeMap::new();
    let read = |key: &str, value: &Value<'_>| -> Result<Sysctl> {
        let value = value.string()?;
        Ok(Sysctl { key: key.to_owned(), path: sysctl::path_of(key, ifname)?, value })
    };
    for (key, value) in config.keys.object("sysctl")?.iter().flat_map(Object::entries) {
        let sysctl = read(key, &value)?;
        if let Some(before) = sysctls.insert(sysctl.path.clone(), sysctl) {
            let message = "duplicated sysctl keys are not allowed";
            return Err(Error::new(Code::InvalidConfig, message)
                .with_details(format!("sysctl {:?} and {key:?}", before.key)));
        }
    }
    let overriding = overriding.map(|keys| keys.object("sysctl")).transpose()?.flatten();
    for (key, value) in overriding.iter().flat_map(Object::entries) {
        let sysctl = read(key, &value)?;
        sysctls.insert(sysctl.path.clone(), sysctl);
    }
    Ok(sysctls.into_values().collect())
}

/// The interface's address, by precedence: `args.cni`, the runtime's capability, `CNI_ARGS`, the
/// configuration.
fn mac(
    config: &NetworkConfig<'_>,
    overriding: Option<&Object<'_>>,
    args: &CniArgs,
) -> Result<Option<Mac>> {
    let runtime = config.runtime_config()?;
    for keys in [overriding, runtime.as_ref()].into_iter().flatten() {
        if keys.nonempty("mac")?.is_some() {
            return keys.parsed("mac", assignable);
        }
    }
    if let Some(text) = args.get("MAC") {
        return assignable(text).map(Some).ok_or_else(|| {
            Error::new(Code::InvalidEnvironment, format!("CNI_ARGS: MAC: not valid, got {text:?}"))
        });
    }
    match config.keys.nonempty("mac")? {
        Some(_) => config.keys.parsed("mac", assignable),
        None => Ok(None),
    }
}

fn assignable(text: &str) -> Option<Mac> {
    text.parse::<Mac>().ok().filter(|mac| mac.is_assignable())
}

/// A number that the kernel has 31 bits for.
fn number(value: &Value<'_>) -> Result<u32> {
    let number = i32::try_from(value.integer()?).ok().and_then(|number| number.try_into().ok());
    number.ok_or_else(|| value.invalid(format_args!("must be 0 to {}", i32::MAX)))
}

fn nonzero(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use cni_common::spec::Version;

    use super::*;

    fn parse(keys: &str, args: &str) -> Result<Config> {
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"net"{keys}}}"#);
        let config = NetworkConfig::parse(Object::parse(&text, "test")?, &Version::ALL)?;
        Config::parse(&config, &CniArgs::parse(args)?, &"eth0".parse()?)
    }

    fn mac_of(keys: &str, args: &str) -> String {
        parse(keys, args).unwrap().attributes.mac.map(|mac| mac.to_string()).unwrap_or_default()
    }

    #[test]
    fn arguments_go_before_the_runtime_and_that_before_cni_args() {
        let key = r#","mac":"02:00:00:00:00:04""#;
        let runtime = format!(r#"{key},"runtimeConfig":{{"mac":"02:00:00:00:00:02"}}"#);
        let args = format!(r#"{runtime},"args":{{"cni":{{"mac":"02-00-00-00-00-01"}}}}"#);
        let cni_args = "IgnoreUnknown=1;MAC=02:00:00:00:00:03;FOO=1";
        assert_eq!(mac_of(&args, cni_args), "02:00:00:00:00:01");
        assert_eq!(mac_of(&runtime, cni_args), "02:00:00:00:00:02");
        assert_eq!(mac_of(key, cni_args), "02:00:00:00:00:03");
        assert_eq!(mac_of(key, ""), "02:00:00:00:00:04");
        assert_eq!(mac_of(r#","mac":"","runtimeConfig":{"mac":null}"#, ""), "");
    }

    #[test]
    fn nothing_configured_is_nothing_to_do() {
        for keys in [
            "",
            r#","sysctl":{},"mac":"","mtu":0,"promisc":false"#,
            r#","sysctl":null,"mtu":null,"allmulti":null,"txQLen":null,"args":{"cni":{}}"#,
            r#","mtu":1400,"promisc":true,"args":{"cni":{"mtu":0,"promisc":false}}"#,
        ] {
            assert!(parse(keys, "").unwrap().is_empty(), "{keys}");
        }
    }

    #[test]
    fn both_ways_of_allmulti_and_a_queue_of_nothing_are_something_to_do() {
        let config = parse(r#","allmulti":false,"txQLen":0"#, "").unwrap();
        let attributes = LinkAttributes {
            all_multicast: Some(false),
            tx_queue_length: Some(0),
            ..Default::default()
        };
        assert_eq!(config.attributes, attributes);
    }

    #[test]
    fn sysctls_are_sorted_and_arguments_replace_single_ones() {
        let keys = r#","sysctl":{"net.ipv4.b":"1","net.core.a":"2"},
            "args":{"cni":{"sysctl":{"net/ipv4/b":"3","net.ipv6.c":"4"}}}"#;
        let found = parse(keys, "").unwrap().sysctls;
        let found: Vec<_> = found.iter().map(|s| format!("{}={}", s.path, s.value)).collect();
        assert_eq!(found, ["core/a=2", "ipv4/b=3", "ipv6/c=4"]);
        let alone = r#","args":{"cni":{"sysctl":{"net.ipv4.b":"3"}}}"#;
        assert_eq!(parse(alone, "").unwrap().sysctls.len(), 1);
    }

    #[test]
    fn one_sysctl_by_two_names_is_refused() {
        for keys in [
            r#""net.core.a":"1","net.core.a":"2""#,
            r#""net.core.a":"1","net/core/a":"1""#,
            r#""net.ipv4.conf.IFNAME.x":"1","net.ipv4.conf.eth0.x":"0""#,
        ] {
            let error = parse(&format!(r#","sysctl":{{{keys}}}"#), "").unwrap_err();
            assert_eq!(error.message(), "duplicated sysctl keys are not allowed");
        }
    }
}
