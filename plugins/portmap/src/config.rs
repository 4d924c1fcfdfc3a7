//! The configuration of `portmap`: every key, and what is refused. Pure.

use std::collections::HashMap;

use cni_common::spec::json::Value;
use cni_common::spec::{NetworkConfig, Object};
use cni_common::{Code, Error, Result};

use crate::mapping::Mapping;

/// Keys that mean something to iptables only.
const MARK_KEYS: [&str; 2] = ["externalSetMarkChain", "markMasqBit"];
/// Further conditions, for each IP version.
const CONDITION_KEYS: [&str; 2] = ["conditionsV4", "conditionsV6"];
/// A mark has as many bits.
const MARK_BITS: i64 = 32;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `snat`.
    pub snat: Snat,
    /// `runtimeConfig.portMappings`, without those that say the same.
    pub mappings: Vec<Mapping>,
}

/// Whose packets to a mapped port get the host's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snat {
    /// Nobody's: `snat` is false.
    Nobody,
    /// Those that would be answered past the host: of the container's own subnet and of 127.0.0.0/8.
    Needed,
    /// Everybody's: `masqAll`.
    Everybody,
}

impl Config {
    /// Checks the keys of `portmap`.
    pub fn parse(config: &NetworkConfig<'_>) -> Result<Self> {
        let keys = &config.keys;
        require_nftables(keys)?;
        let is_wanted = keys.value("snat").map_or(Ok(true), |value| value.flag())?;
        let of_everybody = keys.flag("masqAll")?;
        Ok(Self {
            snat: match (is_wanted, of_everybody) {
                (false, _) => Snat::Nobody,
                (true, false) => Snat::Needed,
                (true, true) => Snat::Everybody,
            },
            mappings: mappings(config)?,
        })
    }
}

/// Fails for what only rules of iptables could do, and for conditions.
fn require_nftables(keys: &Object<'_>) -> Result<()> {
    require_valid_mark(keys)?;
    let mut foreign = Vec::new();
    if keys.nonempty("externalSetMarkChain")?.is_some() {
        foreign.extend(keys.value("externalSetMarkChain"));
    }
    for key in CONDITION_KEYS {
        let words = keys.strings(key)?;
        let (Some(first), Some(value)) = (words.first(), keys.value(key)) else { continue };
        if !first.starts_with(['-', '!']) {
            return Err(unsupported(&value, "conditions are not supported yet with nftables"));
        }
        foreign.push(value);
    }
    if let Some(value) = keys.value("backend") {
        require_backend(&value, &foreign)?;
    }
    match foreign.first() {
        Some(value) => {
            Err(unsupported(value, "needs the backend iptables, which is not there yet"))
        }
        None => Ok(()),
    }
}

/// Fails for another backend than nftables, and if there are keys that are `foreign` to that.
fn require_backend(backend: &Value<'_>, foreign: &[Value<'_>]) -> Result<()> {
    match backend.string()?.as_str() {
        "nftables" if foreign.is_empty() => Ok(()),
        "nftables" => {
            let keys: Vec<String> = foreign.iter().map(Value::path).collect();
            // The words of the reference.
            let message = format!(
                "nftables backend was requested but configuration contains iptables-specific \
                 options [{}]",
                keys.join(" ")
            );
            Err(Error::new(Code::InvalidConfig, message))
        }
        "iptables" => Err(unsupported(backend, "this backend is not there yet, only nftables is")),
        other => Err(Error::new(Code::InvalidConfig, format!("unrecognized backend {other:?}"))),
    }
}

fn unsupported(value: &Value<'_>, fault: &str) -> Error {
    value.invalid(fault).with_code(Code::UnsupportedField)
}

/// `markMasqBit` is of no use on nftables, which needs no mark, and harmless.
fn require_valid_mark(keys: &Object<'_>) -> Result<()> {
    let [chain, bit] = MARK_KEYS;
    let Some(number) = keys.integer(bit)? else { return Ok(()) };
    if keys.nonempty(chain)?.is_some() {
        let message = "Cannot specify externalSetMarkChain and markMasqBit";
        return Err(Error::new(Code::InvalidConfig, message));
    }
    match (0..MARK_BITS).contains(&number) {
        true => Ok(()),
        false => Err(Error::new(Code::InvalidConfig, "MasqMarkBit must be between 0 and 31")
            .with_details(format!("{bit}: {number}"))),
    }
}

/// The mappings in their order. Two of one port that lead to different ports are refused.
fn mappings(config: &NetworkConfig<'_>) -> Result<Vec<Mapping>> {
    let Some(runtime) = config.runtime_config()? else { return Ok(Vec::new()) };
    let values = runtime.list("portMappings")?;
    let mut mappings: Vec<Mapping> = Vec::with_capacity(values.len());
    let mut taken = HashMap::with_capacity(values.len());
    for value in values {
        for mapping in Mapping::parse(&value.object()?)? {
            match taken.insert(mapping.at(), mapping.container_port) {
                None => mappings.push(mapping),
                Some(port) if port == mapping.container_port => {}
                Some(port) => {
                    return Err(value.invalid(format_args!(
                        "the host port leads to container port {port} already"
                    )));
                }
            }
        }
    }
    Ok(mappings)
}
