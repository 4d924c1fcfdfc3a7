//! firewalld, started by hand, with a system bus of the node's own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testsupport::Background;

use crate::Node;

/// Where clients look for the bus.
pub const BUS: &str = "/run/dbus/system_bus_socket";
const CONFIG: &str = "/run/test/firewalld";
const LOG: &str = "/run/test/firewalld.log";

/// A running firewalld, killed when dropped, and its bus with it.
#[derive(Debug)]
pub struct Firewalld<'a> {
    node: &'a Node,
    process: Child,
    _bus: Background,
}

impl<'a> Firewalld<'a> {
    /// Starts both. `settings` are keys of `firewalld.conf` with other values than the distribution's.
    pub fn start(node: &'a Node, settings: &[(&str, &str)]) -> Self {
        fs::create_dir_all("/run/dbus").unwrap();
        let address = format!("--address=unix:path={BUS}");
        let bus = node.background([
            "dbus-daemon",
            "--system",
            "--nofork",
            "--nopidfile",
            "--nosyslog",
            &address,
        ]);
        node.wait_for("the system bus", || Path::new(BUS).exists().then_some(()));
        fs::create_dir_all(CONFIG).unwrap();
        let file = format!("{CONFIG}/firewalld.conf");
        let mut config = fs::read_to_string("/etc/firewalld/firewalld.conf").unwrap();
        for (key, value) in settings {
            config.push_str(&format!("{key}={value}\n"));
        }
        fs::write(file, config).unwrap();
        let log = fs::File::create(LOG).unwrap();
        let process = Command::new("firewalld")
            .args(["--nofork", "--nopid", "--log-target", "console", "--system-config", CONFIG])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("firewalld: {error}"));
        let mut firewalld = Self { node, process, _bus: bus };
        firewalld.wait();
        firewalld
    }

    fn wait(&mut self) {
        self.node.wait_for("firewalld to run", || {
            let log = || fs::read_to_string(LOG).unwrap_or_default();
            assert!(self.process.try_wait().unwrap().is_none(), "firewalld ended:\n{}", log());
            (self.node.finish(["firewall-cmd", "--state"]).status == Some(0)).then_some(())
        });
    }

    /// Asks by its own program.
    pub fn run(&self, words: &[&str]) -> String {
        self.node.run([&["firewall-cmd"], words].concat())
    }

    /// The addresses that are in the zone, in order.
    pub fn sources(&self, zone: &str) -> Vec<String> {
        let listed = self.run(&[&format!("--zone={zone}"), "--list-sources"]);
        let mut sources: Vec<String> = listed.split_whitespace().map(str::to_owned).collect();
        sources.sort();
        sources
    }

    /// Kills it without warning: its rules stay, and nobody answers any more.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Firewalld<'_> {
    fn drop(&mut self) {
        // Ended by itself already: nothing is left to kill.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
