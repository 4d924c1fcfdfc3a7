//! podman with its CNI backend, its folders the node's own.

use std::fs;

use crate::{Node, Pod, image, pages, plugins};

/// What a test machine needs besides its page's configuration: nothing of it touches the network.
const CONFIG: &str = r#"
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

/// What podman may run: everything.
const POLICY: &str = r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#;

/// Configures podman and gives it the image that everything here runs.
pub fn prepare(node: &Node) {
    let config = pages::block("docs/runtimes/podman.md", "toml", 0) + CONFIG;
    fs::write("/etc/containers/containers.conf", config).unwrap();
    fs::write("/etc/containers/policy.json", POLICY).unwrap();
    node.must(&format!("podman load --quiet --input {}", image::archive(node).display()));
}

/// The container of that name, which runs.
pub fn container(node: &Node, name: &str) -> Pod {
    let id = node.must(&format!("podman inspect --format {{{{.Id}}}} {name}"));
    let id = id.trim().to_owned();
    let netns = plugins::netns_of(&id);
    Pod { id, netns }
}
