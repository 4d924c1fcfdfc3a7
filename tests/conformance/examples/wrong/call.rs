//! A call that came, and an answer to it.

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// The call.
pub(crate) struct Call {
    pub(crate) right: PathBuf,
    pub(crate) variables: BTreeMap<String, String>,
    /// `null` for what is no JSON.
    pub(crate) config: Value,
    pub(crate) stdin: Vec<u8>,
}

/// The answer.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Success without a word.
    pub(crate) fn silent() -> Self {
        Self { status: 0, stdout: String::new(), stderr: String::new() }
    }

    pub(crate) fn error(code: u64, call: &Call) -> Self {
        let version = &call.config["cniVersion"];
        let object = json!({"cniVersion": version, "code": code, "msg": "wrong on purpose"});
        Self { status: 1, stdout: object.to_string(), stderr: String::new() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, value: &Value) {
        self.stdout = value.to_string();
    }
}

impl Call {
    pub(crate) fn new(right: PathBuf, stdin: Vec<u8>) -> Self {
        let variables = env::vars().collect();
        let config = serde_json::from_slice(&stdin).unwrap_or_default();
        Self { right, variables, config, stdin }
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn is(&self, command: &str) -> bool {
        self.variable("CNI_COMMAND") == command
    }

    /// Writes the configuration, which was changed, to the plugin's stdin.
    pub(crate) fn with_config(&mut self) {
        self.stdin = self.config.to_string().into_bytes();
    }

    /// The first of the folders where the IPAM plugin may lie.
    pub(crate) fn first_folder(&self) -> PathBuf {
        PathBuf::from(self.variable("CNI_PATH").split(':').next().unwrap_or_default())
    }

    pub(crate) fn has_in_first_folder(&self, name: &str) -> bool {
        self.first_folder().join(name).exists()
    }

    /// Whether the namespace is there.
    pub(crate) fn has_namespace(&self) -> bool {
        let path = self.variable("CNI_NETNS");
        !path.is_empty() && Path::new(path).exists()
    }

    /// Whether container and interface are named.
    pub(crate) fn has_variables(&self) -> bool {
        !self.variable("CNI_CONTAINERID").is_empty() && !self.variable("CNI_IFNAME").is_empty()
    }

    /// Whether nothing is wrong with the call.
    pub(crate) fn is_sound(&self) -> bool {
        let is_id = self.variable("CNI_CONTAINERID").starts_with("pod");
        let config = &self.config;
        is_id
            && self.variable("CNI_IFNAME") == "eth0"
            && self.has_namespace()
            && config["name"] == "conformance"
            && config["cniVersion"] == "1.1.0"
    }

    pub(crate) fn has_previous(&self) -> bool {
        self.config["prevResult"].is_object()
    }

    /// A file that is there from now on, for this container and interface; whether it was before.
    pub(crate) fn mark(&self, what: &str) -> bool {
        let (container, ifname) = (self.variable("CNI_CONTAINERID"), self.variable("CNI_IFNAME"));
        let path = PathBuf::from(format!("/run/test/{what}-{container}-{ifname}"));
        let was_there = path.exists();
        std::fs::write(path, "").expect("a mark");
        was_there
    }

    /// Whether [`Self::mark`] was called.
    pub(crate) fn is_marked(&self, what: &str) -> bool {
        let (container, ifname) = (self.variable("CNI_CONTAINERID"), self.variable("CNI_IFNAME"));
        Path::new(&format!("/run/test/{what}-{container}-{ifname}")).exists()
    }

    /// What a command in the container prints.
    pub(crate) fn inside(&self, words: &str) -> String {
        let netns = format!("--net={}", self.variable("CNI_NETNS"));
        host(&format!("nsenter {netns} {words}"))
    }

    /// Calls the right plugin.
    pub(crate) fn run(&self) -> Answer {
        let mut command = Command::new(&self.right);
        command.env_clear().envs(&self.variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the right plugin");
        child.stdin.take().expect("stdin").write_all(&self.stdin).ok();
        let output = child.wait_with_output().expect("its answer");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer {
            status: output.status.code().unwrap_or(128),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// What a command on the host prints.
pub(crate) fn host(words: &str) -> String {
    let mut words = words.split(' ');
    let output = Command::new(words.next().expect("a program")).args(words).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
