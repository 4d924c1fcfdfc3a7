//! A small container runtime, as far as networks go: what the specification and libcni demand of a
//! caller, so that plugins are tried in chains as real runtimes call them.
//!
//! A network list goes in; each plugin gets the configuration derived for it ([`NetworkList`]), in
//! order for ADD and CHECK, in reverse for DEL; what ADD answered is kept on disk ([`Cache`]) for
//! CHECK, DEL and GC. Not here: retries, time limits of its own, reading folders of configurations.

mod attachment;
mod cache;
mod failure;
mod list;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};

pub use attachment::Attachment;
pub use cache::Cache;
pub use failure::Failure;
pub use list::{NetworkList, Plugin};

/// A runtime: folders of plugins, and a cache of results.
#[derive(Clone, Debug)]
pub struct Runtime {
    folders: Vec<PathBuf>,
    cache: Cache,
}

impl Runtime {
    /// One that looks for plugins in `folders`, in this order, and keeps results below `cache`.
    pub fn new<P: Into<PathBuf>>(
        folders: impl IntoIterator<Item = P>,
        cache: impl Into<PathBuf>,
    ) -> Self {
        let folders = folders.into_iter().map(Into::into).collect();
        Self { folders, cache: Cache::new(cache.into()) }
    }

    /// Where results are kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// ADD of every plugin in order: the last one's result, which is kept.
    ///
    /// # Errors
    /// What the first plugin that failed said. Nothing is undone: that is the caller's DEL.
    pub fn add(&self, list: &NetworkList, attachment: &Attachment) -> Result<Value, Failure> {
        let mut previous = None;
        for plugin in list.plugins() {
            let config = list.derived(plugin, previous.as_ref(), attachment);
            let answer = self.call("ADD", attachment, (plugin, &config))?;
            previous = Some(with_version(answer.json(), list));
        }
        let result = previous.expect("a list has plugins");
        self.cache.write(list, attachment, &result);
        Ok(result)
    }

    /// DEL of every plugin in reverse, with what ADD answered if that is still known (from 0.4.0
    /// on); then it is forgotten.
    ///
    /// # Errors
    /// What the first plugin that failed said: as with libcni, those before it in the list are not
    /// called, and the result stays known.
    pub fn del(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Failure> {
        let known = list.at_least("0.4.0").then(|| self.cache.result(list, attachment)).flatten();
        for plugin in list.plugins().iter().rev() {
            let config = list.derived(plugin, known.as_ref(), attachment);
            self.call("DEL", attachment, (plugin, &config))?;
        }
        self.cache.forget(list, attachment);
        Ok(())
    }

    /// CHECK of every plugin in order, unless the list says `disableCheck`.
    ///
    /// # Errors
    /// Below 0.4.0; else what the first plugin that failed said.
    pub fn check(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Failure> {
        if !list.at_least("0.4.0") {
            return Err(Failure::of_runtime("CHECK", "the list's version does not allow CHECK"));
        }
        if list.says("disableCheck") {
            return Ok(());
        }
        let known = self.cache.result(list, attachment);
        for plugin in list.plugins() {
            let config = list.derived(plugin, known.as_ref(), attachment);
            self.call("CHECK", attachment, (plugin, &config))?;
        }
        Ok(())
    }

    /// GC: DEL of every attachment to the list's network that is known here and not among `valid`,
    /// then, from 1.1.0 on, GC of every plugin with those that are. Nothing with `disableGC`.
    ///
    /// # Errors
    /// What every plugin that failed said; all are called.
    pub fn gc(&self, list: &NetworkList, valid: &[Attachment]) -> Result<(), Vec<Failure>> {
        if list.says("disableGC") {
            return Ok(());
        }
        let lives = |known: &Attachment| valid.iter().any(|one| one.is_same(known));
        let known = self.cache.attachments(list.name());
        let mut failures: Vec<Failure> = known
            .iter()
            .filter(|known| !lives(known))
            .filter_map(|stale| self.del(list, stale).err())
            .collect();
        if list.at_least("1.1.0") {
            let keys: Vec<Value> = valid.iter().map(Attachment::key).collect();
            // The second is what the specification said for a while.
            let lists = json!({"cni.dev/valid-attachments": keys, "cni.dev/attachments": keys});
            let config = |plugin| list.derived_with(plugin, lists.clone());
            let none = Attachment::default();
            failures.extend(
                list.plugins()
                    .iter()
                    .filter_map(|plugin| self.call("GC", &none, (plugin, &config(plugin))).err()),
            );
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// STATUS of every plugin in order, from 1.1.0 on.
    ///
    /// # Errors
    /// What the first plugin that failed said.
    pub fn status(&self, list: &NetworkList) -> Result<(), Failure> {
        if !list.at_least("1.1.0") {
            return Ok(());
        }
        for plugin in list.plugins() {
            let config = list.derived_with(plugin, json!({}));
            self.call("STATUS", &Attachment::default(), (plugin, &config))?;
        }
        Ok(())
    }

    /// VERSION of every plugin: each must offer the list's version.
    ///
    /// # Errors
    /// The first plugin that fails or does not.
    pub fn validate(&self, list: &NetworkList) -> Result<(), Failure> {
        let dummy = || "dummy".to_owned();
        let about = Attachment {
            container_id: dummy(),
            netns: dummy(),
            ifname: dummy(),
            args: String::new(),
            capability_args: Map::new(),
        };
        for plugin in list.plugins() {
            let answer = self.call("VERSION", &about, (plugin, &json!({"cniVersion": "1.1.0"})))?;
            let offered = answer.json()["supportedVersions"].clone();
            let has = offered.as_array().is_some_and(|all| all.contains(&json!(list.version())));
            if !has {
                let text = format!("{} offers {offered}, not {}", plugin.kind(), list.version());
                return Err(Failure::of_runtime("VERSION", &text));
            }
        }
        Ok(())
    }

    /// One call of a plugin with its configuration: all six variables are set, those that say
    /// nothing are empty.
    fn call(
        &self,
        command: &str,
        about: &Attachment,
        (plugin, config): (&Plugin, &Value),
    ) -> Result<Answer, Failure> {
        let missing = || {
            let text = format!("failed to find plugin {:?} in {:?}", plugin.kind(), self.folders);
            Failure::of_runtime(command, &text)
        };
        let program = self.find(plugin.kind()).ok_or_else(missing)?;
        let path = std::env::join_paths(&self.folders).expect("no folder has a colon in its name");
        let answer = Call::of(program)
            .command(command)
            .container_id(&about.container_id)
            .netns_path(&about.netns)
            .ifname(&about.ifname)
            .args(&about.args)
            .env("CNI_PATH", path)
            .config(config)
            .run();
        if answer.status() == Some(0) {
            return Ok(answer);
        }
        Err(Failure::of_plugin(plugin.kind(), command, config, answer))
    }

    fn find(&self, kind: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(kind)).find(|path: &PathBuf| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// A result that does not say its version is of the list's.
fn with_version(mut result: Value, list: &NetworkList) -> Value {
    if result["cniVersion"].as_str().is_none_or(str::is_empty) {
        result["cniVersion"] = list.version().into();
    }
    result
}
