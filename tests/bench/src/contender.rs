//! One contender, a plugin suite or the floor, and how it is called.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use testsupport::{Container, Host};

/// What is measured against others.
#[derive(Clone)]
pub(crate) struct Contender {
    /// As the report shows it.
    pub(crate) name: String,
    program: Program,
}

#[derive(Clone)]
enum Program {
    /// The executable `floor`.
    Floor(PathBuf),
    /// A folder with the plugins.
    Suite(PathBuf),
}

/// What a call is about: a namespace and the name that goes with it.
pub(crate) struct Attachment {
    /// The container's ID.
    pub(crate) container: String,
    /// Its namespace.
    pub(crate) netns: PathBuf,
    /// Which of the bridge's addresses the floor gives it; suites choose for themselves.
    pub(crate) number: u16,
}

impl Attachment {
    /// That of this container, whose name is its ID.
    pub(crate) fn new(container: &Container, number: u16) -> Self {
        let netns = container.path().to_owned();
        Self { container: container.name().to_owned(), netns, number }
    }
}

/// The bridge of a contender, on its own host; it is 10.80.0.1/16 there.
const BRIDGE: &str = "bench0";

/// A contender's place on a host: a bridge and a pool.
pub(crate) struct Seat {
    contender: Contender,
    folder: PathBuf,
    bridge_index: String,
}

impl Contender {
    pub(crate) fn floor(file: PathBuf) -> Self {
        Self { name: "floor".to_owned(), program: Program::Floor(file) }
    }

    pub(crate) fn suite(name: &str, folder: PathBuf) -> Self {
        Self { name: name.to_owned(), program: Program::Suite(folder) }
    }

    /// Whether it is a suite of plugins.
    pub(crate) fn is_suite(&self) -> bool {
        matches!(self.program, Program::Suite(_))
    }

    /// The folder of its plugins; none for the floor.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.program {
            Program::Floor(_) => None,
            Program::Suite(folder) => Some(folder),
        }
    }
}

