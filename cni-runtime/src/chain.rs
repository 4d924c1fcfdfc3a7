//! The calls of a list's plugins: which, in what order, and with what.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::process::{self, Output};
use crate::{Attachment, Cache, Error, NetworkList, Plugin};

/// How long a plugin may take unless the caller says otherwise: the kubelet gives up on a whole pod
/// after four minutes.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A runtime: folders of plugins, and a cache of results.
#[derive(Clone, Debug)]
pub struct Runtime {
    folders: Vec<PathBuf>,
    cache: Cache,
    timeout: Duration,
}

impl Runtime {
    /// One that looks for plugins in `folders`, in this order, and keeps results below `cache`.
    pub fn new<P: Into<PathBuf>>(
        folders: impl IntoIterator<Item = P>,
        cache: impl Into<PathBuf>,
    ) -> Self {
        let folders = folders.into_iter().map(Into::into).collect();
        Self { folders, cache: Cache::new(cache.into()), timeout: PLUGIN_TIMEOUT }
    }

    /// The same with another limit on the time of each call, after which the plugin is killed.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where results are kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// ADD of every plugin in order: the last one's result, which is kept.
    ///
    /// # Errors
    /// What the first plugin that failed said. Nothing is undone: that is the caller's DEL.
    pub fn add(&self, list: &NetworkList, attachment: &Attachment) -> Result<Value, Error> {
        let mut previous = None;
        for plugin in list.plugins() {
            let config = list.config_of_attachment(plugin, attachment, previous.as_ref());
            let output = self.call("ADD", attachment, (plugin, config))?;
            previous = Some(result(&output, plugin, list)?);
        }
        let result = previous.unwrap_or_default();
        self.cache.write(list, attachment, &result)?;
        Ok(result)
    }

    /// DEL of every plugin in reverse, with what ADD answered if that is still known (from 0.4.0
    /// on); then it is forgotten.
    ///
    /// # Errors
    /// What the first plugin that failed said: as with libcni, those before it in the list are not
    /// called, and the result stays known.
    pub fn del(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        let known = list.at_least([0, 4, 0]).then(|| self.cache.result(list, attachment)).flatten();
        for plugin in list.plugins().iter().rev() {
            let config = list.config_of_attachment(plugin, attachment, known.as_ref());
            self.call("DEL", attachment, (plugin, config))?;
        }
        self.cache.remove(list, attachment)
    }

    /// CHECK of every plugin in order, unless the list says `disableCheck`.
    ///
    /// # Errors
    /// Below 0.4.0; else what the first plugin that failed said.
    pub fn check(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        if !list.at_least([0, 4, 0]) {
            return Err(Error::new("CHECK: the list's version does not allow CHECK"));
        }
        if list.is_set("disableCheck") {
            return Ok(());
        }
        let known = self.cache.result(list, attachment);
        for plugin in list.plugins() {
            let config = list.config_of_attachment(plugin, attachment, known.as_ref());
            self.call("CHECK", attachment, (plugin, config))?;
        }
        Ok(())
    }

