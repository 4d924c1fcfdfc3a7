//! Configurations: those that runtimes send, out of `testdata/callers`, and out of
//! `testdata/host-local` one for every fault.

use std::fs;

use cni_runtime::NetworkList;
use serde_json::{Value, json};
use testsupport::{Call, golden};

use crate::pool::{self, Pool};

/// The network lists of `testdata/callers` that have an `ipam`, with the first addresses they allocate.
const CALLERS: [(&str, &[&str]); 14] = [
    ("containerd.conflist", &["10.88.0.2/16", "2001:4860:4860::2/64"]),
    ("cri-o.conflist", &["10.85.0.2/16", "1100:200::2/24"]),
    ("cri-o-ipv4.conflist", &["10.85.0.2/16"]),
    ("flannel.conflist", &["10.244.1.2/24"]),
    ("k3s.conflist", &["10.42.0.2/24"]),
    ("kubenet.conf", &["10.180.13.2/24"]),
    ("nerdctl.conflist", &["10.4.0.2/24"]),
    ("nerdctl-internal.conflist", &["10.4.2.2/24"]),
    ("nerdctl-ipv6.conflist", &["10.4.1.16/24", "fd00:4:1::2/64"]),
    ("nomad.conflist", &["172.26.64.2/20"]),
    ("nomad-1.8.conflist", &["172.26.64.2/20"]),
    ("podman-1.conflist", &["10.88.0.2/16"]),
    ("podman-3.conflist", &["10.88.0.2/16"]),
    ("podman-4.conflist", &["10.89.0.2/24", "fd5d:1::2/64"]),
];

/// Every file of a folder of `testdata/host-local`, with its name.
fn fixtures(folder: &str) -> Vec<(String, Value)> {
    let path = golden::path(&format!("testdata/host-local/{folder}"));
    let mut fixtures: Vec<(String, Value)> = fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    fixtures.sort_by(|one, other| one.0.cmp(&other.0));
    fixtures
}

/// What runtimes send, as fixtures: their own lists, and what a person may write.
fn sent() -> Vec<(String, Value)> {
    let folder = fs::read_dir(golden::path("testdata/callers")).unwrap();
    let lists = folder.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.contains(".conf") && name != "go-cni-loopback.conflist"
    });
    assert_eq!(lists.count(), CALLERS.len(), "every list is tried");
    let caller = |(file, ips): (&str, &[&str])| {
        let list = NetworkList::read(golden::path(&format!("testdata/callers/{file}"))).unwrap();
        let plugin = list.plugins().iter().find(|plugin| plugin.has("ipam")).unwrap();
        let config = list.config_of(plugin);
        (file.to_owned(), json!({ "ips": ips, "config": config }))
    };
    CALLERS.into_iter().map(caller).chain(fixtures("conf")).collect()
}

/// The `ipam` object, by whatever case its key is written in.
fn ipam(config: &mut Value) -> Option<&mut Value> {
    let keys = config.as_object_mut().unwrap();
    let name = keys.keys().find(|key| key.eq_ignore_ascii_case("ipam"))?.clone();
    keys.get_mut(&name)
}

#[test]
fn every_fault_has_its_code_and_words_and_leaves_nothing() {
    let fixtures = fixtures("invalid");
    assert!(fixtures.len() >= 30);
    for (name, fixture) in fixtures {
        let pool = Pool::small();
        let mut config = fixture["config"].clone();
        if let Some(ipam) = ipam(&mut config)
            && ipam.get("dataDir").is_none()
        {
            ipam["dataDir"] = pool.data_dir().to_str().unwrap().into();
        }
        let answer = pool.call("ADD", "c1").config(&config).run();
        let said = json!({ "code": answer.json()["code"], "msg": answer.json()["msg"] });
        // The text of a value is shown as it came, and this test writes it without spaces.
        let wanted =
            fixture["msg"].as_str().unwrap().replace(": \"10.0.0.0/24\"}", ":\"10.0.0.0/24\"}");
        assert_eq!(said, json!({ "code": fixture["code"], "msg": wanted }), "{name}");
        assert_eq!(answer.status(), Some(1), "{name}");
        assert_eq!(fs::read_dir(pool.data_dir()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn what_runtimes_send_is_served() {
    for (name, fixture) in sent() {
        let pool = Pool::small();
        let mut config = fixture["config"].clone();
        ipam(&mut config).unwrap()["dataDir"] = pool.data_dir().to_str().unwrap().into();
        let call = |command: &str| pool.call(command, "c1").config(&config).run();
        let result = call("ADD").expect_success().json();
        let addresses: Vec<Value> = match result.get("ips") {
            Some(ips) => ips.as_array().unwrap().iter().map(|ip| ip["address"].clone()).collect(),
            None => ["ip4", "ip6"]
                .iter()
                .filter_map(|key| result.get(key))
                .map(|ip| ip["ip"].clone())
                .collect(),
        };
        assert_eq!(Value::from(addresses), fixture["ips"], "{name}");
        call("DEL").expect_silent_success();
        call("DEL").expect_silent_success();
    }
}

#[test]
fn the_result_has_the_form_of_every_version() {
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let mut pool = Pool::new(json!({
            "ranges": [
                [{ "subnet": "10.0.0.0/24", "gateway": "10.0.0.254" }],
                [{ "subnet": "fd00::/64" }],
            ],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "fd01::/16", "gw": "fd00::9", "mtu": 1400 }],
        }));
        pool.version = version;
        let answer = pool.add("c1");
        answer.expect_success();
        golden::assert_matches(
            &format!("testdata/host-local/result/{version}.json"),
            &answer.stdout(),
        );
    }
}

#[test]
fn the_reference_answers_the_same() {
    for (name, fixture) in sent() {
        let answer = |program: std::path::PathBuf| {
            let pool = Pool::small();
            let mut config = fixture["config"].clone();
            ipam(&mut config).unwrap()["dataDir"] = pool.data_dir().to_str().unwrap().into();
            let mut call = pool.call("ADD", "c1").config(&config);
            if program.starts_with("/usr") {
                call = Call::of(program)
                    .command("ADD")
                    .container_id("c1")
                    .netns_path("/var/run/netns/none")
                    .ifname("eth0")
                    .config(&config);
            }
            let mut result = call.run().expect_success().json();
            // Older ones print an empty object in every version.
            if result["dns"] == json!({}) {
                result.as_object_mut().unwrap().remove("dns");
            }
            result
        };
        assert_eq!(answer(pool::reference()), answer("".into()), "{name}");
    }
}
