//! `causeway graph`: the same picture as text, JSON, SVG and for graphviz.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, attachment, lease, pods};

/// A network of both IP versions on a bridge of its own.
fn both() -> Value {
    json!({"cniVersion": "1.1.0", "name": "both", "plugins": [
        {"type": "bridge", "bridge": "br-v6", "ipam": {"type": "host-local", "ranges": [
            [{"subnet": "10.87.0.0/24"}], [{"subnet": "fd00:1234:5678:9abc:def0:1234:5678:0/112"}]]}}]})
}

/// A host with what there can be: ports, VLANs, dead attachments, hostile names.
fn busy(count: usize) -> (Node, Vec<Container>) {
    let node = Node::new(&[pods(), both()]);
    let mut all = Vec::new();
    let mut attach = |network: &str, name: &str, args: &str, ports: usize| {
        let container = node.host.container(name);
        let mapping = |port| {
            let base = 10_000 + all.len() * 100;
            json!({"hostPort": base + port, "containerPort": 80 + port, "protocol": "tcp"})
        };
        let mappings: Vec<Value> = (0..ports).map(mapping).collect();
        let mut about = attachment(&container).args(args);
        if ports > 0 {
            about = about.capabilities([("portMappings", json!(mappings))]);
        }
        node.add(network, &about);
        all.push(container);
    };
    let pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=a<b>&c;K8S_POD_NAME=web\"'\\0";
    attach("pods", "web", pod, 2);
    attach("pods", &"a-very-long-name.of-a-container".repeat(3), "", 40);
    attach("both", "tagged", "", 0);
    for number in 3..count {
        attach("pods", &format!("c{number}"), "", number % 3);
    }
    fs::write(lease("pods", "10.85.99.9"), "").unwrap();
    // Not every kernel's bridges filter VLANs: they are drawn as the list has them.
    let mut tagged = both();
    tagged["plugins"][0]["vlan"] = json!(100);
    tagged["plugins"][0]["vlanTrunk"] = json!([{"minID": 7, "maxID": 9}]);
    fs::write(node.conf_dir().join("10-both.conflist"), tagged.to_string()).unwrap();
    (node, all)
}

