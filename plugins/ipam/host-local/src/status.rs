//! STATUS: whether an ADD can work. Nothing is changed.

use cni_common::{Code, Error, Result};

use crate::allocate;
use crate::config::Config;
use crate::store::Pool;
use crate::usage::Usage;

/// Fails with code 50 when an ADD would find a set that is full; the details tell of every set.
pub fn status(config: &Config) -> Result<()> {
    let Some(mut pool) = Pool::open(&config.location)? else { return Ok(()) };
    let mut full = Vec::new();
    for (index, set) in config.sets.iter().enumerate() {
        if pool.first_free(&allocate::order(set, None))?.is_none() {
            let usage = Usage::of(&mut pool, set)?;
            if usage.reclaimable == 0 {
                full.push(format!("range set {index} ({set}): {}", usage.advice(pool.path())));
            }
        }
    }
    let mut usages = Vec::new();
    if !full.is_empty() {
        for (index, set) in config.sets.iter().enumerate() {
            usages.push(format!("range set {index}: {}", Usage::of(&mut pool, set)?));
        }
    }
    pool.save();
    if full.is_empty() {
        return Ok(());
    }
    let message = format!("no IP addresses available in {}", full.join("; "));
    Err(Error::new(Code::NotAvailable, message).with_details(usages.join("; ")))
}
