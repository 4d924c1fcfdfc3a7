//! A pool folder of a test's own, and the calls that are made of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use testsupport::{Answer, Call};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The name of the network in every configuration here.
pub(crate) const NETWORK: &str = "net1";

/// A folder that is deleted with the value, and a configuration whose `dataDir` it is.
pub(crate) struct Pool {
    data_dir: PathBuf,
    /// The `ipam` object, without `dataDir`.
    pub(crate) ipam: Value,
    /// The `cniVersion`.
    pub(crate) version: &'static str,
    /// The plugin's executable.
    pub(crate) program: PathBuf,
}

impl Pool {
    /// A pool with this `ipam` object.
    pub(crate) fn new(ipam: Value) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-pool-{}-{number}", std::process::id());
        let data_dir = std::env::temp_dir().join(name);
        fs::create_dir(&data_dir).expect("create a folder for the pool");
        let program = testsupport::executable("host-local");
        Self { data_dir, ipam, version: "1.1.0", program }
    }

    /// A pool of one /24: 10.0.0.2 to 10.0.0.254.
    pub(crate) fn small() -> Self {
        Self::new(json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }]] }))
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The pool folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data_dir.join(NETWORK)
    }

    /// The file of an address.
    pub(crate) fn file(&self, ip: &str) -> PathBuf {
        self.folder().join(ip)
    }

    /// The network configuration.
    pub(crate) fn config(&self) -> Value {
        let mut ipam = self.ipam.clone();
        ipam["type"] = "host-local".into();
        if ipam.get("dataDir").is_none() {
            ipam["dataDir"] = self.data_dir.to_str().expect("a path of ASCII").into();
        }
        json!({ "cniVersion": self.version, "name": NETWORK, "type": "x", "ipam": ipam })
    }

    /// A call with this configuration.
    pub(crate) fn call(&self, command: &str, container: &str) -> Call {
        Call::of(&self.program)
            .command(command)
            .container_id(container)
            .netns_path("/var/run/netns/none")
            .ifname("eth0")
            .config(self.config())
    }

    pub(crate) fn add(&self, container: &str) -> Answer {
        self.call("ADD", container).run()
    }

    /// The addresses an ADD allocates.
    #[track_caller]
    pub(crate) fn allocated(&self, container: &str) -> Vec<String> {
        addresses(&self.add(container))
    }

    pub(crate) fn del(&self, container: &str) -> Answer {
        self.call("DEL", container).run()
    }

    /// GC with these containers living, each with `eth0`.
    pub(crate) fn gc(&self, living: &[&str]) -> Answer {
        let entry = |id: &&str| json!({ "containerID": id, "ifname": "eth0" });
        let mut config = self.config();
        config["cni.dev/valid-attachments"] = living.iter().map(entry).collect();
        self.call("GC", "").config(config).run()
    }

    pub(crate) fn status(&self) -> Answer {
        self.call("STATUS", "").run()
    }

    /// The address files, and what they say.
    pub(crate) fn leases(&self) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(self.folder()) else { return BTreeMap::new() };
        let mut leases = BTreeMap::new();
        for entry in entries {
            let name = entry.expect("list the pool").file_name().into_string().expect("a name");
            if name.parse::<std::net::IpAddr>().is_ok() {
                let content = fs::read_to_string(self.file(&name)).expect("read a lease");
                leases.insert(name, content);
            }
        }
        leases
    }

    /// The names of all files in the pool folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).expect("list the pool");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("list the pool").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    /// Makes an address file as a person would.
    pub(crate) fn write(&self, ip: &str, content: &str) {
        fs::create_dir_all(self.folder()).expect("create the pool folder");
        fs::write(self.file(ip), content).expect("write an address file");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.data_dir).ok();
    }
}

/// The addresses of an ADD's result, without their lengths.
#[track_caller]
pub(crate) fn addresses(answer: &Answer) -> Vec<String> {
    answer.expect_success();
    let result = answer.json();
    let ips = result["ips"].as_array().expect("ips").clone();
    let address = |ip: &Value| ip["address"].as_str().expect("an address").to_owned();
    ips.iter().map(|ip| address(ip).split('/').next().expect("an address").to_owned()).collect()
}

/// The reference plugin, from the distribution's package containernetworking-plugins.
pub(crate) fn reference() -> PathBuf {
    let path = PathBuf::from("/usr/lib/cni/host-local");
    assert!(path.is_file(), "{} is not there: scripts/test says what to install", path.display());
    path
}

/// Runs `call` under strace with `options`; whether it ended well, and what was traced.
pub(crate) fn under_strace(pool: &Pool, call: &Call, options: &[&str]) -> (bool, String) {
    use std::process::{Command, Stdio};
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (trace, stdin) = (format!("trace-{number}"), format!("stdin-{number}"));
    let (trace, stdin) = (pool.data_dir().join(trace), pool.data_dir().join(stdin));
    fs::write(&stdin, pool.config().to_string()).expect("write the configuration");
    let plain = call.process();
    let mut traced = Command::new("strace");
    traced.arg("-f").arg("-o").arg(&trace).args(options).arg("--").arg(plain.get_program());
    traced.env_clear();
    for (name, value) in plain.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    let stdin_file = fs::File::open(&stdin).expect("open the configuration");
    let status = traced
        .stdin(stdin_file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("run strace");
    let text = fs::read_to_string(&trace).expect("read strace's output");
    fs::remove_file(trace).expect("remove strace's output");
    fs::remove_file(stdin).expect("remove the configuration");
    (status.success(), text)
}