#[test]
fn bridges_ports_and_containers_are_in_every_form() {
    let (node, all) = busy(3);
    let graph = node.json(&["graph"], 0);
    let names: Vec<_> =
        graph["bridges"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["br-v6", "cni0"]);
    let bridge = &graph["bridges"][1];
    for (key, value) in [("up", json!(true)), ("ports", json!(2)), ("maxPorts", json!(1023))] {
        assert_eq!(bridge[key], value, "{key}: {bridge:#}");
    }
    let part = json!({"name": "pods", "gateways": ["10.85.0.1/16"], "vlan": null, "trunk": [],
        "masquerade": true});
    assert_eq!(bridge["networks"], json!([part]));
    let of = |container: &str| {
        let all = bridge["attachments"].as_array().unwrap().iter();
        all.clone().find(|one| one["container"] == container).unwrap().clone()
    };
    // All that `ls` has of it stands here, too.
    let web = of("web");
    let listed = node.shown("pods", "web");
    for (key, value) in listed.as_object().unwrap() {
        assert_eq!(web[key], *value, "{key}");
    }
    for (key, value) in [("isPort", true), ("isMasqueraded", true), ("isDead", false)] {
        assert_eq!(web[key], value, "{key}: {web:#}");
    }
    assert_eq!((&of("")["isDead"], &of("")["isPort"]), (&json!(true), &json!(false)));
    assert_eq!(graph["bridges"][0]["attachments"][0]["vlan"], 100);
    assert_eq!(node.json(&["graph", "both"], 0)["bridges"].as_array().unwrap().len(), 1);

    let text = node.text(&["graph"], 0);
    let host = web["hostInterface"].as_str().unwrap();
    for line in [
        "cni0  up, 2 of 1023 ports",
        "│ network pods, gateway 10.85.0.1/16, masqueraded",
        "│ network both, VLAN 100, VLANs 7-9 tagged",
        &format!("── {host} – eth0 – a<b>&c/web\"'\\0 (web)  pods"),
        "10.85.0.2/16, masqueraded",
        "published 10000→80/tcp, 10001→81/tcp",
        "╌╌ no link – ? – (nobody's)  pods  gone",
        "fd00:1234:5678:9abc:def0:1234:5678:2/112, VLAN 100, VLANs 7-9 tagged",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let many = all[1].name();
    assert!(text.contains(many) && text.contains("10139→119/tcp"), "{text}");
}

#[test]
fn the_svg_image_is_sound_and_names_are_no_markup() {
    let (node, _all) = busy(60);
    let file = node.host.temp_dir().join("graph.svg");
    assert_eq!(node.text(&["graph", "--svg", file.to_str().unwrap()], 0), "");
    let svg = fs::read_to_string(&file).unwrap();
    assert_eq!(node.text(&["graph", "--svg", "-"], 0), svg);
    for part in [
        "<svg xmlns=\"http://www.w3.org/2000/svg\"",
        "role=\"img\" aria-labelledby=\"title description\"",
        "<title id=\"title\">Networks of containers</title>",
        "61 attachments, 1 of them dead, on these bridges: br-v6, cni0.",
        "prefers-color-scheme: dark",
        "a&lt;b&gt;&amp;c/web&quot;&#39;\\0 (web)",
        "class=\"card dashed\"",
        "fd00:1234:5678:9abc:def0:1234:5678:2/112",
        // Forty ports have no room; they stand in the title.
        "10139→119/tcp",
        " more</text>",
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    for part in ["<script", "href", "url(", "@import", "@font-face", "a<b"] {
        assert!(!svg.contains(part), "{part}");
    }
    assert_eq!(svg.matches("class=\"wire").count(), 61);
    well_formed(&svg);
}

#[test]
fn a_pipe_is_written_to_and_a_link_beside_the_file_is_not_followed() {
    let node = Node::new(&[pods()]);
    let folder = node.host.temp_dir();
    let (pipe, file) = (folder.join("pipe"), folder.join("graph.svg"));
    node.host.run(["mkfifo", pipe.to_str().unwrap()]);
    let line = format!("exec cat {} > {}", pipe.display(), folder.join("read").display());
    let reading = node.host.background(["sh", "-c", &line]);
    node.text(&["graph", "--svg", pipe.to_str().unwrap()], 0);
    let is_read =
        || fs::read_to_string(folder.join("read")).is_ok_and(|text| text.ends_with("</svg>\n"));
    assert!((0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        is_read()
    }));
    drop(reading);
    assert!(!fs::metadata(&pipe).unwrap().is_file());

    let others = folder.join("others");
    fs::write(&others, "theirs").unwrap();
    std::os::unix::fs::symlink(&others, folder.join("graph.svg.new")).unwrap();
    node.text(&["graph", "--svg", file.to_str().unwrap()], 0);
    assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
    assert!(fs::read_to_string(&file).unwrap().starts_with("<svg "));
}

/// As far as can be told without a parser: every element ends, in order.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split([' ', '\n']).next().unwrap()),
        }
        assert!(tag.matches('"').count() % 2 == 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn graphviz_gets_every_attachment() {
    let (node, _all) = busy(3);
    let dot = node.text(&["graph", "--dot"], 0);
    let mut wanted = String::new();
    writeln!(wanted, "label=\"a<b>&amp;c/web\\\"'\\\\0 (web)\\npods eth0\\n10.85.0.2/16").unwrap();
    assert!(dot.starts_with("digraph causeway {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains(wanted.trim_end()), "{wanted}: {dot}");
    assert!(dot.contains("label=\"10000→80/tcp\\n10001→81/tcp\""), "{dot}");
    assert!(dot.contains("gone\", style=dashed, color=red"), "{dot}");
    for words in [["graph", "--dot", "--json"], ["graph", "--json", "--svg=x"]] {
        assert_eq!(node.tool(&words).status, Some(16), "{words:?}");
    }
    let empty = Node::new(&[]);
    let text = empty.text(&["graph"], 0);
    assert_eq!(text, "no network has a bridge, and nobody is attached\n");
    assert!(empty.text(&["graph", "--svg", "-"], 0).contains("nobody is attached"));
}
