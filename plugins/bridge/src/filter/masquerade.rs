//! `ipMasq`: what leaves a container for addresses outside its own subnet gets the host's address.
//!
//! ADD uses one backend; CHECK looks at it; DEL and GC take away what any backend left, the
//! reference plugin's included, because the configuration may have changed in between.

mod native;
mod plan;

use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

use super::Subject;
use super::report::Report;

pub use crate::config::MasqueradeBackend as Backend;

/// Masquerades the attachment's addresses (each with its subnet's prefix), in one transaction.
pub fn ensure(backend: Backend, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    if backend == Backend::Iptables {
        return Err(unsupported());
    }
    native::ensure(&mut Nft::open()?, subject, addresses)
}

/// Takes away all masquerading of the attachment, whichever backend made it. `known` are the
/// addresses that prevResult or the container's interface told; it works without any.
///
/// Goes on after a failure; what failed is reported together.
pub fn remove(subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let mut errors = Vec::new();
    let mut nft = Nft::open()?;
    errors.extend(native::remove(&mut nft, subject, known).err());
    Error::join(errors).map_or(Ok(()), Err)
}

/// Says what is missing or altered of what ADD made.
pub fn check(backend: Backend, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    if backend == Backend::Iptables {
        return Err(unsupported());
    }
    let mut report = Report::default();
    native::check(&mut Nft::open()?, subject, addresses, &mut report)?;
    report.into_result("masquerading")
}

/// Takes away the masquerading of the network's attachments that live no more.
pub fn gc(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let mut errors = Vec::new();
    let mut nft = Nft::open()?;
    errors.extend(native::sweep(&mut nft, network, valid).err());
    Error::join(errors).map_or(Ok(()), Err)
}

fn unsupported() -> Error {
    Error::new(Code::UnsupportedField, "ipMasqBackend \"iptables\": not implemented yet")
}
