//! `systemctl reload nftables` and `systemctl restart nftables`: everybody's rules are flushed, the operator's come
//! back, and the unit that systemd calls behind them puts back those of the containers.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::json;
use testsupport::Outside;

use crate::metrics::example;
use crate::node::pods_with;
use crate::scene::Scene;

/// What an operator keeps in `/etc/nftables.conf` behind the line that flushes.
const RULES: &str = r#"
table inet filter {
    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 25 drop comment "no mail here"
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "cni0" accept
        oifname "cni0" ct state established,related accept
        oifname "cni0" ct status dnat accept
    }
}
"#;

#[test]
fn a_reload_of_nftables_is_found_and_mended_by_the_unit_that_follows_it() {
    let firewall = json!({"type": "firewall", "backend": "nftables"});
    let network = pods_with(firewall);
    let scene = Scene::of(network);
    let host = &scene.node.host;
    let file = host.temp_dir().join("nftables.conf");
    let file = file.to_str().unwrap();
    fs::write(file, RULES).unwrap();
    host.run(["nft", "-f", file]);
    scene.is_sound();
    let operators = host.run(["nft", "list", "table", "inet", "filter"]);

    fs::write(file, format!("#!/usr/sbin/nft -f\n\nflush ruleset\n{RULES}")).unwrap();
    let unit = fs::read_to_string(example("systemd/causeway-repair-after-reload.service")).unwrap();
    let of_unit = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    for follows in ["ReloadPropagatedFrom=", "PartOf=", "After="] {
        assert!(of_unit(follows).contains("nftables.service"), "{follows}");
    }
    // Debian's unit: ExecReload is `nft -f`, ExecStop `nft flush ruleset`, ExecStart `nft -f` again.
    for (flushes, key) in [(false, "ExecReload="), (true, "ExecStart=")] {
        if flushes {
            host.run(["nft", "flush", "ruleset"]);
        }
        host.run(["nft", "-f", file]);
        assert!(!scene.web.pings(&Outside::ADDRESS.to_string()), "not masqueraded any more");
        assert!(!is_published(&scene), "the port leads to nobody any more");
        let found = scene.finds(&["attachment-without-rules", "route-localnet-without-guard"]);
        for part in ["masquerading", "mapped ports", "firewall", "macspoofchk"] {
            let is_told = |one: &serde_json::Value| one["fault"].as_str().unwrap().contains(part);
            assert!(found.iter().any(is_told), "{part}: {found:#?}");
        }

        let words = of_unit(key).strip_prefix("/usr/bin/causeway ").unwrap();
        // 1: something was mended; `SuccessExitStatus` of the unit says that this is no failure.
        let done = scene.node.text(&words.split(' ').collect::<Vec<_>>(), 1);
        assert!(done.contains("repaired pods/web/eth0: "), "{done}");
        scene.is_sound();
        let after = host.run(["nft", "list", "table", "inet", "filter"]);
        assert_eq!(after, operators, "what the operator wrote is as it was");
    }
}

/// Whether the port that `web` publishes leads to it.
fn is_published(scene: &Scene) -> bool {
    let server = scene.web.inside(|| TcpListener::bind("0.0.0.0:80").unwrap());
    let address = SocketAddr::from((Outside::HOST, 8080));
    let limit = Duration::from_secs(1);
    let is_connected = scene.outside.inside(|| TcpStream::connect_timeout(&address, limit)).is_ok();
    drop(server);
    is_connected
}
