//! The default network lists of the runtimes, each from ADD to the last DEL, with what that runtime
//! says besides.

use std::net::SocketAddr;

use cni_runtime::{Attachment, NetworkList};
use conformance::runtimes::{Manner, mac};
use testsupport::Container;
use testsupport::Outside;

use crate::node::{Node, Pod, assert_lead, attachment, expect, list, reaches};
use crate::traces;

/// How the neighbour outside is reached.
#[derive(PartialEq)]
pub(crate) enum Outwards {
    /// It knows no way back: only what is masqueraded gets an answer.
    Masqueraded,
    /// It knows the way to these subnets.
    Routed(&'static [&'static str]),
    /// Not at all.
    Closed,
}

pub(crate) struct Caller {
    list: NetworkList,
    manner: Manner,
    pub(crate) outwards: Outwards,
    /// An IPv4 address to ask for, but for its last digit.
    pub(crate) asks_for: Option<&'static str>,
}

impl Caller {
    fn new(file: &str, manner: Manner) -> Self {
        Self::of(list(file), manner)
    }

    /// One that masquerades and asks for nothing.
    pub(crate) fn of(list: NetworkList, manner: Manner) -> Self {
        Self { list, manner, outwards: Outwards::Masqueraded, asks_for: None }
    }

    /// What this runtime says of its `number`th container.
    fn attachment(&self, container: &Container, number: usize) -> Attachment {
        // As long as those that runtimes make.
        let id = format!("{:0<64}", container.name());
        let plain = Attachment { container_id: id, ..attachment(container) };
        self.manner.attachment(plain, (self.list.name(), number), self.asks_for)
    }

    /// ADD, together with `lo` where the runtime has both done at the same time.
    fn start(&self, node: &Node, number: usize) -> Pod {
        let container = node.host.container(&format!("pod{number}"));
        let attachment = self.attachment(&container, number);
        let lo = self.lo(&attachment);
        let pod = std::thread::scope(|scope| {
            let beside =
                lo.map(|(list, lo)| scope.spawn(move || expect(node.runtime.add(&list, &lo))));
            let pod = Pod::attach(container, attachment, &node.runtime, &self.list);
            if let Some(beside) = beside {
                beside.join().unwrap();
            }
            pod
        });
        if let Some(address) = self.asks_for {
            assert_eq!(pod.addresses[0], format!("{address}{number}"));
            let link = pod.container.run(["ip", "link", "show", "eth0"]);
            assert!(link.contains(&mac(number)), "{link}");
        }
        pod
    }

    fn lo(&self, attachment: &Attachment) -> Option<(NetworkList, Attachment)> {
        self.manner.beside(attachment)
    }

    /// DEL as this runtime calls it when it stops a container, and twice more.
    fn stop(&self, node: &Node, pod: &Pod) {
        for attachment in &self.manner.stops(&pod.attachment) {
            expect(node.runtime.del(&self.list, attachment));
            if let Some((list, lo)) = self.lo(attachment) {
                expect(node.runtime.del(&list, &lo));
            }
        }
    }

    /// The namespace is gone, and what ADD answered too; then DEL.
    fn stop_unprepared(&self, node: &Node, mut pod: Pod) {
        pod.container.vanish();
        let file = node.runtime.cache().file(self.list.name(), &pod.attachment);
        std::fs::remove_file(file).unwrap();
        let attachment = pod.attachment.without_netns();
        expect(node.runtime.del(&self.list, &attachment));
        if let Some((list, lo)) = self.lo(&attachment) {
            expect(node.runtime.del(&list, &lo));
        }
    }

    /// All of it.
    pub(crate) fn lives_and_leaves_nothing(&self) {
        let node = Node::new();
        expect(node.runtime.validate(&self.list));
        if self.list.find("firewall").is_some() {
            // The reference's rules open what containers begin; what comes in by a host port is up to the
            // host. The suite's own on nf_tables open both.
            let by_iptables = self.list.to_json().to_string().contains("\"backend\":\"iptables\"");
            for iptables in ["iptables", "ip6tables"] {
                node.run(&format!("{iptables} -P FORWARD DROP"));
                if by_iptables {
                    let accepted = "-m conntrack --ctstate DNAT -j ACCEPT";
                    node.run(&format!("{iptables} -A FORWARD {accepted}"));
                }
            }
        }
        if let Outwards::Routed(subnets) = self.outwards {
            for subnet in subnets {
                node.outside.learn_route(subnet);
            }
        }
        // What stays by design, bridge and shared chains, is made by this one.
        let first = self.start(&node, 1);
        self.stop(&node, &first);
        let id = first.attachment.container_id.as_str();
        let words: Vec<&str> =
            first.addresses.iter().map(String::as_str).chain([id, "pod1"]).collect();
        traces::assert_none_of(&words, &node.host, &node.runtime);
        drop(first);

        let before = traces::of_attachments(&node.host, &node.runtime);
        let pods = [2, 3].map(|number| self.start(&node, number));
        self.assert_connected(&node, &pods);
        if self.list.at_least([0, 4, 0]) {
            for pod in &pods {
                self.check(&node, pod);
            }
        }
        let [one, other] = pods;
        self.stop(&node, &one);
        drop(one);
        assert_eq!(traces::leases(&node.host).len(), other.addresses.len());
        self.stop_unprepared(&node, other);
        traces::assert_same(&before, &traces::of_attachments(&node.host, &node.runtime));
    }

