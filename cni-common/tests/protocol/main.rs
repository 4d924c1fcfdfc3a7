//! The protocol edge, through an executable: every rule that callers see without a network.
//!
//! The executable is `examples/probe.rs`, which has no effect but a journal.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod environment;
mod input;
mod log;
mod output;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use testsupport::{Call, example};

/// A call of the probe plugin with everything that `command` needs but stdin.
fn call(command: &str) -> Call {
    Call::of(example("probe"))
        .command(command)
        .container_id("c1")
        .netns_path("/run/netns/blue")
        .ifname("eth0")
}

/// A configuration of the newest version.
fn config() -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "probe", "cni.dev/valid-attachments": []})
}

/// `config` with `key` set to `value`.
fn with(mut config: Value, key: &str, value: impl Into<Value>) -> Value {
    config[key] = value.into();
    config
}

/// What the plugin did, step by step: a file of its own for every test.
struct Journal(PathBuf);

impl Journal {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-protocol-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn config(&self) -> Value {
        with(config(), "journal", self.0.to_str().unwrap())
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Nothing was noted: there is no file.
        fs::remove_file(&self.0).ok();
    }
}
