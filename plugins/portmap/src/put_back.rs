//! Putting back the ports of many containers at once, for who holds the locks of them all. Whatever is not
//! simple is refused: then each is for an ADD of its own.

use std::collections::HashSet;
use std::path::PathBuf;

use cni_common::nft::FoundChain;
use cni_common::packet_filter;
use cni_common::packet_filter::iptables::{PROTOCOLS, nftables_table};
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::iptables::has_legacy_table;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Code, Context, Error, Result};

use crate::config::{Backend, Config};
use crate::localnet::Guard;
use crate::target::Targets;
use crate::{add, flows, localnet, plan, text};

/// What an ADD would map.
#[derive(Clone, Debug)]
pub struct Ports {
    attachment: Attachment,
    config: Config,
    targets: Targets,
    netns: PathBuf,
}

impl Ports {
    /// What an ADD with this request would.
    pub fn of(request: &AttachmentRequest<'_>) -> Result<Self> {
        let (_result, config, targets) = add::read(request)?;
        let attachment = request.attachment.clone();
        let netns = request.netns.clone().unwrap_or_default();
        Ok(Self { attachment, config, targets, netns })
    }

    fn what(&self) -> (&Config, &Targets) {
        (&self.config, &self.targets)
    }

    /// Whether it takes more than adding to the suite's own table.
    fn is_for_add(&self) -> bool {
        self.config.backend == Backend::Iptables
            || !plan::is_any_mapped(&self.config, &self.targets)
    }
}

/// Maps them in few transactions.
pub fn together(all: &[Ports]) -> Result<()> {
    let mut nft = Nft::open()?;
    if all.iter().any(Ports::is_for_add) || has_rules_of_others(&mut nft, all)? {
        let message = "there is more to do than to add to the suite's own table";
        return Err(Error::new(Code::Internal, message));
    }
    let wanted = all.iter().map(|one| plan::wanted(&one.attachment, one.what(), &one.netns));
    packet_filter::ensure_together(&mut nft, wanted.collect())
        .with_context(|| format!("map the ports of {} attachments", all.len()))?;
    localnet::let_all_out(all.iter().map(Ports::what), Guard::Nftables)?;
    let versions = |one: &Ports| one.targets.iter().map(|(version, _)| version).collect::<Vec<_>>();
    flows::forget_sent_to_any(all.iter().map(|one| (&one.config, versions(one))));
    Ok(())
}

/// Whether iptables or the reference plugin may have rules of any of them, which an ADD removes.
fn has_rules_of_others(nft: &mut Nft, all: &[Ports]) -> Result<bool> {
    if PROTOCOLS.iter().any(|protocol| has_legacy_table(*protocol, text::TABLE)) {
        return Ok(true);
    }
    let chains = all.iter().flat_map(|one| text::chains(&one.attachment));
    let chains: HashSet<String> = chains.map(|(_from, chain)| chain).collect();
    let is_of_iptables = |chain: &FoundChain| {
        PROTOCOLS.iter().any(|one| chain.table.is(nftables_table(*one, text::TABLE)))
    };
    let containers = all.iter().map(|one| one.attachment.container.as_str()).collect();
    let found = nft.list_chains()?;
    let is_theirs = |chain: &FoundChain| is_of_iptables(chain) && chains.contains(&chain.name);
    Ok(found.iter().any(is_theirs) || host_port::has_any_of(nft, &containers)?)
}
