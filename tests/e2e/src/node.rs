//! A machine with container runtimes: a throw-away host whose folders of theirs are in memory.

use std::env;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use testsupport::{Background, Finished, Host, Outside};

use crate::plugins::{self, Suite};

/// How long anything is waited for. Long: it ends only a test that hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The calling test thread as a node. Beyond what [`Host`] covers, `/etc/cni`, `/etc/containers`,
/// `/opt`, `/var/lib` and `/var/tmp` are its own; `/opt/cni/bin` has the plugins.
#[derive(Debug)]
pub struct Node {
    host: Host,
    outside: Outside,
}

impl Node {
    /// Makes the calling thread a node with this checkout's plugins.
    ///
    /// # Panics
    /// Outside `scripts/e2e`, which sees to it that no process is left, and that they are installed.
    #[expect(clippy::new_without_default, reason = "making a node is not a default of anything")]
    pub fn new() -> Self {
        assert!(env::var_os("CAUSEWAY_E2E").is_some(), "run it through scripts/e2e");
        let host = Host::new();
        // Host shows /sys as its network namespace has it, without the control groups that runc needs.
        host.run(["umount", "/sys"]);
        // crun refuses to work where both versions of them are; the second is of no use here.
        let both = "/sys/fs/cgroup/unified";
        if Path::new(both).is_dir() {
            host.run(["umount", both]);
        }
        for folder in ["/opt", "/var/lib", "/var/tmp"] {
            host.run(["mount", "-t", "tmpfs", "tmpfs", folder]);
        }
        // Host's /etc leads to the machine's, name by name: these are the node's own instead.
        for folder in ["/etc/cni", "/etc/containers", "/etc/containerd"] {
            fs::remove_file(folder).ok();
            fs::create_dir_all(folder).unwrap();
        }
        fs::create_dir_all("/etc/cni/net.d").unwrap();
        fs::create_dir_all("/var/lib/cni").unwrap();
        let outside = host.outside();
        let node = Self { host, outside };
        plugins::install(Suite::Ours);
        node
    }

    /// The neighbour, who knows no way to any container.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Writes `/etc/cni/net.d/<name>`, the only network there.
    pub fn configure(&self, name: &str, conflist: &str) {
        for entry in fs::read_dir("/etc/cni/net.d").unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(Path::new("/etc/cni/net.d").join(name), conflist).unwrap();
    }

    /// Runs a line as a shell does, which must succeed; when it does not, the calls of plugins that
    /// failed are shown.
    pub fn must(&self, line: &str) -> String {
        let finished = self.finish(["sh", "-c", line]);
        assert!(finished.status == Some(0), "{finished}\n{}", plugins::failures());
        String::from_utf8_lossy(&finished.stdout).into_owned()
    }

    /// Runs lines, each of which must succeed; their output.
    pub fn run_lines(&self, lines: &str) -> String {
        lines.lines().map(|line| self.must(line)).collect()
    }

    /// Waits until `look` finds something.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "waited {LIMIT:?} for {what}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Deref for Node {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

/// What a test needs to know of a container that a runtime runs.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The runtime's ID.
    pub id: String,
    /// The path of its network namespace.
    pub netns: PathBuf,
}

impl Pod {
    /// The command that runs `words` in the container's network, with the node's programs.
    fn entered(&self, words: &[&str]) -> Vec<String> {
        let enter =
            ["nsenter".to_owned(), format!("--net={}", self.netns.display()), "--".to_owned()];
        enter.into_iter().chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    /// Runs a program of the node in the container's network.
    pub fn finish(&self, node: &Node, words: &[&str]) -> Finished {
        node.finish(self.entered(words))
    }

    /// The same, which must succeed.
    pub fn run(&self, node: &Node, words: &[&str]) -> String {
        self.finish(node, words).success()
    }

    /// Starts a program of the node in the container's network; it ends when that is dropped.
    pub fn background(&self, node: &Node, words: &[&str]) -> Background {
        node.background(self.entered(words))
    }

    /// The addresses of `eth0`, without their lengths: IPv4 ones, then IPv6 ones that are not link-local.
    pub fn addresses(&self, node: &Node) -> Vec<String> {
        let text = self
            .run(node, &["ip", "-oneline", "address", "show", "dev", "eth0", "scope", "global"]);
        let address = |line: &str| {
            let mut fields = line.split_whitespace().skip_while(|word| !word.starts_with("inet"));
            Some(fields.nth(1)?.split('/').next()?.to_owned())
        };
        text.lines().filter_map(address).collect()
    }
}

/// The words of a line without quotes.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The root of the repository.
pub fn checkout() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let root = Path::new(&package).ancestors().nth(2);
    root.expect("tests/e2e lies in the checkout").to_owned()
}
