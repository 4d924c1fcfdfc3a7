//! Which parts of the packet filter an attachment asks for, and in what order they come and go.

use cni_common::error::{Error, Result};
use cni_common::log;
use cni_common::names;
use cni_common::packet_filter::owner::Living;
use cni_common::skel::{AttachmentRequest, Request};
use cni_common::spec::{CniResult, ValidAttachments};
use cni_common::sys::attacher::is_dead;
use cni_common::types::{Attachment, Mac, NetworkName};
use ipnetwork::IpNetwork;

use crate::config::BridgeConfig;
use crate::filter::{Subject, masquerade, spoofcheck};

/// The rules of one attachment.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    attachment: Attachment,
    port: String,
}

impl Rules {
    /// The rules of `attachment`; none made yet.
    pub(crate) fn of(attachment: &Attachment) -> Self {
        Self { attachment: attachment.clone(), port: names::host_interface(attachment) }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { attachment: &self.attachment, port: &self.port }
    }

    /// Guards the port against foreign senders, if that is configured. The container interface is
    /// still down then.
    pub(crate) fn guard(&self, config: &BridgeConfig, mac: Mac) -> Result<()> {
        if !config.mac_spoof_check {
            return Ok(());
        }
        let doing = || format!("allow no sender but {mac} on {}", self.port);
        log::step(doing, || spoofcheck::ensure(&self.subject(), mac))
    }

    /// Masquerades the addresses of `result`, if that is configured.
    pub(crate) fn masquerade(&self, config: &BridgeConfig, result: &CniResult) -> Result<()> {
        match config.masquerade {
            Some(backend) => masquerade::ensure(backend, &self.subject(), &addresses(result)),
            None => Ok(()),
        }
    }

    /// Says what of it is missing or altered.
    pub(crate) fn check(
        &self,
        config: &BridgeConfig,
        mac: Option<Mac>,
        result: &CniResult,
    ) -> Result<()> {
        if let Some(backend) = config.masquerade {
            masquerade::check(backend, &self.subject(), &addresses(result))?;
        }
        match mac.filter(|_| config.mac_spoof_check) {
            Some(mac) => spoofcheck::check(&self.subject(), mac),
            None => Ok(()),
        }
    }

    /// Takes all of it away, whatever the configuration said when it was made. Where it says now
    /// that there is nothing, a failure to look is none.
    pub(crate) fn remove(&self, expected: Expected, known: &Known) -> Result<()> {
        let masquerade = masquerade::remove(&self.subject(), &known.addresses);
        let doing = || format!("remove the MAC check of {}", self.port);
        let guard = log::step(doing, || spoofcheck::remove(&self.subject(), known.mac));
        reported([(masquerade, expected.masquerade), (guard, expected.guard)])
    }
}

/// Which rules were asked for, so that a failure to look for them is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Those of `ipMasq`.
    pub masquerade: bool,
    /// Those of `macspoofchk`.
    pub guard: bool,
}

impl Expected {
    /// Whether it asks for any.
    pub(crate) fn any(self) -> bool {
        self.masquerade || self.guard
    }

    /// As the keys say; one that can't be read asks for nothing.
    pub(crate) fn by_keys(request: &Request<'_>) -> Self {
        let flag = |key: &str| request.config.keys.flag(key).unwrap_or(false);
        Self { masquerade: flag("ipMasq"), guard: flag("macspoofchk") }
    }
}

/// What is known of an attachment beyond its name; all of it can be done without, more slowly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    addresses: Vec<IpNetwork>,
    mac: Option<Mac>,
}

impl Known {
    /// What `prevResult` says, if it is there and can be read.
    pub(crate) fn by_prev_result(request: &AttachmentRequest<'_>) -> Self {
        let Some(result) = request.known_prev_result() else { return Self::default() };
        let ifname = request.attachment.ifname.as_str();
        let inside = result
            .interfaces
            .iter()
            .find(|interface| interface.name == ifname && !interface.sandbox.is_empty());
        Self {
            addresses: addresses(&result),
            mac: inside.and_then(|interface| interface.mac.parse().ok()),
        }
    }
}

/// Removes what attachments of the network left that live no more.
pub(crate) fn gc(
    network: &NetworkName,
    expected: Expected,
    valid: Option<&ValidAttachments<'_>>,
) -> Result<()> {
    let is_dead = |attachment: &Attachment| is_dead(&names::host_interface(attachment));
    let living = match valid {
        Some(valid) => Living::of(network, valid),
        None => Living::unless(network, &is_dead),
    };
    reported([
        (masquerade::gc(network, (&living, valid)), expected.masquerade),
        (spoofcheck::gc(network, &living), expected.guard),
    ])
}

fn reported(outcomes: [(Result<()>, bool); 2]) -> Result<()> {
    let mut failures = Vec::new();
    for (outcome, is_expected) in outcomes {
        match outcome {
            Err(error) if is_expected => failures.push(error),
            Err(error) => log::debug(|| format!("no rules to be removed: {error}")),
            Ok(()) => {}
        }
    }
    Error::join(failures)
}

fn addresses(result: &CniResult) -> Vec<IpNetwork> {
    result.ips.iter().map(|ip| ip.address).collect()
}
