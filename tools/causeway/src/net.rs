//! `causeway net`: calls the plugins of a network list as a container runtime does, by `cni-runtime`, with
//! the variables and the cache that cnitool has: what either has attached, the other detaches.

use std::env;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use cni_common::types::hash;
use cni_common::{Code, Error, Result};
use cni_runtime::{Attachment, NetworkList, Runtime};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::Exit;
use crate::networks::Places;
use crate::output::{self, Output};
use crate::progress;

/// Where plugins are unless `CNI_PATH` says otherwise.
pub(crate) const PLUGINS: &str = "/opt/cni/bin";
/// How much of the hash of a namespace's path cnitool makes a container ID of, in digits.
const ID_DIGITS: usize = 20;

/// A command of the specification.
#[derive(Debug, Subcommand)]
pub(crate) enum Call {
    /// ADD: attach a network namespace, and print the result
    Add(Target),
    /// DEL: detach it
    Del(Target),
    /// CHECK: compare the attachment with what ADD had answered
    Check(Target),
    /// STATUS: whether the plugins can serve an ADD
    Status(Named),
    /// GC: have the plugins release what is provably dead; nothing that lives is touched
    Gc(Named),
    /// VERSION: whether the plugins have the version of the list
    Version(Named),
}

/// Which network.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The name of the network
    network: String,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

/// Which attachment.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// The name of the network
    network: String,
    /// The path of the network namespace, as /run/netns/NAME
    netns: String,
    /// The name of the interface in it
    #[arg(long, env = "CNI_IFNAME", default_value = "eth0")]
    ifname: String,
    /// The container's ID; without it, that which cnitool makes of the path
    #[arg(long, value_name = "ID")]
    container_id: Option<String>,
    /// KEY=VALUE pairs for the plugins, separated by semicolons
    #[arg(long, env = "CNI_ARGS", default_value = "", hide_default_value = true)]
    args: String,
    /// The capability arguments, as one JSON object by the capabilities' names
    #[arg(long, env = "CAP_ARGS", default_value = "", hide_default_value = true)]
    cap_args: String,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

#[derive(Args, Debug)]
struct RuntimeArguments {
    /// The folders of plugins, separated by colons
    #[arg(long, value_name = "FOLDERS", env = "CNI_PATH", default_value = PLUGINS)]
    cni_path: String,
}

impl Call {
    fn network(&self) -> &str {
        match self {
            Self::Add(target) | Self::Del(target) | Self::Check(target) => &target.network,
            Self::Status(named) | Self::Gc(named) | Self::Version(named) => &named.network,
        }
    }
}

/// What ADD answered.
#[derive(Serialize)]
struct Added {
    result: Value,
}

/// Calls them.
pub(crate) fn run(call: &Call, places: &Places, output: Output) -> Result<Exit> {
    progress::say(&format!("waiting for the plugins of {}", call.network()));
    match call {
        Call::Add(target) => add(target, places, output),
        Call::Del(target) => {
            let (list, attachment, runtime) = target.prepared(places)?;
            finish(runtime.del(&list, &attachment))
        }
        Call::Check(target) => {
            let (list, attachment, runtime) = target.prepared(places)?;
            match runtime.check(&list, &attachment) {
                Ok(()) => Ok(Exit::OK),
                // That is what it is for.
                Err(error) if error.plugin().is_some() => {
                    output::complain(&said(&error));
                    Ok(Exit::LEFT)
                }
                Err(error) => Err(failure(&error)),
            }
        }
        Call::Status(named) => finish(named.runtime(places).status(&named.list(places)?)),
        Call::Version(named) => finish(named.runtime(places).validate(&named.list(places)?)),
        Call::Gc(named) => {
            let (list, runtime) = (named.list(places)?, named.runtime(places));
            let errors = runtime.gc_without_list(&list).err().into_iter().flatten();
            Error::join(errors.map(|error| failure(&error))).map(|()| Exit::OK)
        }
    }
}

