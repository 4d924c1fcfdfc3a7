//! STATUS: fails for a configuration that every ADD refuses, and without nf_tables.

use cni_common::skel::Request;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result};

use crate::config::Config;

/// Reads the configuration, and whether the kernel has nf_tables.
pub fn status(request: &Request<'_>) -> Result<()> {
    Config::parse(&request.config)?;
    match Nft::open()?.generation()? {
        Some(_generation) => Ok(()),
        None => Err(Error::new(Code::NotAvailable, "the kernel lacks nf_tables")),
    }
}
