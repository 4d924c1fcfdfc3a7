//! Thousands of everything that a configuration may list: no list is compared with itself.

use serde_json::{Value, json};

use crate::stage::{Stage, set};

/// As many small subnets that are apart.
fn subnets(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| json!({"subnet": format!("10.{}.{}.{}/30", n / 16_384, n / 64 % 256, n % 64 * 4)}))
        .collect()
}

/// A configuration whose CHECK gets as far as to look for the pool, which is not there.
fn refuses(stage: &Stage, change: impl FnOnce(&mut Value), code: u64, says: &[&str]) {
    let mut config = stage.config("host-local");
    change(&mut config);
    let call = stage.call("host-local", "CHECK").config(&config);
    assert!(config.to_string().len() < 1 << 20, "it would be refused for its length");
    stage.refuses(&call, code, says);
}

const NOT_FOUND: &str = "Failed to find address";

#[test]
fn ranges() {
    let stage = Stage::new();
    let many = subnets(33_000);
    refuses(&stage, |c| set(c, "ipam.ranges.0", many.clone()), 102, &[NOT_FOUND]);
    let mut twice = many.clone();
    twice.push(many[0].clone());
    let says = ["subnets 10.0.0.1-10.0.0.2 and 10.0.0.1-10.0.0.2 overlap"];
    refuses(&stage, |c| set(c, "ipam.ranges.0", twice), 7, &says);
    let same = vec![many[7].clone(); 33_000];
    refuses(&stage, |c| set(c, "ipam.ranges.0", same), 7, &["overlap"]);
    let sets: Vec<Value> = many[..30_000].iter().map(|range| json!([range])).collect();
    refuses(&stage, |c| set(c, "ipam.ranges", sets), 7, &["30000 range sets", "more than 100"]);
    let halves: Vec<Value> =
        many[..20_000].chunks(200).map(|ranges| Value::Array(ranges.to_vec())).collect();
    refuses(&stage, |c| set(c, "ipam.ranges", halves.clone()), 102, &[NOT_FOUND]);
    let mut overlapping = halves;
    overlapping[99][199] = many[0].clone();
    refuses(&stage, |c| set(c, "ipam.ranges", overlapping), 7, &["range set 0 overlaps with 99"]);
    stage.unchanged();
}

#[test]
fn excluded_and_requested_addresses() {
    let stage = Stage::new();
    let many: Vec<String> = (0..60_000).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect();
    refuses(&stage, |c| set(c, "ipam.exclude", many.clone()), 102, &[NOT_FOUND]);
    refuses(&stage, |c| set(c, "ipam.ranges.0.0.exclude", many.clone()), 102, &[NOT_FOUND]);
    refuses(&stage, |c| set(c, "args", json!({"cni": {"ips": many}})), 102, &[NOT_FOUND]);
    let wide = vec!["10.0.0.0/8"; 20_000];
    let ranges = subnets(18_000);
    let both = |c: &mut Value| {
        set(c, "ipam.exclude", wide);
        set(c, "ipam.ranges.0", ranges);
    };
    refuses(&stage, both, 102, &[NOT_FOUND]);
    let mut faulty = many.clone();
    faulty.push("10.1.0.256".to_owned());
    let says = ["ipam.exclude[60000]", "not valid", "\"10.1.0.256\""];
    refuses(&stage, |c| set(c, "ipam.exclude", faulty), 7, &says);
    stage.unchanged();
}

#[test]
fn routes_and_words() {
    let stage = Stage::new();
    let route = |n: usize| json!({"dst": format!("10.{}.{}.0/24", n / 256, n % 256)});
    let routes: Vec<Value> = (0..30_000).map(route).collect();
    refuses(&stage, |c| set(c, "ipam.routes", routes.clone()), 102, &[NOT_FOUND]);
    let empty = vec![json!({}); 300_000];
    refuses(&stage, |c| set(c, "ipam.routes", empty), 7, &["ipam.routes[0].dst: missing"]);
    let nulls = vec![Value::Null; 200_000];
    refuses(&stage, |c| set(c, "ipam.ranges.0", nulls), 6, &["ipam.ranges[0][0]", "null"]);
    let words = vec!["a"; 200_000];
    let call = stage.call("bridge", "CHECK");
    let call = call.config(stage.with("bridge", "dns", json!({"nameservers": words})));
    stage.refuses(&call, 7, &["prevResult missing"]);
    stage.unchanged();
}

