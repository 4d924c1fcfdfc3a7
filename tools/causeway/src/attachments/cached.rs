//! What runtimes keep of attachments: libcni's cache of results.

use cni_common::log;
use cni_runtime::Cache;
use serde_json::Value;

use super::Attachments;
use super::value::Key;
use crate::networks::Places;

/// Adds it to what is known. An attachment of which nothing else is there is not made by it; one whose
/// pair the result names is.
pub(super) fn read(found: &mut Attachments, places: &Places) {
    let entries = match Cache::new(&places.cache_dir).entries() {
        Ok(entries) => entries,
        Err(error) => {
            log::debug(|| format!("no cache: {error}"));
            return;
        }
    };
    for cached in entries {
        let mut key = Key {
            network: cached.network.clone(),
            container: cached.attachment.container_id.clone(),
            ifname: cached.attachment.ifname.clone(),
            other: String::new(),
        };
        let names = host_interfaces(cached.result.as_ref());
        let link = found.pairs.iter().find(|link| names.contains(&link.name.as_str())).cloned();
        if !found.all.contains_key(&key) {
            // A lease in the old form names no interface.
            let old = Key { ifname: String::new(), ..key.clone() };
            match found.all.remove(&old) {
                Some(attached) => drop(found.all.insert(key.clone(), attached)),
                None if link.is_none() => continue,
                None => {}
            }
        }
        let attached = found.all.entry(std::mem::take(&mut key)).or_default();
        if attached.host.is_none() && !attached.is_ours {
            attached.host = link;
        }
        attached.pod = attached.pod.take().or_else(|| pod(&cached.attachment.args));
        attached.netns = Some(cached.attachment.netns.clone()).filter(|path| !path.is_empty());
        attached.cached = Some(cached);
    }
}

/// The interfaces of a result that are on the host.
fn host_interfaces(result: Option<&Value>) -> Vec<&str> {
    let interfaces = result.and_then(|result| result.get("interfaces")?.as_array());
    let text = |one: &'static str| move |object: &'_ Value| object.get(one).is_some_and(is_filled);
    let on_host = interfaces.into_iter().flatten().filter(|one| !text("sandbox")(one));
    on_host.filter_map(|one| one.get("name")?.as_str()).collect()
}

fn is_filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// The Kubernetes pod of `CNI_ARGS`.
fn pod(args: &str) -> Option<String> {
    cni_common::spec::CniArgs::parse(args).ok()?.pod()
}