    fn check(&self, node: &Node, pod: &Pod) {
        expect(node.runtime.check(&self.list, &pod.attachment));
    }

    fn assert_connected(&self, node: &Node, pods: &[Pod; 2]) {
        let [one, other] = pods;
        one.assert_reaches(other);
        other.assert_reaches(one);
        if self.outwards == Outwards::Closed {
            assert!(!one.container.pings(&Outside::ADDRESS.to_string()));
            return;
        }
        one.assert_reaches_outside();
        other.assert_reaches_outside();
        if self.list.find("portmap").is_some() {
            let uplink = |six| -> SocketAddr {
                let text = if six {
                    format!("[{}]:8082", Outside::HOST_6)
                } else {
                    format!("{}:8082", Outside::HOST)
                };
                text.parse().unwrap()
            };
            let addresses = one.addresses.iter().map(|address| uplink(address.contains(':')));
            let addresses: Vec<_> = addresses.collect();
            assert_lead(&node.outside, &addresses, &one.container, 80);
        }
        if self.manner == Manner::Containerd {
            assert!(reaches(&one.container, "127.0.0.1"), "lo is up");
        }
    }
}

/// `list` in another version of the specification.
fn in_version(list: &NetworkList, version: &str) -> NetworkList {
    let mut object = list.to_json();
    object["cniVersion"] = version.into();
    NetworkList::new(object).unwrap()
}

#[test]
fn containerd() {
    Caller::new("containerd.conflist", Manner::Containerd).lives_and_leaves_nothing();
}

#[test]
fn containerd_in_0_4_0() {
    let mut caller = Caller::new("containerd.conflist", Manner::Containerd);
    caller.list = in_version(&caller.list, "0.4.0");
    caller.lives_and_leaves_nothing();
}

#[test]
fn cri_o() {
    Caller::new("cri-o.conflist", Manner::CriO).lives_and_leaves_nothing();
}

#[test]
fn cri_o_ipv4() {
    Caller::new("cri-o-ipv4.conflist", Manner::CriO).lives_and_leaves_nothing();
}

#[test]
fn nerdctl() {
    Caller::new("nerdctl.conflist", Manner::Nerdctl).lives_and_leaves_nothing();
}

#[test]
fn nerdctl_ipv6() {
    Caller::new("nerdctl-ipv6.conflist", Manner::Nerdctl).lives_and_leaves_nothing();
}

#[test]
fn nerdctl_internal() {
    let mut caller = Caller::new("nerdctl-internal.conflist", Manner::Nerdctl);
    caller.outwards = Outwards::Closed;
    caller.lives_and_leaves_nothing();
}

#[test]
fn podman_1() {
    let mut caller = Caller::new("podman-1.conflist", Manner::Podman);
    caller.asks_for = Some("10.88.0.7");
    caller.lives_and_leaves_nothing();
}

#[test]
fn podman_3() {
    let mut caller = Caller::new("podman-3.conflist", Manner::Podman);
    caller.asks_for = Some("10.88.0.7");
    caller.lives_and_leaves_nothing();
}

#[test]
fn podman_4() {
    let mut caller = Caller::new("podman-4.conflist", Manner::Podman);
    caller.asks_for = Some("10.89.0.7");
    caller.lives_and_leaves_nothing();
}

#[test]
fn nomad() {
    Caller::new("nomad.conflist", Manner::Nomad).lives_and_leaves_nothing();
}

#[test]
fn nomad_1_8() {
    Caller::new("nomad-1.8.conflist", Manner::Nomad).lives_and_leaves_nothing();
}

#[test]
fn flannel() {
    let mut caller = Caller::new("flannel.conflist", Manner::Containerd);
    caller.outwards = Outwards::Routed(&["10.244.1.0/24"]);
    caller.lives_and_leaves_nothing();
}

#[test]
fn k3s() {
    let mut caller = Caller::new("k3s.conflist", Manner::Containerd);
    caller.outwards = Outwards::Routed(&["10.42.0.0/24"]);
    caller.lives_and_leaves_nothing();
}

#[test]
fn kubenet() {
    let mut caller = Caller::new("kubenet.conf", Manner::Kubelet);
    caller.outwards = Outwards::Routed(&["10.180.13.0/24"]);
    caller.lives_and_leaves_nothing();
}