#[test]
fn trunks() {
    let stage = Stage::new();
    let mut trunk: Vec<Value> = (0..60_000).map(|n| json!({"id": n % 4094 + 1})).collect();
    let call = stage.call("bridge", "CHECK");
    let with = |trunk: &[Value]| call.clone().config(stage.with("bridge", "vlanTrunk", trunk));
    stage.refuses(&with(&trunk), 7, &["prevResult missing"]);
    trunk.push(json!({"id": 4095}));
    stage.refuses(&with(&trunk), 7, &["incorrect trunk id parameter", "vlanTrunk[60000]", "4095"]);
    stage.unchanged();
}

#[test]
fn previous_results() {
    let stage = Stage::new();
    let check = |previous: Value| {
        let call = stage.call("bridge", "CHECK");
        call.config(stage.with("bridge", "prevResult", previous))
    };
    let many = |key: &str, count, element: Value| json!({key: vec![element; count]});
    let interface = json!({"name": "eth1", "sandbox": "/x"});
    let says = ["prevResult has no interface \"eth0\""];
    stage.refuses(&check(many("interfaces", 20_000, interface)), 102, &says);
    stage.refuses(&check(many("ips", 30_000, json!({"address": "10.0.0.2/8"}))), 102, &says);
    stage.refuses(&check(many("routes", 40_000, json!({"dst": "10.0.0.0/8"}))), 102, &says);
    stage.refuses(&check(many("routes", 300_000, json!({}))), 7, &["prevResult.routes[0].dst"]);
    stage.unchanged();
}

#[test]
fn living_attachments() {
    let stage = Stage::new();
    for plugin in ["bridge", "host-local", "portmap", "firewall", "bandwidth", "tuning"] {
        let mut list = vec![json!({"containerID": "c", "ifname": "eth0"}); 200_000];
        list.push(json!(7));
        let mut config = stage.config(plugin);
        config["cni.dev/valid-attachments"] = list.into();
        stage.refuses(&stage.call(plugin, "GC").config(config), 7, &["cni.dev/valid-attachments"]);
    }
    stage.unchanged();
}

/// A megabyte of mapped ports, all different, and one that leads to two places.
#[test]
fn mapped_ports() {
    let stage = Stage::new();
    let mapping = |port: usize, container: usize| json!({"hostPort": port, "containerPort": container, "protocol": "tcp"});
    let many: Vec<Value> = (1..=16_000).map(|port| mapping(port, port)).collect();
    let check = |mappings: &[Value]| {
        let config = stage.with("portmap", "runtimeConfig.portMappings", mappings);
        assert!(config.to_string().len() < 1 << 20, "it would be refused for its length");
        stage.call("portmap", "CHECK").config(config)
    };
    stage.refuses(&check(&many), 102, &["missing"]);
    let two = [&many[..], &[mapping(7, 8)]].concat();
    stage.refuses(&check(&two), 7, &["portMappings[16000]", "leads to container port 7 already"]);
    stage.refuses(&check(&vec![mapping(0, 7); 16_000]), 7, &["Invalid host port number: 0"]);
    stage.refuses(&check(&vec![mapping(7, 7); 16_000]), 102, &["missing"]);
    stage.unchanged();
}

#[test]
fn addresses_of_a_result() {
    let stage = Stage::new();
    let ip = |n: usize| json!({"address": format!("10.{}.{}.2/24", n / 256, n % 256)});
    // Each is asked the kernel about.
    for (plugin, count) in [("portmap", 30_000), ("firewall", 3_000)] {
        let many: Vec<Value> = (0..count).map(ip).collect();
        let config = stage.with(plugin, "prevResult.ips", many);
        stage.refuses(&stage.call(plugin, "CHECK").config(config), 102, &["missing"]);
    }
    stage.unchanged();
}

#[test]
fn subnets_that_are_not_shaped() {
    let stage = Stage::new();
    let subnet = |n: usize| format!("10.{}.{}.{}/30", n / 16_384, n / 64 % 256, n % 64 * 4);
    let mut many: Vec<String> = (0..50_000).rev().map(subnet).collect();
    many.push("10.0.0.0/33".to_owned());
    let config = stage.with("bandwidth", "unshapedSubnets", many);
    let call = stage.call("bandwidth", "ADD").config(config);
    stage.refuses(&call, 7, &["unshapedSubnets[50000]", "bad subnet", "10.0.0.0/33"]);
    stage.unchanged();
}
