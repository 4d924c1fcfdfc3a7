//! What the bridge plugin puts into the packet filter: masquerading and anti-spoofing.
//!
//! Everything carries its owner (network, container, interface) as a comment, so that it is found
//! and removed without knowing more, and never by another attachment. Planning is pure (`plan`
//! modules); changing is done through [`cni_common::packet_filter`].
//!
//! - [`masquerade`]: `ipMasq`, on nf_tables or iptables.
//! - [`spoofcheck`]: `macspoofchk`, on nf_tables.

pub mod masquerade;
pub mod spoofcheck;

use cni_common::types::Attachment;

/// Whose rules are meant.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The attachment.
    pub attachment: &'a Attachment,
    /// The name of its host interface: derived from the attachment, so there need not be one.
    pub port: &'a str,
}
