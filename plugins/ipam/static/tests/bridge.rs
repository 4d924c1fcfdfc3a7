//! `static` under `bridge`: what it gives is on the container's interface.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use testsupport::{Call, Container, Host};

fn call(command: &str, container: &Container, config: &Value) -> Call {
    let call = Call::new("bridge").command(command).container_id("c1").ifname("eth0");
    call.netns(container).config(config)
}

#[test]
fn the_container_has_the_addresses_and_routes_until_del() {
    let host = Host::new();
    let container = host.container("blue");
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {
            "type": "static",
            "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.254"}],
            "routes": [{"dst": "10.9.0.0/16"}],
        },
    });
    let args = "IP=10.2.0.2/24;GATEWAY=10.2.0.1";
    let result = call("ADD", &container, &config).args(args).run().expect_success().json();
    let ips = json!([
        {"interface": 2, "address": "10.1.0.5/24", "gateway": "10.1.0.254"},
        {"interface": 2, "address": "10.2.0.2/24", "gateway": "10.2.0.1"},
    ]);
    assert_eq!(result["ips"], ips);
    let shown = container.run(["ip", "-4", "-o", "address", "show", "eth0"]);
    assert!(shown.contains("10.1.0.5/24") && shown.contains("10.2.0.2/24"), "{shown}");
    let routes = container.run(["ip", "route"]);
    assert!(routes.contains("10.9.0.0/16 via 10.1.0.254"), "{routes}");
    assert!(container.pings("10.1.0.254") && container.pings("10.2.0.1"));
    config["prevResult"] = result;
    call("CHECK", &container, &config).args(args).run().expect_silent_success();
    call("DEL", &container, &config).args(args).run().expect_silent_success();
    assert!(!container.run(["ip", "-o", "link"]).contains("eth0"));
}
