//! Two nodes that are joined as `examples/several-nodes.md` says, by its own lines.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use cni_runtime::NetworkList;
use testsupport::golden;

use crate::examples::TEMPLATE;
use crate::node::{Node, Pod, SOON, accept_soon, expect};
use crate::template::{Values, render};

type Job = Box<dyn FnOnce(&mut Machine) + Send>;

/// A node with its pods; lives on a thread of its own, as a host is a thread's.
struct Machine {
    node: Node,
    list: NetworkList,
    pods: Vec<Pod>,
}

/// What gives a machine work. The machine ends with it.
struct Remote(mpsc::Sender<Job>);

impl Remote {
    /// A machine with these ranges for its pods.
    fn start(ranges: &'static [&'static str]) -> Self {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            let text = render(&golden::read(TEMPLATE), &Values::of(ranges));
            let list = NetworkList::new(serde_json::from_str(&text).unwrap()).unwrap();
            let mut machine = Machine { node: Node::new(), list, pods: Vec::new() };
            for job in jobs {
                job(&mut machine);
            }
        });
        Self(sender)
    }

    /// Has the machine do something; what panics there panics here.
    fn on<T: Send + 'static>(&self, act: impl FnOnce(&mut Machine) -> T + Send + 'static) -> T {
        let (sender, done) = mpsc::channel();
        let job = move |machine: &mut Machine| {
            sender.send(catch_unwind(AssertUnwindSafe(|| act(machine)))).ok();
        };
        self.0.send(Box::new(job)).expect("the machine is there");
        done.recv().expect("the machine answers").unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs command lines there.
    fn run(&self, lines: &[String]) {
        let lines = lines.to_vec();
        self.on(move |machine| {
            for line in lines {
                machine.node.run(&line);
            }
        });
    }
}

/// The lines of the page's `number`th block in this language.
fn block(language: &str, number: usize) -> Vec<String> {
    let page = golden::read("examples/several-nodes.md");
    let opening = format!("```{language}\n");
    let block = page.split(&opening).nth(number + 1).unwrap_or_else(|| panic!("no {opening}"));
    block.split("```").next().unwrap().lines().map(str::to_owned).collect()
}

/// Two machines with one pod each, joined by a link and the page's routes.
fn joined() -> [Remote; 2] {
    let one = Remote::start(&["10.244.1.0/24", "fd00:10:244:1::/64"]);
    let two = Remote::start(&["10.244.2.0/24", "fd00:10:244:2::/64"]);
    let id = two.on(|_| nix::unistd::gettid());
    one.run(&[format!("ip link add link0 type veth peer name link0 netns {id}")]);
    for (machine, number) in [(&one, 1), (&two, 2)] {
        machine.run(&[
            format!("ip address add 192.0.2.{number}/24 dev link0"),
            format!("ip address add 2001:db8::{number}/64 dev link0 nodad"),
            "ip link set link0 up".to_owned(),
        ]);
    }
    for machine in [&one, &two] {
        machine.on(|machine| {
            let pod = Pod::start(&machine.node, "pod", &machine.node.runtime, &machine.list);
            machine.pods.push(pod);
        });
    }
    one.run(&block("sh", 0));
    two.run(&block("sh", 1));
    [one, two]
}

fn addresses(machine: &Remote) -> Vec<IpAddr> {
    machine.on(|machine| {
        machine.pods[0].addresses.iter().map(|address| address.parse().unwrap()).collect()
    })
}

/// Who calls, as a pod at the other machine sees it, when this machine's pod calls `address`.
fn caller_seen(from: &Remote, to: &Remote, address: IpAddr) -> IpAddr {
    let listener =
        to.on(|machine| machine.pods[0].container.inside(|| TcpListener::bind(("::", 0)).unwrap()));
    let port = listener.local_addr().unwrap().port();
    let target = SocketAddr::new(address, port);
    let stream = from.on(move |machine| {
        let container = &machine.pods[0].container;
        container.inside(|| TcpStream::connect_timeout(&target, SOON))
    });
    let _open = stream.unwrap_or_else(|error| panic!("{target}: {error}"));
    accept_soon(&listener).expect("the call arrives there")
}

#[test]
fn pods_of_two_nodes_reach_each_other_under_their_own_addresses() {
    let [one, two] = joined();
    for (from, to) in [(&one, &two), (&two, &one)] {
        for (own, theirs) in addresses(from).into_iter().zip(addresses(to)) {
            assert_eq!(caller_seen(from, to, theirs), own);
        }
    }
}

#[test]
fn the_pages_rules_masquerade_what_leaves_the_cluster_and_nothing_else() {
    let [one, two] = joined();
    for machine in [&one, &two] {
        machine.on(|machine| {
            let outside = |pod: &Pod, address: &str| pod.container.pings(address);
            for address in machine.pods[0].outside() {
                assert!(!outside(&machine.pods[0], &address), "outside knows no way back yet");
            }
            let file = machine.node.host.temp_dir().join("cluster.nft");
            std::fs::write(&file, block("nft", 0).join("\n")).unwrap();
            machine.node.run(&format!("nft -f {}", file.display()));
            machine.pods[0].assert_reaches_outside();
        });
    }
    for (own, theirs) in addresses(&one).into_iter().zip(addresses(&two)) {
        assert_eq!(caller_seen(&one, &two, theirs), own);
    }
}

#[test]
fn without_a_route_the_suite_itself_carries_nothing_to_another_node() {
    let [one, two] = joined();
    one.run(&["ip route delete 10.244.2.0/24".to_owned()]);
    let address = addresses(&two)[0].to_string();
    assert!(!one.on(move |machine| machine.pods[0].container.pings(&address)));
    one.on(|machine| expect(machine.node.runtime.del(&machine.list, &machine.pods[0].attachment)));
}