impl Seat {
    /// The seat on `host`. A suite makes its bridge itself; the floor's is made here.
    pub(crate) fn new(host: &Host, contender: Contender, masquerade: bool) -> Self {
        let bridge_index = match contender.is_suite() {
            true => String::new(),
            false => make_bridge(host),
        };
        let folder = host.temp_dir().join(BRIDGE);
        fs::create_dir_all(folder.join("net")).unwrap();
        let seat = Self { contender, folder, bridge_index };
        fs::write(seat.config(), seat.network(masquerade)).unwrap();
        seat
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    fn network(&self, masquerade: bool) -> String {
        json!({
            "cniVersion": "1.0.0",
            "name": "net",
            "type": "bridge",
            "bridge": BRIDGE,
            "isDefaultGateway": true,
            "ipMasq": masquerade,
            "ipam": {
                "type": "host-local",
                "subnet": "10.80.0.0/16",
                "dataDir": self.folder,
            },
        })
        .to_string()
    }

    /// Makes `count` addresses in the middle of the pool held; the round robin goes on behind them.
    pub(crate) fn hold(&self, count: u32) {
        let ip = |number: u32| {
            let [_, _, c, d] = (number + 1).to_be_bytes();
            Ipv4Addr::new(10, 80, c, d).to_string()
        };
        let pool = self.folder.join("net");
        let first = 2000;
        for number in first..first + count {
            fs::write(pool.join(ip(number)), format!("{number:064x}\r\neth0")).unwrap();
        }
        if count > 0 {
            fs::write(pool.join("last_reserved_ip.0"), ip(first + count - 1)).unwrap();
        }
    }

    /// The time of one call, `ADD` or `DEL`.
    pub(crate) fn call(&self, command: &str, attachment: &Attachment) -> Duration {
        let answer = self.folder.join(format!("answer-{}", attachment.container));
        let mut process = self.process(command, attachment, &answer);
        let begin = Instant::now();
        let status = process.status().unwrap_or_else(|error| panic!("{process:?}: {error}"));
        let time = begin.elapsed();
        let shown = || fs::read_to_string(&answer).unwrap_or_default();
        assert!(status.success(), "{process:?}: {status}\n{}", shown());
        time
    }

    fn process(&self, command: &str, attachment: &Attachment, answer: &Path) -> Command {
        let mut process = match &self.contender.program {
            Program::Floor(file) => self.floor(file, command, attachment),
            Program::Suite(folder) => {
                let mut process = Command::new(folder.join("bridge"));
                process
                    .env_clear()
                    .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                    .env("CNI_COMMAND", command)
                    .env("CNI_CONTAINERID", &attachment.container)
                    .env("CNI_NETNS", &attachment.netns)
                    .env("CNI_IFNAME", "eth0")
                    .env("CNI_PATH", folder);
                process
            }
        };
        process
            .stdin(File::open(self.config()).unwrap())
            .stdout(File::create(answer).unwrap())
            .stderr(Stdio::null());
        process
    }

    fn floor(&self, file: &Path, command: &str, attachment: &Attachment) -> Command {
        let name = format!("floor{}", attachment.number);
        let mut process = Command::new(file);
        process.env_clear();
        if command == "DEL" {
            process.args(["del", &name]);
            return process;
        }
        let [high, low] = attachment.number.to_be_bytes();
        let address = format!("10.80.{}.{low}/16", 200 + high);
        process.arg("add").arg(&attachment.netns);
        process.args([&name, &self.bridge_index, &address, "10.80.0.1"]);
        process
    }

    /// Where the seat keeps its files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Another name for the suite's `bridge`.
    pub(crate) fn linked(&self, name: &str) -> PathBuf {
        let link = self.folder.join(name);
        if let Program::Suite(folder) = &self.contender.program {
            std::os::unix::fs::symlink(folder.join("bridge"), &link).unwrap();
        }
        link
    }

    /// A call under `watcher`, a program that starts what its last arguments name.
    pub(crate) fn watch(
        &self,
        mut watcher: Command,
        command: &str,
        attachment: &Attachment,
    ) -> Result<(), String> {
        let call = self.process(command, attachment, &self.folder.join("answer-watched"));
        watcher.arg(call.get_program()).args(call.get_args());
        self.run_as(&call, watcher)
    }

    /// `watcher` with the environment of a call, and the configuration's path as last argument.
    pub(crate) fn watch_loop(
        &self,
        mut watcher: Command,
        attachment: &Attachment,
    ) -> Result<(), String> {
        let call = self.process("ADD", attachment, &self.folder.join("answer-watched"));
        watcher.arg(self.config());
        self.run_as(&call, watcher)
    }

    fn run_as(&self, call: &Command, mut watcher: Command) -> Result<(), String> {
        watcher.env_clear();
        watcher.envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
        watcher.stdin(File::open(self.config()).unwrap()).stdout(Stdio::null());
        let output = watcher.output().map_err(|error| format!("{watcher:?}: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// The peak of resident memory of an ADD or its delegate, in MiB; the attachment stays.
    pub(crate) fn memory(&self, attachment: &Attachment) -> f64 {
        let report = self.folder.join("memory");
        let add = self.process("ADD", attachment, &self.folder.join("answer-memory"));
        let mut process = Command::new("time");
        process.arg("--format=%M").arg("--output").arg(&report).arg(add.get_program());
        process.args(add.get_args()).env_clear();
        process.envs(add.get_envs().filter_map(|(name, value)| Some((name, value?))));
        process.stdin(File::open(self.config()).unwrap()).stdout(Stdio::null());
        let status = process.status().unwrap_or_else(|error| panic!("{process:?}: {error}"));
        assert!(status.success(), "{process:?}: {status}");
        let text = fs::read_to_string(report).unwrap();
        let kib: f64 = text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text:?}"));
        kib / 1024.0
    }
}

/// Makes the floor's bridge, with the gateway's address; its index.
fn make_bridge(host: &Host) -> String {
    for words in [
        format!("ip link add {BRIDGE} address 02:00:00:00:00:01 type bridge"),
        format!("ip address add 10.80.0.1/16 dev {BRIDGE}"),
        format!("ip link set {BRIDGE} up"),
    ] {
        host.run(words.split(' ').collect::<Vec<_>>());
    }
    host.run(["cat", &format!("/sys/class/net/{BRIDGE}/ifindex")]).trim().to_owned()
}
