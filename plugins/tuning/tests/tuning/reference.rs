//! Beside the reference's executable: the same results and files, and a swap in both directions.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testsupport::{REFERENCE_DIR, executable};

use crate::attachment::{Attachment, KEPT};

fn reference() -> PathBuf {
    Path::new(REFERENCE_DIR).join("tuning")
}

/// What the distribution's version knows.
fn attributes() -> Value {
    json!({"mac": "02:00:00:00:00:0a", "mtu": 1400, "promisc": true, "allmulti": true})
}

#[test]
fn both_set_and_keep_the_same() {
    let seen: Vec<_> = [executable("tuning"), reference()]
        .into_iter()
        .map(|program| {
            let tuned = Attachment::of(program);
            let mut keys = attributes();
            keys["sysctl"] = json!({"net.core.somaxconn": "1000"});
            // The reference changes one on the host, too.
            let mut config = tuned.config(keys.clone());
            config["prevResult"]["interfaces"][0]["name"] = "veth0".into();
            let added = tuned.call("ADD", json!({})).config(&config).run();
            let mut result = added.expect_success().json();
            // The distribution's version prints an empty one in every version.
            result.as_object_mut().unwrap().remove("dns");
            tuned.call("CHECK", keys).config(&config).run().expect_silent_success();
            (result, tuned.link(), tuned.sysctl("net.core.somaxconn"), tuned.kept())
        })
        .collect();
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn what_one_suite_set_the_other_checks_and_sets_back() {
    let ours = executable("tuning");
    for (adds, deletes) in [(&ours, &reference()), (&reference(), &ours)] {
        let tuned = Attachment::new();
        let before = tuned.link();
        tuned.call_with(adds, "ADD", attributes()).run().expect_success();
        tuned.call_with(deletes, "CHECK", attributes()).run().expect_silent_success();
        tuned.call_with(deletes, "DEL", attributes()).run().expect_silent_success();
        assert_eq!(tuned.link(), before);
        assert!(!Path::new(KEPT).exists());
        // Whatever one of them left, ours removes.
        tuned.call("DEL", attributes()).run().expect_silent_success();
        tuned.nothing_is_kept();
    }
}

#[test]
fn both_answer_the_same_faults_with_the_same_words() {
    let ours = Attachment::new();
    for keys in [
        json!({"prevResult": null}),
        json!({"sysctl": {"net.nope": "1"}}),
        json!({"sysctl": {"kernel.pid_max": "1"}}),
    ] {
        let message = |program: &Path| {
            let answer = ours.call_with(program, "ADD", keys.clone()).run();
            assert_eq!(answer.status(), Some(1));
            answer.json()["msg"].as_str().unwrap().to_owned()
        };
        let (own, theirs) = (message(&executable("tuning")), message(&reference()));
        // The distribution's version shows the key before it makes a path of it.
        assert!(own.contains(&theirs) || theirs.contains("kernel.pid_max"), "{own}\n{theirs}");
    }
}
