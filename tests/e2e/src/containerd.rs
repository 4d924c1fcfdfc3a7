//! containerd, started by hand: no service manager, its folders the node's own.

use std::fs;
use std::process::Child;
use std::process::{Command, Stdio};

use crate::cri::{
    Client, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata, PortMapping,
};
use crate::{Node, Pod, image, pages, plugins};

/// Its socket.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
const LOG: &str = "/run/test/containerd.log";
/// The control group of all pods of the tests.
const CGROUP: &str = "/causeway-e2e";

/// What a test machine needs besides its page's configuration: the image, and no raising of limits.
const CONFIG: &str = r#"[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/peer:test"
  restrict_oom_score_adj = true
"#;

/// A running containerd, killed when dropped.
#[derive(Debug)]
pub struct Containerd<'a> {
    node: &'a Node,
    process: Child,
    client: Client,
}

impl<'a> Containerd<'a> {
    /// Starts it, with the image that everything here runs.
    pub fn start(node: &'a Node) -> Self {
        let config = pages::block("docs/runtimes/containerd.md", "toml", 0) + CONFIG;
        fs::write("/etc/containerd/config.toml", config).unwrap();
        let (process, client) = start(node);
        for namespace in ["k8s.io", "default"] {
            let archive = image::archive(node);
            node.must(&format!("ctr --namespace {namespace} images import {}", archive.display()));
        }
        let containerd = Self { node, process, client };
        containerd.wait_for_network();
        containerd
    }

    /// Waits until it has read `/etc/cni/net.d`, which it watches.
    fn wait_for_network(&self) {
        self.node.wait_for("containerd's network", || {
            let conditions = self.client.conditions().unwrap_or_else(|status| panic!("{status:?}"));
            conditions.iter().find(|one| one.kind == "NetworkReady")?.status.then_some(())
        });
    }

    /// Kills it without warning and starts it again; what it ran goes on running.
    pub fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let (process, client) = start(self.node);
        self.process = process;
        self.client = client;
        self.wait_for_network();
    }

    /// The connection to its CRI.
    pub fn cri(&self) -> &Client {
        &self.client
    }

    /// Starts a pod, or gives the runtime's own words for why not.
    pub fn try_run(&self, config: PodSandboxConfig) -> Result<Pod, String> {
        let id =
            self.client.run_pod_sandbox(config).map_err(|status| status.message().to_owned())?;
        let netns = plugins::netns_of(&id);
        Ok(Pod { id, netns })
    }

    /// Starts a pod; a failure shows what the plugins answered, and the end of the log.
    pub fn run(&self, config: PodSandboxConfig) -> Pod {
        self.try_run(config).unwrap_or_else(|message| self.fail(&message))
    }

    /// Stops and removes a pod, each twice: kubelet does that whenever it is in doubt.
    pub fn stop_and_remove(&self, pod: &Pod) {
        for _ in 0..2 {
            self.client
                .stop_pod_sandbox(&pod.id)
                .unwrap_or_else(|status| self.fail(status.message()));
        }
        for _ in 0..2 {
            self.client
                .remove_pod_sandbox(&pod.id)
                .unwrap_or_else(|status| self.fail(status.message()));
        }
    }

    /// Stops a pod, or gives the runtime's own words for why not.
    pub fn try_stop(&self, pod: &Pod) -> Result<(), String> {
        self.client.stop_pod_sandbox(&pod.id).map_err(|status| status.message().to_owned())
    }

    fn fail(&self, message: &str) -> ! {
        panic!("containerd: {message}\n{}\n{}", plugins::failures(), log());
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        // Ended by itself already: nothing is left to kill.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn start(node: &Node) -> (Child, Client) {
    let log_file = fs::File::options().create(true).append(true).open(LOG).unwrap();
    let mut process = Command::new("containerd")
        .args(["--config", "/etc/containerd/config.toml", "--log-level", "info"])
        .env("TMPDIR", node.temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log_file)
        .spawn()
        .unwrap_or_else(|error| panic!("containerd: {error}"));
    let client = node.wait_for("containerd's socket", || {
        assert!(process.try_wait().unwrap().is_none(), "containerd ended:\n{}", log());
        let client = Client::connect(SOCKET).ok()?;
        client.conditions().ok().map(|_| client)
    });
    (process, client)
}

/// The end of its log.
fn log() -> String {
    let text = fs::read_to_string(LOG).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(30)).map(|line| format!("{line}\n")).collect()
}

/// A pod of that name, with a node's port for each pair (node, pod).
pub fn pod(name: &str, ports: &[(i32, i32)]) -> PodSandboxConfig {
    let metadata = PodSandboxMetadata {
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        namespace: "default".to_owned(),
        attempt: 0,
    };
    let mapping = |&(host_port, container_port): &(i32, i32)| PortMapping {
        host_port,
        container_port,
        ..PortMapping::default()
    };
    PodSandboxConfig {
        metadata: Some(metadata),
        hostname: name.to_owned(),
        port_mappings: ports.iter().map(mapping).collect(),
        linux: Some(LinuxPodSandboxConfig { cgroup_parent: CGROUP.to_owned() }),
        ..PodSandboxConfig::default()
    }
}
