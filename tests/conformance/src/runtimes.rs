//! The habits of runtimes: their own network lists (`testdata/callers`), each with what that runtime says besides
//! and the calls that it makes from a container's start to the last DEL.

use std::fs;
use std::path::Path;

use cni_runtime::{Attachment, Error, NetworkList, Runtime};
use serde_json::{Value, json};
use testsupport::{Container, Host};

use crate::checks::result::{list, text};
use crate::reply::{Finding, Verdict, failed, not_run, one_line, require};
use crate::report::Outcome;
use crate::run::{Options, in_a_thread, in_parallel};
use crate::spec::{Level, Spec};
use crate::stage::settle;

/// Whose manner of calling it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    /// go-cni under the CRI: capitalised keys, `lo` at the same time.
    Containerd,
    /// Lower camel keys; CHECK right after ADD where the version has it.
    CriO,
    /// Lower camel keys, `IP` and `MAC` in `CNI_ARGS` where they are asked for.
    Podman,
    /// go-cni again, and DEL always without the namespace.
    Nerdctl,
    /// go-cni again, IDs of its own in `CNI_ARGS`.
    Nomad,
    /// Nothing but the network.
    Kubelet,
}

impl Manner {
    /// What this runtime says of its `number`th container in a network, beside `plain`. It asks for the IPv4
    /// address of which `asks_for` is all but the last digit.
    pub fn attachment(
        self,
        plain: Attachment,
        (network, number): (&str, usize),
        asks_for: Option<&str>,
    ) -> Attachment {
        let id = plain.container_id.clone();
        let port = 8080 + number;
        let capital =
            json!([{"HostPort": port, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}]);
        let mut lower = json!([{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]);
        match self {
            Self::Containerd => plain
                .args(&format!(
                    "K8S_POD_UID=u{number};IgnoreUnknown=1;K8S_POD_INFRA_CONTAINER_ID={id};\
                     K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod{number}"
                ))
                .capabilities([
                    ("portMappings", capital),
                    (
                        "bandwidth",
                        json!({"IngressRate": 800_000_000, "IngressBurst": 4_294_967_295_u64,
                            "EgressRate": 800_000_000, "EgressBurst": 4_294_967_295_u64}),
                    ),
                    ("dns", json!({"Servers": ["10.96.0.10"], "Searches": ["svc"], "Options": []})),
                    ("cgroupPath", json!("/kubepods/pod1")),
                    ("io.kubernetes.cri.pod-annotations", json!({})),
                ]),
            Self::CriO => {
                lower[0]["hostIP"] = "".into();
                let args =
                    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod{number}");
                plain.args(&args).capabilities([("portMappings", lower), ("ipRanges", json!([]))])
            }
            Self::Podman => {
                let mut args =
                    format!("K8S_POD_NAMESPACE=n{number};IgnoreUnknown=1;K8S_POD_NAME=n{number}");
                if let Some(address) = asks_for {
                    args = format!("MAC={};{args};IP={address}{number}", mac(number));
                }
                let aliases = json!({network: [format!("n{number}")]});
                plain.args(&args).capabilities([("portMappings", lower), ("aliases", aliases)])
            }
            Self::Nerdctl => plain
                .args("NERDCTL_CNI_DHCP_HOSTNAME=h;IgnoreUnknown=1")
                .capabilities([("portMappings", capital)]),
            Self::Nomad => plain
                .args(&format!("NOMAD_REGION=global;IgnoreUnknown=true;NOMAD_ALLOC_ID={id}"))
                .capabilities([("portMappings", capital)]),
            Self::Kubelet => plain,
        }
    }

    /// What go-cni attaches besides, at the same time.
    pub fn beside(self, attachment: &Attachment) -> Option<(NetworkList, Attachment)> {
        let text = include_str!("../../../testdata/callers/go-cni-loopback.conflist");
        let list = serde_json::from_str(text).ok().and_then(|value| NetworkList::new(value).ok());
        let lo = attachment.clone().ifname("lo");
        list.filter(|_| self == Self::Containerd).map(|list| (list, lo))
    }

    /// The DEL calls of this runtime when it stops a container.
    pub fn stops(self, attachment: &Attachment) -> [Attachment; 3] {
        let later = attachment.clone().without_netns();
        let first = match self {
            Self::Nerdctl => later.clone(),
            _ => attachment.clone(),
        };
        [first, later.clone(), later]
    }
}

/// The MAC address that the `number`th container asks for.
pub fn mac(number: usize) -> String {
    format!("92:0a:bc:00:00:{number:02x}")
}

/// A network list of a runtime.
#[derive(Clone, Copy, Debug)]
struct Habit {
    file: &'static str,
    text: &'static str,
    manner: Manner,
    asks_for: Option<&'static str>,
}

macro_rules! habit {
    ($file:literal, $manner:ident, $asks_for:expr) => {
        Habit {
            file: $file,
            text: include_str!(concat!("../../../testdata/callers/", $file)),
            manner: Manner::$manner,
            asks_for: $asks_for,
        }
    };
}

const HABITS: [Habit; 14] = [
    habit!("containerd.conflist", Containerd, None),
    habit!("cri-o.conflist", CriO, None),
    habit!("cri-o-ipv4.conflist", CriO, None),
    habit!("nerdctl.conflist", Nerdctl, None),
    habit!("nerdctl-ipv6.conflist", Nerdctl, None),
    habit!("nerdctl-internal.conflist", Nerdctl, None),
    habit!("podman-1.conflist", Podman, Some("10.88.0.7")),
    habit!("podman-3.conflist", Podman, Some("10.88.0.7")),
    habit!("podman-4.conflist", Podman, Some("10.89.0.7")),
    habit!("nomad.conflist", Nomad, None),
    habit!("nomad-1.8.conflist", Nomad, None),
    habit!("flannel.conflist", Containerd, None),
    habit!("k3s.conflist", Containerd, None),
    habit!("kubenet.conf", Kubelet, None),
];

/// Replays every runtime's list with the plugins of the folder.
///
/// # Errors
/// When the folder can't be found.
pub fn runtimes(options: &Options) -> Result<Vec<Outcome>, String> {
    let folder = options.folder.canonicalize();
    let folder = folder.map_err(|error| format!("{}: {error}", options.folder.display()))?;
    Ok(in_parallel(options.jobs, HABITS.to_vec(), |habit| {
        let started = std::time::Instant::now();
        let verdict = in_a_thread(|| Replay::new(*habit, &folder, options)?.lives());
        Outcome {
            name: format!("{} lives and leaves nothing", habit.file),
            section: "testdata/callers".to_owned(),
            level: Level::Habit,
            // Each list has a version of its own; the newest stands for none of them.
            spec: Spec::V1_1_0,
            verdict,
            took: started.elapsed(),
        }
    }))
}

/// A list on a host of its own.
struct Replay {
    habit: Habit,
    list: NetworkList,
    host: Host,
    runtime: Runtime,
}

impl Replay {
    fn new(habit: Habit, folder: &Path, options: &Options) -> Result<Self, Finding> {
        let value: Value = serde_json::from_str(habit.text).unwrap();
        let list = NetworkList::new(value).unwrap();
        let delegates = list.plugins().iter().filter_map(|plugin| plugin.ipam_type());
        let kinds = list.plugins().iter().map(|plugin| plugin.kind());
        let beside = (habit.manner == Manner::Containerd).then_some("loopback");
        for kind in kinds.chain(delegates).chain(beside) {
            if !folder.join(kind).is_file() {
                return not_run(format!("the folder has no {kind}"));
            }
        }
        let host = Host::new();
        host.skip_address_probes();
        let cache = host.temp_dir().join("cache");
        let runtime = Runtime::new([folder], cache).with_timeout(options.limit);
        Ok(Self { habit, list, host, runtime })
    }

