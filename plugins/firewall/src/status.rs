//! STATUS: fails for a configuration that every ADD refuses, and where nothing can be let through.

use cni_common::skel::Request;
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Result};

use crate::config::Config;
use crate::foreign::Senders;
use crate::{foreign, zone};

/// Reads the configuration, and whether a chain of others drops everything of IPv4, which almost
/// every container has.
pub fn status(request: &Request<'_>) -> Result<()> {
    let config = Config::parse(&request.config)?;
    let mut nft = Nft::open()?;
    zone::find(&mut nft, &config, Code::NotAvailable)?;
    let senders = Senders { protocols: vec![Protocol::Ipv4], ..Senders::default() };
    foreign::require_none(&mut nft, &senders, Code::NotAvailable)
}
