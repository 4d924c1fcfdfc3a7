//! STATUS: fails for a configuration that every ADD refuses, and where ports can't be mapped at all.

use cni_common::skel::Request;
use cni_common::sys::iptables::{Iptables, Kind, Protocol};
use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result};

use crate::config::{Backend, Config};

/// Reads the configuration, and whether the kernel has nf_tables or the machine the program.
pub fn status(request: &Request<'_>) -> Result<()> {
    let backend = Config::parse(&request.config)?.backend;
    let has_nftables = || Ok::<_, Error>(Nft::open()?.generation()?.is_some());
    let has_program = || Iptables { protocol: Protocol::Ipv4, kind: Kind::Default }.is_installed();
    let missing = match backend {
        Backend::Nftables if !has_nftables()? => "the kernel lacks nf_tables",
        Backend::Iptables if !has_program() => "program \"iptables-restore\" is not installed",
        Backend::Automatic if !has_nftables()? && !has_program() => {
            "the kernel lacks nf_tables, and program \"iptables-restore\" is not installed"
        }
        Backend::Nftables | Backend::Iptables | Backend::Automatic => return Ok(()),
    };
    Err(Error::new(Code::NotAvailable, missing))
}
