//! The incidents that `docs/operating.md` walks through: each is made, found and mended, and then traffic flows. What
//! the page shows is what is printed here; `UPDATE_GOLDEN=1` writes it there.

use std::env;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testsupport::{Container, Outside, bin_dir, golden};

use crate::node::{Node, attachment, pods, pods_with, tool};
use crate::scene::Scene;

const PAGE: &str = "docs/operating.md";

/// What is typed on a host, and what it prints.
struct Session<'a> {
    node: &'a Node,
    text: String,
}

impl<'a> Session<'a> {
    fn new(node: &'a Node) -> Self {
        Self { node, text: String::new() }
    }

    /// Types a line. Folders are shown where they are on most hosts.
    fn types(&mut self, line: &str) {
        let (tool, lists) = (tool(), self.node.conf_dir());
        let folder = tool.rsplit_once('/').unwrap().0;
        let (plugins, lists) = (bin_dir().display().to_string(), lists.display().to_string());
        let here = line.replace("/etc/cni/net.d", &lists);
        let script = format!(
            "export PATH={folder}:$PATH CNI_PATH={plugins} NETCONFPATH={lists}; exec 2>&1; {here}"
        );
        let finished = self.node.host.finish(["sh", "-c", &script]);
        let said = String::from_utf8(finished.stdout).unwrap();
        let said = said.replace(&lists, "/etc/cni/net.d").replace(&plugins, "/opt/cni/bin");
        self.text.push_str(&format!("# {line}\n{said}"));
    }

    /// Fails the test unless the page shows what was typed and printed, below this heading.
    #[track_caller]
    fn is_shown(&self, heading: &str) {
        // Tests that write the page do so one after the other.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap();
        let page = golden::read(PAGE);
        let (before, after) = page
            .split_once(&format!("\n### {heading}\n"))
            .unwrap_or_else(|| panic!("{PAGE} has no {heading:?}; it is to show\n{}", self.text));
        let (prose, rest) = after.split_once("\n```text\n").unwrap();
        let (shown, rest) = rest.split_once("```\n").unwrap();
        if env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            let text =
                format!("{before}\n### {heading}\n{prose}\n```text\n{}```\n{rest}", self.text);
            fs::write(golden::path(PAGE), text).unwrap();
            return;
        }
        assert_eq!(shown, self.text, "{PAGE}, {heading}");
    }
}

/// Takes a container's namespace away, as a reboot or a killed runtime does.
fn vanish(node: &Node, mut container: Container, result: &Value) {
    container.vanish();
    let link = result["interfaces"][1]["name"].as_str().unwrap();
    let is_gone = |_| {
        thread::sleep(Duration::from_millis(10));
        node.host.finish(["ip", "link", "show", link]).status != Some(0)
    };
    assert!((0..500).any(is_gone), "{link} goes with its namespace");
}

const PING: &str = "ip netns exec web ping -c1 -W1 -q 203.0.113.2 | grep -o '. received'";

#[test]
fn a_range_that_dead_containers_use_up() {
    let mut network = pods();
    network["plugins"][0]["ipam"]["subnet"] = json!("10.85.0.0/29");
    let node = Node::new(&[network]);
    let _outside = node.host.outside();
    for name in ["a", "b", "c", "d", "e"] {
        let (container, result) = node.attach("pods", name);
        vanish(&node, container, &result);
    }
    let _web = node.host.container("web");
    let mut session = Session::new(&node);
    session.types("causeway net add pods /run/netns/web");
    session.types("causeway pool");
    session.types("causeway gc");
    session.types("causeway net add pods /run/netns/web >/dev/null");
    session.types(PING);
    session.is_shown("1. \"no IP addresses available in range set\"");
}

#[test]
fn a_published_port_of_a_dead_container() {
    let node = Node::new(&[pods()]);
    let outside = node.host.outside();
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let old = node.host.container("old");
    let about = attachment(&old).capabilities([("portMappings", ports.clone())]);
    let result = node.add("pods", &about);
    vanish(&node, old, &result);
    let web = node.host.container("web");
    let mut session = Session::new(&node);
    session.types("causeway check");
    session.types("causeway gc pods");
    session.types(
        "CAP_ARGS='{\"portMappings\": [{\"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\"}]}' \
         causeway net add pods /run/netns/web >/dev/null",
    );
    session.types("causeway check");
    session.is_shown("2. Addresses and published ports of containers that nobody detached");
    let server = web.inside(|| std::net::TcpListener::bind("0.0.0.0:80").unwrap());
    let address = std::net::SocketAddr::from((Outside::HOST, 8080));
    assert!(outside.inside(|| std::net::TcpStream::connect(address)).is_ok());
    drop(server);
}

