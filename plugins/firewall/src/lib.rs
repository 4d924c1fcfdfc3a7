//! The plugin `firewall`: lets the host forward what a container sends and is sent, whoever else
//! drops by default, and keeps bridges apart (`ingressPolicy`).
//!
//! - `config`: every key read and checked; `subject`: whose addresses are meant. Pure.
//! - `plan`: what is to be in the suite's own tables. Pure.
//! - `nftables`: making, removing and comparing that.
//! - `isolation`: bridges, which are there while a container with a policy is on them.
//! - `accept`: the one rule in the chain that may drop by default, `FORWARD` of iptables.
//! - `zone`: the zone of firewalld that addresses are in; `firewalld`: how that is asked.
//! - `foreign`: chains of others that drop whatever is accepted here.
//! - `text`, `iptables`: the reference's chains and rules as lines, and made by its programs.
//! - `reference`(mod@reference): the reference's rules, found and removed.
//! - `add`, `del`, `check`, `gc`, `status`: the commands; `put_back`: what ADD makes, for attachments that live.

pub mod accept;
pub mod add;
pub mod check;
pub mod config;
pub mod del;
pub mod firewalld;
pub mod foreign;
pub mod gc;
pub mod iptables;
pub mod isolation;
pub mod nftables;
pub mod plan;
pub mod put_back;
pub mod reference;
pub mod status;
pub mod subject;
pub mod text;
pub mod zone;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::{ValidAttachments, Version};

/// The plugin.
pub struct Firewall;

impl Plugin for Firewall {
    fn name(&self) -> &'static str {
        "firewall"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    /// As the reference.
    fn versions(&self) -> &'static [Version] {
        &[Version::V0_4_0, Version::V1_0_0, Version::V1_1_0]
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        add::add(request)
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        del::del(request)
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        check::check(request)
    }

    fn gc(&self, request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
        gc::gc(request, valid)
    }

    fn status(&self, request: &Request<'_>) -> Result<()> {
        status::status(request)
    }
}

/// What ADD and CHECK say without a `prevResult`.
const NO_PREV_RESULT: &str = "missing prevResult from earlier plugin";
