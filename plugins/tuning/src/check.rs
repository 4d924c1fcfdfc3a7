//! CHECK: what is configured is so. What is not configured is nobody's promise.

use cni_common::skel::AttachmentRequest;
use cni_common::sys::sysctl::Folder;
use cni_common::types::{IfName, LinkAttributes};
use cni_common::{Code, Error, Result};
use nix::errno::Errno;

use crate::config::Config;
use crate::sysctl::{Sysctl, is_same_value};

/// Compares the namespace with the configuration.
pub(crate) fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let ifname = &request.attachment.ifname;
    let config = Config::parse(&request.request.config, &request.request.args()?, ifname)?;
    request.required_prev_result(crate::NO_PREV_RESULT)?;
    if config.is_empty() {
        return Ok(());
    }
    let (netns, mut netlink) = request.open_netns()?;
    netns.run(|| compare_sysctls(&config.sysctls))??;
    if config.attributes.is_empty() {
        return Ok(());
    }
    match netlink.find_link(ifname.as_str())? {
        Some(link) => compare(&config.attributes, &link.attributes(), ifname),
        None => Err(failed(format!("Cannot find container link {ifname}"))),
    }
}

fn failed(message: String) -> Error {
    Error::new(Code::CheckFailed, message)
}

fn compare_sysctls(sysctls: &[Sysctl]) -> Result<()> {
    let folder = Folder::open()?;
    // An empty value sets nothing: the kernel takes it, and goes on.
    for Sysctl { key, path, value } in sysctls.iter().filter(|one| !one.value.is_empty()) {
        let found = match folder.read(path) {
            Ok(found) => found,
            // One that is only for writing has no value.
            Err(error) if error.raw_errno() == Some(Errno::EACCES) => continue,
            Err(error) => {
                return Err(error.with_code(Code::CheckFailed).context(format!("sysctl {key:?}")));
            }
        };
        if !is_same_value(&found, value) {
            return Err(failed(format!(
                "Error: Tuning configured value of /proc/sys/net/{path} is {value}, current value is {found}"
            )));
        }
    }
    Ok(())
}

/// The words of the reference for the first attribute that is not as configured.
fn compare(wanted: &LinkAttributes, found: &LinkAttributes, ifname: &IfName) -> Result<()> {
    let differing = wanted.differing_from(found);
    let differs = |what: &str, wanted: String, found: String| {
        Err(failed(format!(
            "Error: Tuning configured {what} of {ifname} is {wanted}, current value is {found}"
        )))
    };
    if let Some(mac) = differing.mac {
        return differs("Ethernet", mac.to_string(), shown(found.mac));
    }
    if let Some(is_promiscuous) = differing.promiscuous {
        return Err(failed(format!(
            "Error: Tuning link {ifname} configured promisc is {is_promiscuous}, current value is {}",
            u8::from(found.promiscuous == Some(true))
        )));
    }
    if let Some(mtu) = differing.mtu {
        return differs("MTU", mtu.to_string(), shown(found.mtu));
    }
    if let Some(is_all_multicast) = differing.all_multicast {
        let found = shown(found.all_multicast);
        return differs("all-multicast mode", is_all_multicast.to_string(), found);
    }
    match differing.tx_queue_length {
        Some(length) => {
            differs("Transmit Queue Length", length.to_string(), shown(found.tx_queue_length))
        }
        None => Ok(()),
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}
