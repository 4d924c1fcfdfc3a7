//! dockerd, started by hand for the rules that it writes: no container runs in it.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::Node;

const SOCKET: &str = "unix:///run/test/docker.sock";
const LOG: &str = "/run/test/dockerd.log";

/// A running dockerd, ended when dropped.
#[derive(Debug)]
pub struct Dockerd(Child);

impl Dockerd {
    /// Starts it, and waits until its rules are there, for IPv4 and IPv6.
    pub fn start(node: &Node) -> Self {
        let log = fs::File::create(LOG).unwrap();
        let process = Command::new("dockerd")
            .args(["--host", SOCKET, "--pidfile", "/run/test/dockerd.pid"])
            .args(["--data-root", "/run/test/docker", "--exec-root", "/run/test/docker-exec"])
            .args(["--storage-driver", "vfs", "--iptables=true"])
            .args(["--experimental", "--ip6tables=true", "--ipv6", "--fixed-cidr-v6", "fd77::/64"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("dockerd: {error}"));
        let mut dockerd = Self(process);
        node.wait_for("dockerd", || {
            let log = || fs::read_to_string(LOG).unwrap_or_default();
            assert!(dockerd.0.try_wait().unwrap().is_none(), "dockerd ended:\n{}", log());
            let version = node.finish(["docker", "--host", SOCKET, "version"]);
            (version.status == Some(0)).then_some(())
        });
        dockerd
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // It ends its containerd itself, if it is asked to end; what does not is ended with the
        // process namespace.
        let id = self.0.id().to_string();
        Command::new("kill").arg(id).status().ok();
        self.0.wait().ok();
    }
}
