//! A throw-away host with all that one check needs: what the plugin wants prepared, containers, the IPAM
//! plugin that it delegates to, and calls that are bounded in time.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use testsupport::{Call, Host};

use crate::delegate::Delegate;
use crate::plugin::{Plugin, Role, numbered};
use crate::reply::{Finding, Reply, Verdict, failed, not_run, require};
use crate::request::Request;
use crate::spec::Spec;
use crate::subject::Subject;

/// The name of the network.
pub(crate) const NETWORK: &str = "conformance";
/// That of a network that nothing was attached to.
pub(crate) const OTHER_NETWORK: &str = "conformance-other";
/// For how long the kernel may go on removing the links of a namespace that is gone.
const SETTLED: Duration = Duration::from_secs(3);

/// Where a check works.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) host: Host,
    pub(crate) plugin: &'a Plugin,
    pub(crate) spec: Spec,
    pub(crate) delegate: Delegate,
    bound: Bound<'a>,
    made: Cell<usize>,
    kept: RefCell<Vec<Subject>>,
}

/// How long calls of a plugin may take, and how many took longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) limit: Duration,
    pub(crate) overruns: &'a AtomicUsize,
}

/// A container that is attached.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) subject: Subject,
    pub(crate) result: Map<String, Value>,
}

impl<'a> Stage<'a> {
    /// A new host, in the calling thread.
    pub(crate) fn new(plugin: &'a Plugin, spec: Spec, bound: Bound<'a>) -> Result<Self, Finding> {
        let host = Host::new();
        // A link-local address that is still probed for shows up a second later.
        host.skip_address_probes();
        let delegate = Delegate::new(&host.temp_dir().join("delegate"))?;
        let stage = Self {
            host,
            plugin,
            spec,
            delegate,
            bound,
            made: Cell::new(0),
            kept: RefCell::default(),
        };
        for line in &plugin.configuration.prepare {
            let done = stage.host.finish(line.split(' ').collect::<Vec<_>>());
            if done.status != Some(0) {
                let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
                return not_run(format!("this machine can't do what it needs: {line}: {why}"));
            }
        }
        Ok(stage)
    }

    /// The next container.
    pub(crate) fn subject(&self) -> Result<Subject, Finding> {
        let index = self.made.replace(self.made.get() + 1);
        Subject::new(&self.host, self.plugin.configuration.role, index)
    }

    /// A call of the plugin for a further container, which lives as long as this host.
    pub(crate) fn request_of_new(&self, command: &str) -> Result<Request, Finding> {
        let subject = self.subject()?;
        let request = self.request(command, &subject);
        self.kept.borrow_mut().push(subject);
        Ok(request)
    }

    /// A call of the plugin for a container, as runtimes make it.
    pub(crate) fn request(&self, command: &str, subject: &Subject) -> Request {
        let folders =
            format!("{}:{}", self.delegate.folder().display(), self.plugin.folder().display());
        let mut request = Request::bare(command)
            .with("CNI_CONTAINERID", &subject.id)
            .with("CNI_NETNS", &subject.path())
            .with("CNI_IFNAME", &subject.ifname)
            .with("CNI_ARGS", "IgnoreUnknown=1")
            .with("CNI_PATH", &folders);
        request.config = self.config(subject.number);
        if let Some(config) = &self.plugin.configuration.runtime_config {
            request = request.key("runtimeConfig", numbered(config, subject.number));
        }
        match (&subject.previous, command) {
            (Some(_), "ADD") => request.key("prevResult", subject.attached_by_bridge(self.spec)),
            _ => request,
        }
    }

    /// The same of a command that is about no container: GC and STATUS.
    pub(crate) fn request_of_network(&self, command: &str) -> Request {
        let folders =
            format!("{}:{}", self.delegate.folder().display(), self.plugin.folder().display());
        let mut request = Request::bare(command).with("CNI_PATH", &folders);
        request.config = self.config(0);
        request
    }

    fn config(&self, number: usize) -> Map<String, Value> {
        let keys = &self.plugin.configuration.keys;
        let mut config: Map<String, Value> =
            keys.iter().map(|(key, value)| (key.clone(), numbered(value, number))).collect();
        config.insert("name".to_owned(), NETWORK.into());
        config.insert("cniVersion".to_owned(), self.spec.text().into());
        config
    }

    /// Makes a call. The rule is broken where it does not end.
    pub(crate) fn call(&self, request: &Request) -> Result<Reply, Finding> {
        call(self.plugin, request, self.bound)
    }

    /// The same of several calls at once, which may take longer together.
    pub(crate) fn call_at_once(&self, requests: &[Request]) -> Result<Vec<Reply>, Finding> {
        let (plugin, bound) = (self.plugin, self.bound);
        let bound = Bound { limit: bound.limit * 2, ..bound };
        thread::scope(|scope| {
            let start = |request| scope.spawn(move || call(plugin, request, bound));
            let running: Vec<_> = requests.iter().map(start).collect();
            let end = |one: thread::ScopedJoinHandle<'_, Result<Reply, Finding>>| {
                one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().map(end).collect()
        })
    }

    /// A container for which ADD succeeded; the check can't be made where it does not.
    pub(crate) fn attached(&self) -> Result<Attached, Finding> {
        let subject = self.subject()?;
        self.attach(subject)
    }

    /// The same for this container.
    pub(crate) fn attach(&self, subject: Subject) -> Result<Attached, Finding> {
        let reply = beforehand(self.call(&self.request("ADD", &subject)))?;
        reply.expect_success()?;
        let result = beforehand(reply.object())?;
        Ok(Attached { subject, result })
    }