#[test]
fn rules_that_somebody_flushed() {
    let scene = Scene::new();
    let mut session = Session::new(&scene.node);
    session.types("nft flush ruleset");
    session.types(PING);
    session.types("causeway check");
    session.types("causeway repair");
    session.types(PING);
    session.is_shown("3. Published ports and the way out are gone after a reload of the firewall");
    scene.is_sound();
}

#[test]
fn an_add_that_was_killed() {
    let scene = Scene::new();
    let (_killed, result) = scene.node.attach("pods", "killed");
    let link = result["interfaces"][1]["name"].as_str().unwrap();
    scene.node.host.run(["ip", "link", "set", link, "alias", "pods/killed/eth0 (being attached)"]);
    let mut session = Session::new(&scene.node);
    session.types("causeway check");
    session.types("causeway gc --dry-run");
    session.types("causeway gc");
    session.types("causeway check");
    session.is_shown("4. The runtime ran out of patience and killed an ADD");
    scene.is_sound();
}

#[test]
fn address_files_that_were_deleted() {
    let scene = Scene::new();
    let mut session = Session::new(&scene.node);
    session.types("rm /var/lib/cni/networks/pods/10.85.0.*");
    session.types("causeway check");
    session.types("causeway repair");
    session.types("causeway pool");
    session.is_shown("5. Address files were deleted while containers ran");
    scene.is_sound();
}

#[test]
fn an_address_that_two_have() {
    let scene = Scene::new();
    let (second, _) = scene.node.attach("pods", "second");
    second.run(["ip", "address", "replace", "10.85.0.2/16", "dev", "eth0"]);
    let mut session = Session::new(&scene.node);
    session.types("causeway check");
    session.types("ip netns exec second ip address delete 10.85.0.2/16 dev eth0");
    session.types("causeway check");
    session.types(PING);
    session.is_shown("6. Who answers at an address changes");
    scene.web.run(["ip", "neighbour", "flush", "all"]);
    scene.node.host.run(["ip", "neighbour", "flush", "all"]);
    scene.is_sound();
}

#[test]
fn a_subnet_that_was_changed() {
    let node = Node::new(&[pods()]);
    let _outside = node.host.outside();
    let (old, _) = node.attach("pods", "old");
    node.del("pods", &attachment(&old));
    let list = node.conf_dir().join("00-pods.conflist");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("10.85.0.0/16", "10.86.0.0/16")).unwrap();
    let _web = node.host.container("web");
    let mut session = Session::new(&node);
    session.types("causeway plan pods");
    session.types("causeway explain forceAddress");
    session
        .types("sed -i 's/\"isGateway\"/\"forceAddress\":true,&/' /etc/cni/net.d/00-pods.conflist");
    session.types("causeway net add pods /run/netns/web >/dev/null");
    session.types(PING);
    session.is_shown("7. \"already has an IP address different from\"");
    assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
}

#[test]
fn a_policy_that_drops() {
    let scene = Scene::new();
    let mut session = Session::new(&scene.node);
    session.types("iptables -P FORWARD DROP");
    session.types(PING);
    session.types("causeway check");
    session.types("iptables -I FORWARD -i cni0 -j ACCEPT");
    session.types(
        "iptables -I FORWARD -o cni0 -m conntrack --ctstate ESTABLISHED,RELATED,DNAT -j ACCEPT",
    );
    session.types("causeway check");
    session.types(PING);
    session.is_shown("8. Containers reach each other and nobody else");
    scene.is_sound();
}

#[test]
fn ends_that_take_different_lengths() {
    let scene = Scene::new();
    scene.run(&format!("ip link set dev {} mtu 1400", scene.link));
    let mut session = Session::new(&scene.node);
    let ping = PING.replace("203.0.113.2", "-s 1450 -M do 10.85.0.3");
    session.types(&ping);
    session.types("causeway check");
    session.types(&format!("ip link set dev {} mtu 1500", scene.link));
    session.types(&ping);
    session.is_shown("9. Small answers come, large ones hang");
    scene.is_sound();
}

#[test]
fn a_plugin_that_is_not_there() {
    let network = pods_with(json!({"type": "sbr"}));
    let node = Node::new(&[network]);
    let _outside = node.host.outside();
    let _web = node.host.container("web");
    let mut session = Session::new(&node);
    session.types("causeway net add pods /run/netns/web");
    session.types("causeway check");
    session.types("sed -i 's/,{\"type\":\"sbr\"}//' /etc/cni/net.d/00-pods.conflist");
    session.types("causeway check");
    session.types("causeway net del pods /run/netns/web");
    session.types("causeway net add pods /run/netns/web >/dev/null");
    session.types(PING);
    session.is_shown("10. Every ADD fails since the list was changed");
}
