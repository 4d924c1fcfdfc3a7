//! STATUS: fails for a configuration that every ADD refuses, and where nothing can be let through.

use cni_common::skel::Request;
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Result};

use crate::config::Config;
use crate::foreign;

/// Reads the configuration, and whether a chain of others drops everything of IPv4, which almost
/// every container has.
pub fn status(request: &Request<'_>) -> Result<()> {
    Config::parse(&request.config)?;
    foreign::require_none(&mut Nft::open()?, &[Protocol::Ipv4], Code::NotAvailable)
}
