//! STATUS: fails for a configuration that every ADD refuses, and where nothing can be let through.

use cni_common::skel::Request;
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Result};

use crate::config::{Backend, Config};
use crate::foreign;

/// Reads the configuration, and whether a chain of others drops everything of IPv4, which almost
/// every container has.
pub fn status(request: &Request<'_>) -> Result<()> {
    let config = Config::parse(&request.config)?;
    let mut nft = Nft::open()?;
    if config.backend == Backend::Automatic {
        foreign::require_no_firewalld(&mut nft)?;
    }
    foreign::require_none(&mut nft, &[Protocol::Ipv4], Code::NotAvailable)
}