/// A failed ADD is followed by the DEL that the specification asks of runtimes. So what is attached already
/// is refused before any plugin is called: that DEL would detach it.
fn add(target: &Target, places: &Places, output: Output) -> Result<Exit> {
    let (list, attachment, runtime) = target.prepared(places)?;
    if runtime.cache().result(&list, &attachment).is_some() {
        let file = runtime.cache().file(list.name(), &attachment);
        let message = format!("it is attached already: {} is there", file.display());
        return Err(
            Error::new(Code::Conflict, message).with_details("causeway net del detaches it")
        );
    }
    let result =
        runtime.add(&list, &attachment).map_err(|error| match runtime.del(&list, &attachment) {
            Ok(()) => failure(&error),
            Err(undoing) => failure(&error).with_details(format!("DEL: {}", said(&undoing))),
        })?;
    let added = Added { result };
    output.show(&added, || format!("{:#}\n", added.result))?;
    Ok(Exit::OK)
}

fn finish(outcome: std::result::Result<(), cni_runtime::Error>) -> Result<Exit> {
    outcome.map(|()| Exit::OK).map_err(|error| failure(&error))
}

fn failure(error: &cni_runtime::Error) -> Error {
    Error::new(Code::Delegate, said(error))
}

/// What a plugin said, in one line; all of it where it printed no error object.
pub(crate) fn said(error: &cni_runtime::Error) -> String {
    let object = error.object();
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (error.plugin(), text("msg")) {
        (Some(plugin), Some(message)) => {
            let code = object.get("code").map(|code| format!(" (code {code})")).unwrap_or_default();
            let details = text("details").map(|details| format!("; {details}")).unwrap_or_default();
            format!("{plugin}: {message}{details}{code}")
        }
        _ => error.to_string(),
    }
}

impl Named {
    fn list(&self, places: &Places) -> Result<NetworkList> {
        find(places, &self.network)
    }

    fn runtime(&self, places: &Places) -> Runtime {
        self.runtime.runtime(places)
    }
}

impl Target {
    fn prepared(&self, places: &Places) -> Result<(NetworkList, Attachment, Runtime)> {
        let list = find(places, &self.network)?;
        let container = self.container_id.clone().unwrap_or_else(|| container_id(&self.netns));
        let attachment =
            Attachment::new(&container, &self.netns).ifname(&self.ifname).args(&self.args);
        let attachment = attachment.capabilities(capabilities(&self.cap_args)?);
        Ok((list, attachment, self.runtime.runtime(places)))
    }
}

impl RuntimeArguments {
    fn runtime(&self, places: &Places) -> Runtime {
        let folders: Vec<PathBuf> = env::split_paths(Path::new(&self.cni_path)).collect();
        Runtime::new(folders, &places.cache_dir)
    }
}

pub(crate) fn find(places: &Places, network: &str) -> Result<NetworkList> {
    NetworkList::find_in(&places.conf_dir, network)
        .map_err(|error| Error::new(Code::InvalidConfig, error.to_string()))
}

/// The ID that cnitool gives a container whose namespace has this path.
fn container_id(netns: &str) -> String {
    format!("cnitool-{}", hash::sha512(netns, ID_DIGITS))
}

pub(crate) fn capabilities(text: &str) -> Result<Map<String, Value>> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|error| {
        Error::new(Code::Decode, format!("CAP_ARGS must be one JSON object: {error}"))
            .with_details(text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_called_as_cnitool_calls_it() {
        // printf /run/netns/blue | sha512sum
        assert_eq!(container_id("/run/netns/blue"), "cnitool-df26705e2e4ffd095eb1");
    }

    #[test]
    fn capability_arguments_are_one_object() {
        assert_eq!(capabilities("").unwrap(), Map::new());
        assert!(capabilities("[1]").unwrap_err().is(Code::Decode));
    }
}