    /// A call for a container that is attached, with what ADD had answered.
    pub(crate) fn later(&self, command: &str, attached: &Attached) -> Request {
        let request = self.request(command, &attached.subject);
        request.key("prevResult", attached.result.clone())
    }

    /// DEL of a container; the check can't be made where it fails.
    pub(crate) fn detach(&self, attached: &Attached) -> Verdict {
        beforehand(self.call(&self.later("DEL", attached)))?.expect_success()
    }

    /// What is on the host after another container has come and gone: what stays by design is there.
    pub(crate) fn warmed_up(&self) -> Result<Vec<String>, Finding> {
        let first = self.attached()?;
        self.detach(&first)?;
        drop(first);
        settle(|| self.host.finish(["ip", "link", "show", "peer2"]).status != Some(0));
        Ok(self.host.traces())
    }

    /// The rule is broken if something on the host is new since `before`.
    pub(crate) fn nothing_new_since(&self, before: &[String]) -> Verdict {
        let new = || -> Vec<String> {
            let now = self.host.traces().into_iter();
            // What the next container of this check finds there is this suite's own.
            now.filter(|line| !before.contains(line) && !line.contains("peer"))
                .filter(|line| !is_link_local(line))
                .collect()
        };
        let mut left = new();
        settle(|| {
            left = new();
            left.is_empty()
        });
        require(left.is_empty(), || format!("left on the host: {}", left.join(" | ")))
    }

    /// The rule is broken if something that was on the host `before` is gone.
    pub(crate) fn nothing_gone_since(&self, before: &[String]) -> Verdict {
        let gone = gone(before, &self.host.traces());
        require(gone.is_empty(), || format!("gone from the host: {}", gone.join(" | ")))
    }

    /// The check is for plugins of which more than one container can be attached.
    pub(crate) fn needs_several(&self) -> Verdict {
        match self.plugin.configuration.is_exclusive {
            true => not_run("only one container can be attached at a time"),
            false => Ok(()),
        }
    }

    /// The check is for plugins that have another one give the addresses.
    pub(crate) fn needs_delegate(&self) -> Verdict {
        match self.plugin.configuration.delegates() {
            true => Ok(()),
            false => not_run("its configuration does not name conformance-ipam"),
        }
    }

    /// Runs a command line on the host, or inside a container.
    pub(crate) fn run(&self, line: &str, inside: Option<&Subject>) -> Result<String, Finding> {
        let words: Vec<&str> = line.split(' ').collect();
        let done = match inside {
            Some(subject) => subject.container.finish(words),
            None => self.host.finish(words),
        };
        match done.status {
            Some(0) => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            _ => not_run(format!("{done}")),
        }
    }

    /// What `ip -json` answers.
    pub(crate) fn ip(&self, words: &str, inside: Option<&Subject>) -> Result<Value, Finding> {
        let text = self.run(&format!("ip -json {words}"), inside)?;
        // Older ones print nothing for an empty list.
        if text.trim().is_empty() {
            return Ok(json!([]));
        }
        serde_json::from_str(&text).or_else(|error| not_run(format!("ip {words}: {error}")))
    }

    /// The names of the links in a container but for `lo`.
    pub(crate) fn links(&self, subject: &Subject) -> Result<Vec<String>, Finding> {
        let links = self.ip("link", Some(subject))?;
        let names = links.as_array().into_iter().flatten();
        let names = names.filter_map(|link| link.get("ifname")?.as_str());
        // Some kernels put these into every namespace.
        let own = |name: &&str| !["lo", "tunl0", "sit0", "gre0", "ip6tnl0"].contains(name);
        Ok(names.filter(own).map(str::to_owned).collect())
    }

    /// Whether the plugin makes the container interface.
    pub(crate) fn makes_interface(&self) -> bool {
        self.plugin.configuration.role == Role::Interface
    }
}

/// Whether a line is about a link-local address: it comes when its link gets a carrier, sooner or later, and
/// what is left or gone is known by the link itself.
pub(crate) fn is_link_local(line: &str) -> bool {
    line.contains("fe80:")
}

/// The lines of `before` that `after` lacks, but for link-local addresses.
pub(crate) fn gone(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line) && !is_link_local(line));
    gone.cloned().collect()
}

/// Waits until `is_over`, for a while.
pub(crate) fn settle(mut is_over: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_over() && started.elapsed() < SETTLED {
        thread::sleep(Duration::from_millis(30));
    }
}

/// What a call before the one that the check is about came to: its failing is not what is looked for.
pub(crate) fn beforehand<T>(outcome: Result<T, Finding>) -> Result<T, Finding> {
    match outcome {
        Err(Finding::Failed(text)) => not_run(text),
        other => other,
    }
}

/// Calls a plugin, bounded in time.
fn call(plugin: &Plugin, request: &Request, bound: Bound<'_>) -> Result<Reply, Finding> {
    let mut call = Call::of(&plugin.program).limit(bound.limit);
    for (name, value) in &request.variables {
        call = call.env(name, value);
    }
    let call = match &request.raw {
        Some(text) => call.stdin(text.as_bytes()),
        None => call.config(Value::Object(request.config.clone())),
    };
    match call.run_in_time() {
        Some(answer) => Ok(Reply::new(request.shown.clone(), answer)),
        None => {
            bound.overruns.fetch_add(1, Ordering::Relaxed);
            failed(format!("{}: did not end within {:?}", request.shown, bound.limit))
        }
    }
}
