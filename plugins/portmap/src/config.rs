//! The configuration of `portmap`: every key, and what is refused. Pure.

mod backend;
mod conditions;

use std::collections::HashMap;

use cni_common::Result;
use cni_common::spec::NetworkConfig;

use crate::mapping::Mapping;

pub use self::backend::{Alternatives, Backend, ByVersion, IptablesKeys, Marking};

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `backend`, and what the other keys ask for.
    pub backend: Backend,
    /// `snat`.
    pub snat: Snat,
    /// What only backend `iptables` needs.
    pub iptables: IptablesKeys,
    /// The conditions with backend `nftables`.
    pub nftables: ByVersion<Alternatives>,
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
        let (backend, iptables, nftables) = backend::parse(keys)?;
        let is_wanted = keys.value("snat").map_or(Ok(true), |value| value.flag())?;
        let of_everybody = keys.flag("masqAll")?;
        Ok(Self {
            backend,
            iptables,
            nftables,
            snat: match (is_wanted, of_everybody) {
                (false, _) => Snat::Nobody,
                (true, false) => Snat::Needed,
                (true, true) => Snat::Everybody,
            },
            mappings: mappings(config)?,
        })
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