    /// GC: DEL of every attachment to the list's network that is known here and not among `valid`,
    /// then, from 1.1.0 on, GC of every plugin with those that are. Nothing with `disableGC`.
    ///
    /// # Errors
    /// What every plugin that failed said; all are called.
    pub fn gc(&self, list: &NetworkList, valid: &[Attachment]) -> Result<(), Vec<Error>> {
        if list.is_set("disableGC") {
            return Ok(());
        }
        let lives = |known: &Attachment| valid.iter().any(|one| one.is_same(known));
        let known = self.cache.attachments(list.name()).map_err(|error| vec![error])?;
        let mut errors: Vec<Error> = known
            .iter()
            .filter(|known| !lives(known))
            .filter_map(|stale| self.del(list, stale).err())
            .collect();
        if list.at_least([1, 1, 0]) {
            errors.extend(list.plugins().iter().filter_map(|plugin| {
                let config = with_valid_attachments(list.config_of(plugin), valid);
                self.call("GC", &Attachment::default(), (plugin, config)).err()
            }));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// GC of every plugin that says nothing of who lives: each releases what is proved to be dead.
    ///
    /// # Errors
    /// Below 1.1.0; else what every plugin that failed said; all are called.
    pub fn gc_without_list(&self, list: &NetworkList) -> Result<(), Vec<Error>> {
        if !list.at_least([1, 1, 0]) {
            return Err(vec![Error::new("GC: the list's version does not allow GC")]);
        }
        let call = |plugin| {
            self.call("GC", &Attachment::default(), (plugin, list.config_of(plugin))).err()
        };
        let errors: Vec<Error> = list.plugins().iter().filter_map(call).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// STATUS of every plugin in order, from 1.1.0 on.
    ///
    /// # Errors
    /// What the first plugin that failed said.
    pub fn status(&self, list: &NetworkList) -> Result<(), Error> {
        if !list.at_least([1, 1, 0]) {
            return Ok(());
        }
        for plugin in list.plugins() {
            self.call("STATUS", &Attachment::default(), (plugin, list.config_of(plugin)))?;
        }
        Ok(())
    }

    /// VERSION of every plugin: each must offer the list's version.
    ///
    /// # Errors
    /// The first plugin that fails or does not.
    pub fn validate(&self, list: &NetworkList) -> Result<(), Error> {
        // As libcni: plugins from before 0.3.0 demand the variables.
        let dummy = Attachment::new("dummy", "dummy").ifname("dummy");
        for plugin in list.plugins() {
            let mut config = Map::new();
            config.insert("cniVersion".to_owned(), "1.1.0".into());
            let output = self.call("VERSION", &dummy, (plugin, config))?;
            let answer: Value = json_of(&output, "VERSION", plugin)?;
            let offered = answer.get("supportedVersions").cloned().unwrap_or_default();
            let has = offered.as_array().is_some_and(|all| all.contains(&list.version().into()));
            if !has {
                let (name, version) = (plugin.kind(), list.version());
                return Err(Error::new(format!("VERSION: {name} offers {offered}, not {version}")));
            }
        }
        Ok(())
    }

    /// One call of a plugin with its configuration: all six variables are set, those that say
    /// nothing are empty; other variables are handed on.
    fn call(
        &self,
        command: &str,
        about: &Attachment,
        (plugin, config): (&Plugin, Map<String, Value>),
    ) -> Result<Output, Error> {
        let program = self.find(plugin.kind()).ok_or_else(|| {
            let name = plugin.kind();
            let text = format!("{command}: failed to find plugin {name:?} in {:?}", self.folders);
            Error::new(text)
        })?;
        let path = std::env::join_paths(&self.folders)
            .map_err(|error| Error::new(format!("{command}: CNI_PATH: {error}")))?;
        let mut process = Command::new(&program);
        process
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &about.container_id)
            .env("CNI_NETNS", &about.netns)
            .env("CNI_IFNAME", &about.ifname)
            .env("CNI_ARGS", &about.args)
            .env("CNI_PATH", path);
        let config = Value::Object(config).to_string();
        let output = process::run(&mut process, config.clone().into_bytes(), self.timeout)
            .map_err(|error| Error::io(&format!("{command}: run"), &program, error))?;
        if output.status.success() {
            return Ok(output);
        }
        Err(Error::of_plugin(command, plugin.kind(), config, output))
    }

    fn find(&self, kind: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(kind)).find(|path| path.is_file())
    }
}

/// A configuration for GC that names what is in use.
fn with_valid_attachments(
    mut config: Map<String, Value>,
    valid: &[Attachment],
) -> Map<String, Value> {
    let keys: Vec<Value> = valid.iter().map(Attachment::key).collect();
    // The second is what the specification said for a while.
    config.insert("cni.dev/valid-attachments".to_owned(), json!(keys));
    config.insert("cni.dev/attachments".to_owned(), json!(keys));
    config
}

/// The result of ADD. One that does not say its version is of the list's.
fn result(output: &Output, plugin: &Plugin, list: &NetworkList) -> Result<Value, Error> {
    let mut result: Map<String, Value> = json_of(output, "ADD", plugin)?;
    let version = result.get("cniVersion").and_then(Value::as_str);
    if version.is_none_or(str::is_empty) {
        result.insert("cniVersion".to_owned(), list.version().into());
    }
    Ok(result.into())
}

/// What a plugin that succeeded printed.
fn json_of<T: serde::de::DeserializeOwned>(
    output: &Output,
    command: &str,
    plugin: &Plugin,
) -> Result<T, Error> {
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let name = plugin.kind();
        Error::new(format!("{command}: the answer of {name} is not JSON as it should be: {error}"))
    })
}
