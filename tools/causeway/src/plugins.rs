//! Calls of this suite's plugins in this process, about an attachment that its runtime keeps a result of.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cni_common::skel::{AttachmentRequest, Environment, Request};
use cni_common::spec::{NetworkConfig, Object, Version};
use cni_common::{Code, Error, Result};

use crate::attachments::Attached;
use crate::net;
use crate::networks::Network;

/// What every executable of this suite begins its diagnostics with, whatever its version.
const OURS: &[u8] = b"{\"causeway\":";

/// The folders of plugins.
pub(crate) fn folders() -> Vec<PathBuf> {
    let path = env::var_os("CNI_PATH").unwrap_or_else(|| net::PLUGINS.into());
    env::split_paths(&path).collect()
}

/// The executable of a plugin.
pub(crate) fn find(kind: &str) -> Option<PathBuf> {
    folders().into_iter().map(|folder| folder.join(kind)).find(|path| path.is_file())
}

/// Whether the executable of a plugin is this suite's.
pub(crate) fn is_ours(kind: &str) -> bool {
    static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(kind.to_owned()).or_insert_with(|| {
        let content = find(kind).and_then(|path| fs::read(path).ok()).unwrap_or_default();
        content.windows(OURS.len()).any(|window| window == OURS)
    })
}

/// Does something with the request that a runtime would send to a plugin of the network list about the
/// attachment.
pub(crate) fn request<T>(
    (network, attached): (&Network, &Attached),
    kind: &str,
    act: impl FnOnce(&AttachmentRequest<'_>) -> T,
) -> Result<T> {
    let unknown = || {
        Error::new(
            Code::Internal,
            format!("{kind}: there is no result of it in the cache of results"),
        )
    };
    let (_, list) = network.list.as_ref().ok_or_else(unknown)?;
    let plugin = list.find(kind).ok_or_else(unknown)?;
    let cached = attached.cached.as_ref().ok_or_else(unknown)?;
    let config = list.config_of_attachment(plugin, &cached.attachment, cached.result.as_ref());
    let text = serde_json::Value::Object(config).to_string();
    let config = NetworkConfig::parse(Object::parse(&text, "network list")?, &Version::ALL)?;
    let about = &cached.attachment;
    let netns = Some(PathBuf::from(&about.netns)).filter(|path| !path.as_os_str().is_empty());
    let environment = Environment {
        container_id: about.container_id.clone(),
        netns: netns.clone(),
        ifname: about.ifname.clone(),
        args: about.args.clone(),
        path: folders(),
        ..Environment::default()
    };
    let attachment = cni_common::types::Attachment {
        network: network.name.clone(),
        container: about.container_id.parse()?,
        ifname: about.ifname.parse()?,
    };
    let request = Request { config, stdin: text.as_bytes(), environment: &environment };
    Ok(act(&AttachmentRequest { request, attachment, netns }))
}
