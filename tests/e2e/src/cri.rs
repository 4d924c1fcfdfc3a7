//! The Container Runtime Interface, as kubelet speaks it: the few calls and fields that tests need.
//!
//! The messages are a part of `runtime.v1` (k8s.io/cri-api); fields that are not named here are skipped.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tokio::runtime::Runtime;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// The longest that a call may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What a pod is called.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxMetadata {
    /// The pod's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its unique ID.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// The Kubernetes namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// How often it was tried before.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// A port of the node that leads to one of the pod.
#[derive(Clone, PartialEq, Message)]
pub struct PortMapping {
    /// 0 is TCP, 1 is UDP, 2 is SCTP.
    #[prost(int32, tag = "1")]
    pub protocol: i32,
    /// The pod's port.
    #[prost(int32, tag = "2")]
    pub container_port: i32,
    /// The node's.
    #[prost(int32, tag = "3")]
    pub host_port: i32,
    /// The node's address; empty for all.
    #[prost(string, tag = "4")]
    pub host_ip: String,
}

/// What is Linux's of a pod.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxPodSandboxConfig {
    /// The control group above those of the pod.
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
}

/// A pod, as it is asked for.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxConfig {
    /// What it is called.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<PodSandboxMetadata>,
    /// Its host name.
    #[prost(string, tag = "2")]
    pub hostname: String,
    /// Its ports.
    #[prost(message, repeated, tag = "5")]
    pub port_mappings: Vec<PortMapping>,
    /// Bandwidth limits, among others.
    #[prost(map = "string, string", tag = "7")]
    pub annotations: HashMap<String, String>,
    /// What is Linux's.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
}

/// What several requests, and the answer to RunPodSandbox, consist of.
#[derive(Clone, PartialEq, Message)]
struct PodSandboxId {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxStatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<PodSandboxStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxStatus {
    #[prost(int32, tag = "3")]
    state: i32,
    #[prost(message, optional, tag = "5")]
    network: Option<PodSandboxNetworkStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxNetworkStatus {
    #[prost(string, tag = "1")]
    ip: String,
    #[prost(message, repeated, tag = "2")]
    additional_ips: Vec<PodSandboxId>,
}

#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<RuntimeStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct RuntimeStatus {
    #[prost(message, repeated, tag = "1")]
    conditions: Vec<RuntimeCondition>,
}

/// Whether a part of the runtime is ready: `RuntimeReady`, `NetworkReady`.
#[derive(Clone, PartialEq, Message)]
pub struct RuntimeCondition {
    /// Which part.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// Whether it is.
    #[prost(bool, tag = "2")]
    pub status: bool,
    /// A word for why not.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// The same for people.
    #[prost(string, tag = "4")]
    pub message: String,
}

/// A connection to a runtime.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    channel: Channel,
}

impl Client {
    /// Connects to the socket at `path`; the error says why nobody answers.
    pub fn connect(path: &str) -> Result<Self, tonic::transport::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("unix://{path}"))?.timeout(LIMIT);
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self { runtime, channel })
    }

    fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let mut client = Grpc::new(self.channel.clone());
        let path = format!("/runtime.v1.RuntimeService/{method}");
        let path = PathAndQuery::try_from(path).unwrap();
        self.runtime.block_on(async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<Q, A>::default();
            Ok(client.unary(tonic::Request::new(request), path, codec).await?.into_inner())
        })
    }

    /// Starts a pod; its ID.
    pub fn run_pod_sandbox(&self, config: PodSandboxConfig) -> Result<String, Status> {
        let request = RunPodSandboxRequest { config: Some(config) };
        self.call::<_, PodSandboxId>("RunPodSandbox", request).map(|answer| answer.id)
    }

    /// Stops a pod and takes its network away.
    pub fn stop_pod_sandbox(&self, id: &str) -> Result<(), Status> {
        self.call::<_, Nothing>("StopPodSandbox", PodSandboxId { id: id.to_owned() }).map(drop)
    }

    /// Forgets a pod.
    pub fn remove_pod_sandbox(&self, id: &str) -> Result<(), Status> {
        self.call::<_, Nothing>("RemovePodSandbox", PodSandboxId { id: id.to_owned() }).map(drop)
    }

    /// The addresses of a pod that the runtime tells Kubernetes.
    pub fn addresses(&self, id: &str) -> Result<Vec<String>, Status> {
        let request = PodSandboxId { id: id.to_owned() };
        let answer: PodSandboxStatusResponse = self.call("PodSandboxStatus", request)?;
        let network = answer.status.and_then(|status| status.network).unwrap_or_default();
        let more = network.additional_ips.into_iter().map(|ip| ip.id);
        Ok(std::iter::once(network.ip).chain(more).collect())
    }

    /// Whether the runtime and its network are ready.
    pub fn conditions(&self) -> Result<Vec<RuntimeCondition>, Status> {
        let answer: StatusResponse = self.call("Status", Nothing {})?;
        Ok(answer.status.unwrap_or_default().conditions)
    }
}
