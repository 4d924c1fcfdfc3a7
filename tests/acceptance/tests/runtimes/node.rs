//! A host with a neighbour outside, and runtimes on it.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use cni_runtime::{Attachment, Error, NetworkList, Runtime};
use serde_json::Value;
use testsupport::{Container, Host, Outside, REFERENCE_DIR, bin_dir, golden};

/// How long anything may take to come about.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) outside: Outside,
    /// A runtime with the plugins under test.
    pub(crate) runtime: Runtime,
}

impl Node {
    pub(crate) fn new() -> Self {
        let host = Host::new();
        // A link-local address that is still probed for shows up a second later.
        host.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
        let outside = host.outside();
        let runtime = Runtime::new([bin_dir()], cache(&host));
        Self { host, outside, runtime }
    }

    /// A runtime with the distribution's plugins only, on the same cache: the node before a swap.
    pub(crate) fn reference(&self) -> Runtime {
        assert!(Path::new(REFERENCE_DIR).join("bridge").is_file(), "{REFERENCE_DIR}/bridge");
        Runtime::new([REFERENCE_DIR], cache(&self.host))
    }

    /// A command line on the host.
    pub(crate) fn run(&self, line: &str) -> String {
        self.host.run(line.split(' ').collect::<Vec<_>>())
    }
}

fn cache(host: &Host) -> PathBuf {
    host.temp_dir().join("cache")
}

/// A network list of `testdata/callers/`.
pub(crate) fn list(file: &str) -> NetworkList {
    NetworkList::read(golden::path(&format!("testdata/callers/{file}"))).unwrap()
}

/// `eth0` of a container that is named as its ID.
pub(crate) fn attachment(container: &Container) -> Attachment {
    Attachment::new(container.name(), container.path().to_str().unwrap())
}

/// Shows all that the failed plugin said.
#[track_caller]
pub(crate) fn expect<T>(done: Result<T, Error>) -> T {
    done.unwrap_or_else(|failure| panic!("{failure}"))
}

/// The addresses in a result of any version, without their lengths.
pub(crate) fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().into_iter().flatten().map(|ip| &ip["address"]);
    let old = ["ip4", "ip6"].into_iter().map(|family| &result[family]["ip"]);
    let texts = ips.chain(old).filter_map(Value::as_str);
    texts.map(|text| text.split('/').next().unwrap().to_owned()).collect()
}

/// A container that was attached.
pub(crate) struct Pod {
    pub(crate) container: Container,
    pub(crate) attachment: Attachment,
    pub(crate) addresses: Vec<String>,
}

impl Pod {
    /// A container of this name, attached by `runtime` as `about` makes it of the plain attachment.
    #[track_caller]
    pub(crate) fn start(node: &Node, name: &str, runtime: &Runtime, list: &NetworkList) -> Self {
        let container = node.host.container(name);
        let attachment = attachment(&container);
        Self::attach(container, attachment, runtime, list)
    }

    /// The same with an attachment of the test's.
    #[track_caller]
    pub(crate) fn attach(
        container: Container,
        attachment: Attachment,
        runtime: &Runtime,
        list: &NetworkList,
    ) -> Self {
        let result = expect(runtime.add(list, &attachment));
        assert_eq!(result["cniVersion"], list.version());
        let addresses = addresses(&result);
        assert!(!addresses.is_empty(), "{result}");
        Self { container, attachment, addresses }
    }

    /// Whether all addresses of `other` answer.
    #[track_caller]
    pub(crate) fn assert_reaches(&self, other: &Self) {
        for address in &other.addresses {
            assert!(reaches(&self.container, address), "{} to {address}", self.container.name());
        }
    }

    /// Asserts that no interface is left in the container.
    #[track_caller]
    pub(crate) fn assert_is_detached(&self) {
        let links = self.container.run(["ip", "-oneline", "link"]);
        assert!(links.lines().all(|line| line.contains(" lo: ")), "{links}");
    }

    /// The neighbour's addresses, in the families that this one has an address of.
    pub(crate) fn outside(&self) -> Vec<String> {
        let has = |six: bool| self.addresses.iter().any(|address| address.contains(':') == six);
        let mut addresses = Vec::new();
        if has(false) {
            addresses.push(Outside::ADDRESS.to_string());
        }
        if has(true) {
            addresses.push(Outside::ADDRESS_6.to_string());
        }
        addresses
    }

    /// Asserts that the neighbour answers.
    #[track_caller]
    pub(crate) fn assert_reaches_outside(&self) {
        for address in self.outside() {
            assert!(reaches(&self.container, &address), "{} to {address}", self.container.name());
        }
    }
}

/// Whether `address` answers a ping within a while.
pub(crate) fn reaches(from: &Container, address: &str) -> bool {
    let started = Instant::now();
    loop {
        if from.pings(address) {
            return true;
        }
        if started.elapsed() > SOON {
            return false;
        }
    }
}

/// Asserts that connections from `from` to each of `addresses` end in `container` at `port`.
#[track_caller]
pub(crate) fn assert_lead(
    from: &Container,
    addresses: &[SocketAddr],
    container: &Container,
    port: u16,
) {
    let listener = container.inside(|| TcpListener::bind(("::", port)));
    let listener = listener.unwrap_or_else(|error| panic!("listen at {port}: {error}"));
    for address in addresses {
        let stream = from.inside(|| TcpStream::connect_timeout(address, SOON));
        let _open = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
        let caller = accept_soon(&listener);
        assert!(caller.is_some(), "{address} does not lead to {}", container.name());
    }
}

/// Who calls; `None` when nobody does in a while.
pub(crate) fn accept_soon(listener: &TcpListener) -> Option<IpAddr> {
    listener.set_nonblocking(true).unwrap();
    let started = Instant::now();
    while started.elapsed() < SOON {
        if let Ok((_stream, caller)) = listener.accept() {
            return Some(caller.ip().to_canonical());
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}
