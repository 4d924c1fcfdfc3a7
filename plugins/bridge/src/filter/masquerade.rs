//! `ipMasq`: what leaves a container for addresses outside its own subnet gets the host's address.
//!
//! ADD uses one backend; CHECK looks at it; DEL and GC remove what any backend left, the
//! reference plugin's included, because the configuration may have changed in between.

mod iptables;
mod nftables;
mod plan;
mod text;

use std::net::IpAddr;

use cni_common::packet_filter::owner::Living;
use cni_common::packet_filter::{Report, first_supported, reference};
use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Code, Error, Result, log};
use ipnetwork::IpNetwork;

use super::Subject;

pub use crate::config::MasqueradeBackend as Backend;

/// Masquerades the attachment's addresses (each with its subnet's prefix), in one transaction. On
/// failure nothing of it is left.
pub fn ensure(backend: Backend, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let by_nftables = || {
        let doing = || format!("masquerade {} by nftables", list(addresses));
        log::step(doing, || nftables::ensure(&mut Nft::open()?, subject, addresses))
    };
    let by_iptables = || {
        let doing = || format!("masquerade {} by iptables", list(addresses));
        log::step(doing, || iptables::ensure(&mut Nft::open()?, subject, addresses))
    };
    match backend {
        Backend::Nftables => by_nftables(),
        Backend::Iptables => by_iptables(),
        Backend::Automatic => first_supported(by_nftables, by_iptables),
    }
}

/// The same for many attachments by nftables, in few transactions, for who holds the locks of them all. Where it
/// fails, each is to be masqueraded by itself.
pub fn ensure_together(backend: Backend, all: &[(Subject<'_>, Vec<IpNetwork>)]) -> Result<()> {
    if backend == Backend::Iptables {
        let message = "iptables masquerades one attachment after the other";
        return Err(Error::new(Code::Internal, message));
    }
    let doing = || format!("masquerade {} attachments by nftables", all.len());
    log::step(doing, || nftables::ensure_together(&mut Nft::open()?, all))
}

/// Removes all masquerading of the attachment, whichever backend made it. `known` are the
/// addresses that prevResult or the container's interface told; it works without any.
///
/// Goes on after a failure; what failed is reported together.
pub fn remove(subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let remove = || {
        let mut nft = Nft::open()?;
        all([
            nftables::remove(&mut nft, subject, known),
            iptables::remove(&mut nft, subject, known),
            reference::remove_masquerading(&mut nft, subject.attachment),
        ])
    };
    log::step(|| format!("remove masquerading of {}", subject.port), remove)
}

/// Says what is missing or altered of what ADD made: this suite's or the reference plugin's, whose
/// containers go on when the executables are replaced.
pub fn check(backend: Backend, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    let by_nftables = || check_nftables(&mut Nft::open()?, subject, addresses);
    let by_iptables = || check_iptables(subject, addresses);
    match backend {
        Backend::Nftables => by_nftables().map_err(Fault::into_error),
        Backend::Iptables => by_iptables().map_err(Fault::into_error),
        // An ADD before the configuration was changed may have used the other one, and the
        // reference plugin has other defaults.
        Backend::Automatic => by_nftables().or_else(|fault| match by_iptables() {
            Ok(()) => Ok(()),
            Err(Fault::Incomplete(other)) if matches!(fault, Fault::Missing(_)) => Err(other),
            Err(_less_telling) => Err(fault.into_error()),
        }),
    }
}

/// Why CHECK fails.
enum Fault {
    /// Something of the attachment's is there, but not all of it.
    Incomplete(Error),
    /// Nothing of the attachment's is there, or it can't be looked at.
    Missing(Error),
}

impl Fault {
    fn into_error(self) -> Error {
        match self {
            Self::Incomplete(error) | Self::Missing(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Missing(error)
    }
}

fn check_nftables(
    nft: &mut Nft,
    subject: &Subject<'_>,
    addresses: &[IpNetwork],
) -> Result<(), Fault> {
    let mut report = Report::default();
    nftables::check(nft, subject, addresses, &mut report)?;
    if report.is_empty() {
        found("this suite's rules on nftables");
        return Ok(());
    }
    let is_ours = nftables::is_registered(nft, subject)?;
    match reference::check::masquerading(nft, subject.attachment, addresses)? {
        Some(theirs) if theirs.is_empty() => {
            found("the reference plugin's rules on nftables");
            Ok(())
        }
        Some(theirs) if !is_ours => {
            let result = theirs.into_result("masquerading by the reference plugin");
            result.map_err(Fault::Incomplete)
        }
        Some(_) | None if is_ours => report.into_result("masquerading").map_err(Fault::Incomplete),
        Some(_) | None => report.into_result("masquerading").map_err(Fault::Missing),
    }
}

/// Both suites make the same rules there.
fn check_iptables(subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<(), Fault> {
    let mut report = Report::default();
    let any = iptables::check(subject, addresses, &mut report)?;
    match report.into_result("masquerading") {
        Ok(()) => {
            found("the rules on iptables that both suites make");
            Ok(())
        }
        Err(error) if any => Err(Fault::Incomplete(error)),
        Err(error) => Err(Fault::Missing(error)),
    }
}

fn found(rules: &str) {
    log::debug(|| format!("CHECK: masquerading is complete: {rules}"));
}

/// What [`ensure`] would do, as lines; by nftables where the kernel decides.
pub fn lines(backend: Backend, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Vec<String> {
    if addresses.is_empty() {
        return Vec::new();
    }
    match backend {
        Backend::Nftables | Backend::Automatic => {
            let operations = plan::wanted(subject, addresses).operations();
            operations.iter().map(|operation| format!("nft {operation}")).collect()
        }
        Backend::Iptables => {
            let list = list(addresses);
            vec![format!("iptables-restore: the chain CNI-… of {} for {list}", subject.attachment)]
        }
    }
}

/// The comments of all attachments that this suite masquerades on nf_tables.
pub fn list_owners(nft: &mut Nft) -> Result<Vec<String>> {
    nftables::list_owners(nft)
}

/// Whether the attachment is among them.
pub fn is_registered(nft: &mut Nft, subject: &Subject<'_>) -> Result<bool> {
    nftables::is_registered(nft, subject)
}

/// The addresses of a network that this suite masquerades on nf_tables, each with the comment of its
/// attachment.
pub fn list_addresses(nft: &mut Nft, network: &NetworkName) -> Result<Vec<(String, IpAddr)>> {
    nftables::list_addresses(nft, network)
}

/// Removes the masquerading of the network's attachments that live no more. Without a list the
/// chains that the reference may have made stay: nothing proves whom they are of.
pub fn gc(
    network: &NetworkName,
    (living, valid): (&Living<'_>, Option<&ValidAttachments<'_>>),
) -> Result<()> {
    let mut nft = Nft::open()?;
    let ours = nftables::sweep(&mut nft, network, living);
    let Some(valid) = valid else { return ours };
    all([
        ours,
        iptables::sweep(&mut nft, network, valid),
        reference::sweep_masquerading(&mut nft, network, valid),
    ])
}

fn list(addresses: &[IpNetwork]) -> String {
    addresses.iter().map(IpNetwork::to_string).collect::<Vec<_>>().join(" ")
}

fn all(results: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    Error::join(results.into_iter().filter_map(Result::err))
}
