//! STATUS: whether an ADD could work. It fails only where something is wrong that makes every ADD
//! fail. A full pool is none of that: its containers live, and STATUS failing would take the node
//! out of service. Waits for no lock, writes nothing, and does not read the leases.

use cni_common::{Code, Context, Result};

use crate::config::Config;
use crate::store::Pool;
use crate::{add, allocate};

/// Fails with code 50 where every ADD would fail.
pub(crate) fn status(config: &Config) -> Result<()> {
    for (index, set) in config.sets.iter().enumerate() {
        allocate::refuse_empty(set, Code::NotAvailable)
            .with_context(|| format!("failed to allocate for range {index}"))?;
    }
    add::read_dns(config).map_err(|error| error.with_code(Code::NotAvailable))?;
    Pool::refuse_unwritable(&config.location)
}
