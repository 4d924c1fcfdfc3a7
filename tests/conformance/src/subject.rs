//! A container that a plugin is called for, and what a chained plugin finds there.

use std::fs;

use serde_json::{Value, json};
use testsupport::{Container, Host};

use crate::plugin::Role;
use crate::reply::{Finding, not_run};
use crate::spec::Spec;

/// The first number: .1 is the gateway.
const FIRST: usize = 2;

/// A container, and the names of what is called for it.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) container: Container,
    pub(crate) id: String,
    pub(crate) ifname: String,
    /// The interface on the host that a chained plugin finds at the other end.
    pub(crate) peer: String,
    pub(crate) number: usize,
    /// What the plugin before a chained one answered.
    pub(crate) previous: Option<Value>,
}

impl Subject {
    /// The `index`th container of a host, which is attached already if `role` is that of a chained plugin.
    pub(crate) fn new(host: &Host, role: Role, index: usize) -> Result<Self, Finding> {
        let number = FIRST + index;
        let name = format!("pod{number}");
        let mut subject = Self {
            container: host.container(&name),
            id: format!("{name:0<64}"),
            ifname: if role == Role::Loopback { "lo" } else { "eth0" }.to_owned(),
            peer: format!("peer{number}"),
            number,
            previous: None,
        };
        if role == Role::Chained {
            subject.attach(host)?;
        }
        Ok(subject)
    }

    /// The same container with another interface name, for a plugin that makes the interface.
    pub(crate) fn path(&self) -> String {
        self.container.path().display().to_string()
    }

    /// Attaches the container to a bridge as an interface plugin would have.
    fn attach(&mut self, host: &Host) -> Result<(), Finding> {
        let (name, peer, number) = (self.container.name(), &self.peer, self.number);
        let bridge = if host.finish(["ip", "link", "show", "cni0"]).status == Some(0) {
            String::new()
        } else {
            "link add cni0 address 0a:58:0a:4d:00:01 type bridge\nlink set cni0 up\n\
             address add 10.77.0.1/24 dev cni0\n"
                .to_owned()
        };
        let outside = format!(
            "{bridge}link add {peer} address {} type veth peer name eth0 address {} netns {name}\n\
             link set {peer} master cni0 up\n",
            mac(0xa, number),
            mac(0xb, number),
        );
        let inside = format!(
            "link set lo up\nlink set eth0 up\naddress add 10.77.0.{number}/24 dev eth0\n\
             route add default via 10.77.0.1\n"
        );
        batch(host, &["ip", "-batch"], &outside)?;
        batch(host, &["ip", "-netns", name, "-batch"], &inside)?;
        self.previous = Some(self.attached_by_bridge(Spec::V1_0_0));
        Ok(())
    }

    /// The result of an interface plugin in a version.
    pub(crate) fn attached_by_bridge(&self, spec: Spec) -> Value {
        let number = self.number;
        let mut ip = json!({"address": format!("10.77.0.{number}/24"), "gateway": "10.77.0.1",
            "interface": 2});
        if spec == Spec::V0_4_0 {
            ip["version"] = "4".into();
        }
        json!({
            "cniVersion": spec.text(),
            "interfaces": [
                {"name": "cni0", "mac": "0a:58:0a:4d:00:01"},
                {"name": self.peer, "mac": mac(0xa, number)},
                {"name": "eth0", "mac": mac(0xb, number), "sandbox": self.path()},
            ],
            "ips": [ip],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.77.0.1"}],
            "dns": {"nameservers": ["192.0.2.53"], "search": ["conformance.example"]},
        })
    }
}

fn mac(side: u8, number: usize) -> String {
    format!("0a:58:0a:4d:{side:02x}:{number:02x}")
}

/// Several commands of `ip` in one process.
fn batch(host: &Host, words: &[&str], lines: &str) -> Result<(), Finding> {
    let file = host.temp_dir().join("batch");
    fs::write(&file, lines).or_else(|error| not_run(error.to_string()))?;
    let path = file.display().to_string();
    let words: Vec<&str> = words.iter().copied().chain([path.as_str()]).collect();
    let done = host.finish(words);
    if done.status == Some(0) { Ok(()) } else { not_run(done.to_string()) }
}