    fn lives(&self) -> Verdict {
        done(self.runtime.validate(&self.list))?;
        // What stays by design, bridge and shared chains, is made by this one.
        let (container, attachment) = self.start(1)?;
        self.stop(&attachment)?;
        drop(container);
        // A bridge of which the last port is still going has that one's address.
        settle(|| self.host.run(["ip", "link", "show", "type", "veth"]).trim().is_empty());
        let before = self.host.traces();
        let (container, attachment) = self.start(2)?;
        if self.habit.manner == Manner::CriO && self.list.at_least([0, 4, 0]) {
            done(self.runtime.check(&self.list, &attachment))?;
        }
        self.stop(&attachment)?;
        drop(container);
        self.left(&before, "after DEL")?;
        // The namespace is gone, and what ADD answered too.
        let (container, attachment) = self.start(3)?;
        drop(container);
        let file = self.runtime.cache().file(self.list.name(), &attachment);
        fs::remove_file(&file).or_else(|error| not_run(format!("{}: {error}", file.display())))?;
        self.del(&attachment.without_netns())?;
        self.left(&before, "after DEL when namespace and result are gone")
    }

    fn start(&self, number: usize) -> Result<(Container, Attachment), Finding> {
        let container = self.host.container(&format!("pod{number}"));
        let id = format!("{:0<64}", container.name());
        let plain = Attachment::new(&id, &container.path().display().to_string());
        let of = (self.list.name(), number);
        let attachment = self.habit.manner.attachment(plain, of, self.habit.asks_for);
        let lo = self.habit.manner.beside(&attachment);
        let result = std::thread::scope(|scope| {
            let beside = lo.map(|(list, lo)| scope.spawn(move || self.runtime.add(&list, &lo)));
            let result = done(self.runtime.add(&self.list, &attachment));
            if let Some(beside) = beside {
                done(beside.join().unwrap())?;
            }
            result
        })?;
        self.has_what_was_asked_for(&result, number)?;
        Ok((container, attachment))
    }

    fn has_what_was_asked_for(&self, result: &Value, number: usize) -> Verdict {
        let Value::Object(result) = result else { return failed("the result is no object") };
        let Some(address) = self.habit.asks_for else { return Ok(()) };
        let asked = format!("{address}{number}/");
        let ips = list(result, "ips");
        let old = result.get("ip4").map(|ip| text(ip, "ip")).unwrap_or_default();
        let is_given = ips.iter().any(|ip| text(ip, "address").starts_with(&asked));
        require(is_given || old.starts_with(&asked), || {
            format!("IP={address}{number} was asked for, the result has {ips:?}")
        })
    }

    fn stop(&self, attachment: &Attachment) -> Verdict {
        self.habit.manner.stops(attachment).iter().try_for_each(|one| self.del(one))
    }

    fn del(&self, attachment: &Attachment) -> Verdict {
        done(self.runtime.del(&self.list, attachment))?;
        match self.habit.manner.beside(attachment) {
            Some((list, lo)) => done(self.runtime.del(&list, &lo)),
            None => Ok(()),
        }
    }

    fn left(&self, before: &[String], when: &str) -> Verdict {
        let mut left = Vec::new();
        settle(|| {
            let now = self.host.traces().into_iter();
            left = now.filter(|line| !before.contains(line)).collect();
            left.is_empty()
        });
        require(left.is_empty(), || format!("left {when}: {}", one_line(&left.join(" | "))))
    }
}

fn done<T>(outcome: Result<T, Error>) -> Result<T, Finding> {
    outcome.or_else(|error| failed(one_line(&error.to_string())))
}
