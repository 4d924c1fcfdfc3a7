//! A node whose containers reach everybody, for something to be broken in it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use testsupport::{Container, Outside};

use crate::node::{Node, attachment, pods, tool};

/// A container in `pods` with a published port, a second one, and a neighbour outside.
pub(crate) struct Scene {
    pub(crate) node: Node,
    pub(crate) outside: Outside,
    pub(crate) web: Container,
    /// The host's end of its pair.
    pub(crate) link: String,
    _other: Container,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(pods())
    }

    /// The same on a network of its own making.
    pub(crate) fn of(network: Value) -> Self {
        let node = Node::new(&[network]);
        let outside = node.host.outside();
        let web = node.host.container("web");
        let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
        let result = node.add("pods", &attachment(&web).capabilities([("portMappings", ports)]));
        let link = result["interfaces"][1]["name"].as_str().unwrap().to_owned();
        let (other, _) = node.attach("pods", "other");
        let scene = Self { node, outside, web, link, _other: other };
        scene.is_sound();
        scene
    }

    /// Nothing is wrong, and packets get everywhere.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        assert_eq!(self.node.text(&["check"], 0), "nothing is wrong\n");
        self.has_traffic();
    }

    /// Packets get everywhere.
    #[track_caller]
    pub(crate) fn has_traffic(&self) {
        assert!(self.web.pings("10.85.0.1"), "the bridge");
        assert!(self.web.pings("10.85.0.3"), "the neighbour on the bridge");
        assert!(self.web.pings(&Outside::ADDRESS.to_string()), "outside, masqueraded");
        let server = self.web.inside(|| TcpListener::bind("0.0.0.0:80").unwrap());
        let address = SocketAddr::from((Outside::HOST, 8080));
        let limit = Duration::from_secs(5);
        let connected = self.outside.inside(|| TcpStream::connect_timeout(&address, limit));
        assert!(connected.is_ok(), "the published port, from outside: {connected:?}");
        drop(server);
    }

    /// The findings, of which each must be of one of these kinds and each kind be there.
    #[track_caller]
    pub(crate) fn finds(&self, kinds: &[&str]) -> Vec<Value> {
        let found = self.node.json(&["check"], 4)["findings"].as_array().unwrap().clone();
        let mut seen: Vec<&str> = found.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        seen.sort_unstable();
        seen.dedup();
        let mut wanted = kinds.to_vec();
        wanted.sort_unstable();
        assert_eq!(seen, wanted, "{found:#?}");
        found
    }

    /// Runs the command that each finding names, which repairs.
    #[track_caller]
    pub(crate) fn repaired(&self, found: &[Value]) {
        for one in found {
            let mend = one["mend"].as_str().unwrap();
            assert!(mend.starts_with("causeway repair pods"), "{one:#}");
        }
        let state = || {
            let rules = self.node.host.run(["nft", "list", "ruleset"]);
            rules + &self.node.host.run(["ip", "-oneline", "-4", "address"])
        };
        let before = state();
        self.node.json(&["repair", "--dry-run"], 4);
        assert_eq!(state(), before, "nothing was repaired");
        let done = self.node.json(&["repair", "pods"], 1);
        assert_eq!((&done["left"], &done["errors"]), (&json!([]), &json!([])), "{done:#}");
        assert_eq!(self.node.text(&["repair"], 0), "nothing is missing\n");
    }

    pub(crate) fn run(&self, line: &str) {
        self.node.host.run(line.split(' ').collect::<Vec<_>>());
    }

    /// Runs the commands that findings name, each once, with the tool that is tested.
    pub(crate) fn mends(&self, found: &[Value]) {
        let (folders, lists) = (testsupport::bin_dir(), self.node.conf_dir());
        let tool =
            format!("CNI_PATH={} {} --conf-dir {}", folders.display(), tool(), lists.display());
        let mut commands: Vec<&str> =
            found.iter().map(|one| one["mend"].as_str().unwrap()).collect();
        commands.sort_unstable();
        commands.dedup();
        for command in commands {
            let line = match command.strip_prefix("causeway ") {
                // 1: something was mended.
                Some(words) => format!("{tool} {words}; [ $? = 1 ]"),
                None => command.to_owned(),
            };
            self.node.host.run(["sh", "-c", &line]);
        }
    }

    /// A finding's text under a key.
    #[track_caller]
    pub(crate) fn says(found: &Value, key: &str, part: &str) {
        assert!(found[key].as_str().unwrap().contains(part), "{key}: {found:#}");
    }
}
