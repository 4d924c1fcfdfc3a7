//! The part of a network configuration that every plugin reads alike.

use super::json::Object;
use super::result::{CniResult, Dns};
use super::version::Version;
use crate::error::{Code, Error, Result};
use crate::types::NetworkName;

/// Keys of every plugin that are not far from "name".
const KNOWN_KEYS: [&str; 3] = ["type", "ipam", "args"];

/// A configuration as it came on stdin: the common keys checked, the plugin's own in [`Self::keys`].
#[derive(Clone, Debug)]
pub struct NetworkConfig<'a> {
    /// `cniVersion`.
    pub version: Version,
    /// `name`.
    pub name: NetworkName,
    /// The whole object, for the keys of the plugin.
    pub keys: Object<'a>,
}

impl<'a> NetworkConfig<'a> {
    /// Checks the common keys. `supported` are the versions that the plugin speaks.
    pub fn parse(keys: Object<'a>, supported: &[Version]) -> Result<Self> {
        let name = keys.string("name")?.unwrap_or_default();
        let name = name.parse::<NetworkName>().map_err(|error| {
            let misspelt = keys.misspelt("name", &KNOWN_KEYS).filter(|_| name.is_empty());
            misspelt.map_or(error.clone(), |details| error.with_details(details))
        })?;
        let version = version(&keys, supported)?;
        Ok(Self { version, name, keys })
    }

    /// `ipam.type`; `None` when there is no IPAM to be run.
    pub fn ipam_type(&self) -> Result<Option<String>> {
        match self.keys.object("ipam")? {
            Some(ipam) => ipam.nonempty("type"),
            None => Ok(None),
        }
    }

    /// `prevResult`, written in the configuration's own version.
    pub fn prev_result(&self) -> Result<Option<CniResult>> {
        let Some(object) = self.keys.object("prevResult")? else { return Ok(None) };
        CniResult::parse(&object, self.version).map(Some)
    }

    /// `dns`, if it sets anything.
    pub fn dns(&self) -> Result<Option<Dns>> {
        let Some(object) = self.keys.object("dns")? else { return Ok(None) };
        Ok(Some(Dns::parse(&object)?).filter(|dns| !dns.is_empty()))
    }

    /// The object at `key` of `runtimeConfig`: what the runtime says for a capability.
    pub fn runtime_config(&self) -> Result<Option<Object<'a>>> {
        self.keys.object("runtimeConfig")
    }

    /// `args.cni`.
    pub fn cni_args(&self) -> Result<Option<Object<'a>>> {
        match self.keys.object("args")? {
            Some(args) => args.object("cni"),
            None => Ok(None),
        }
    }
}

/// The configuration's version if `supported` has it; code 1 if not.
fn version(keys: &Object<'_>, supported: &[Version]) -> Result<Version> {
    let text = keys.string("cniVersion")?.unwrap_or_default();
    match Version::find(&text).filter(|version| supported.contains(version)) {
        Some(version) => Ok(version),
        None => {
            let offers: Vec<String> =
                supported.iter().map(|version| format!("{:?}", version.as_str())).collect();
            Err(Error::new(Code::IncompatibleVersion, "incompatible CNI versions").with_details(
                format!("config is {text:?}, plugin supports [{}]", offers.join(" ")),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NetworkConfig<'_>> {
        NetworkConfig::parse(Object::parse(text, "test").unwrap(), &Version::ALL)
    }

    #[test]
    fn a_missing_version_is_0_1_0() {
        for text in [
            r#"{"name":"n"}"#,
            r#"{"name":"n","cniVersion":""}"#,
            r#"{"NAME":"n","cniVersion":null}"#,
        ] {
            assert_eq!(parse(text).unwrap().version, Version::V0_1_0);
        }
    }

    #[test]
    fn a_version_that_is_not_spoken_is_code_1() {
        let error = parse(r#"{"name":"n","cniVersion":"2.0.0"}"#).unwrap_err();
        assert!(error.is(Code::IncompatibleVersion));
        assert_eq!(error.message(), "incompatible CNI versions");
        assert!(
            error
                .details()
                .unwrap()
                .starts_with("config is \"2.0.0\", plugin supports [\"0.1.0\" ")
        );
    }

    #[test]
    fn empty_objects_set_nothing() {
        let config =
            parse(r#"{"name":"n","ipam":{},"dns":{},"runtimeConfig":null,"args":{}}"#).unwrap();
        assert_eq!(config.ipam_type().unwrap(), None);
        assert_eq!(config.dns().unwrap(), None);
        assert!(config.runtime_config().unwrap().is_none());
        assert!(config.cni_args().unwrap().is_none());
        assert_eq!(config.prev_result().unwrap(), None);
    }
}
