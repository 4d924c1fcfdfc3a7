//! Name resolution of the result. Pure.

use cni_common::Result;
use cni_common::spec::{Dns, NetworkConfig};

/// The configuration's `dns` if it sets anything, else the IPAM's; over either, what the runtime
/// says for the capability `dns` (`servers`, `searches`, `options`).
pub(crate) fn merged(
    config: &NetworkConfig<'_>,
    configured: Option<&Dns>,
    ipam: Dns,
) -> Result<Dns> {
    let mut dns = configured.cloned().unwrap_or(ipam);
    let runtime = match config.runtime_config()? {
        Some(runtime) => runtime.object("dns")?,
        None => None,
    };
    if let Some(runtime) = runtime {
        let replace = |key: &str, words: &mut Vec<String>| -> Result<()> {
            let said = runtime.strings(key)?;
            if !said.is_empty() {
                *words = said;
            }
            Ok(())
        };
        replace("servers", &mut dns.nameservers)?;
        replace("searches", &mut dns.search)?;
        replace("options", &mut dns.options)?;
    }
    Ok(dns)
}
