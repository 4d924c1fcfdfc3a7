//! `causeway watch`: attachments and pools as they change, a line each.
//!
//! The kernel's notifications of links, addresses, rules and address files wake it; what has changed is the
//! difference between two readings, so that it is told in the words of `ls`.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, SystemTime};

use cni_common::sys::changes::Changes;
use cni_common::{Code, Error, Result};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde::Serialize;
use serde_json::{Value, json};

use crate::attachments::{Attached, Key, State};
use crate::check::Seen;
use crate::exit::Exit;
use crate::networks::Places;
use crate::output::{self, Colour, Form, Output};
use crate::{pool, progress};

/// What belongs together comes within this.
const SETTLING: Duration = Duration::from_millis(50);
/// When to look again at what a call is at work on.
const BUSY: Duration = Duration::from_millis(200);
/// When to look although nothing was told: of a container's own changes the kernel tells nobody here.
const IDLE: Duration = Duration::from_secs(30);

/// One change, as JSON has it.
#[derive(Debug, Serialize)]
struct Event {
    version: u32,
    /// Seconds since 1970.
    time: u64,
    /// `attached`, `detached`, `changed` or `pool`.
    event: &'static str,
    network: String,
    container: Option<String>,
    interface: Option<String>,
    /// What it is now, or was last: by key, as `ls` and `pool` name them.
    #[serde(flatten)]
    what: BTreeMap<&'static str, Value>,
    /// Of what has changed, what it was before.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    before: BTreeMap<&'static str, Value>,
}

/// What is looked at of something.
type Shown = BTreeMap<&'static str, Value>;

/// Follows them until it is ended, or nobody reads what it tells any more.
pub(crate) fn watch(places: &Places, network: Option<&str>, output: Output) -> Result<Exit> {
    let mut changes = Changes::subscribe()?;
    let files = files(places)?;
    let mut known = Picture::new(places, network)?;
    loop {
        let timeout = if known.is_busy { BUSY } else { IDLE };
        if changes.wait(Some(files.as_fd()), timeout)? {
            thread::sleep(SETTLING);
            changes.wait(None, Duration::ZERO)?;
        }
        drain(&files);
        let now = Picture::new(places, network)?;
        // Pools that came since.
        watch_pools(&files, places)?;
        let events = known.changes(&now);
        let lines: String = events.iter().map(|event| line(event, output)).collect();
        if !lines.is_empty() && !output::follow(&lines)? {
            return Ok(Exit::OK);
        }
        known = now;
    }
}

/// All that is followed, at one time.
struct Picture {
    attachments: BTreeMap<Key, Shown>,
    pools: BTreeMap<(String, Option<usize>), Shown>,
    is_busy: bool,
}

impl Picture {
    fn new(places: &Places, network: Option<&str>) -> Result<Self> {
        progress::begin();
        let seen = Seen::new(places)?;
        let is_wanted = |name: &str| network.is_none_or(|wanted| wanted == name);
        let all = seen.attachments.all.iter().filter(|(key, _)| is_wanted(&key.network));
        let attachments =
            all.clone().map(|(key, attached)| (key.clone(), shown(attached))).collect();
        let pools = pool::list(&seen.networks).0.into_iter().filter(|one| is_wanted(&one.network));
        let pools = pools.map(|one| {
            let numbers = Shown::from([
                ("held", json!(one.held)),
                ("reclaimable", json!(one.reclaimable)),
                ("free", json!(one.free)),
            ]);
            ((one.network, one.set), numbers)
        });
        let is_busy = all.clone().any(|(_, attached)| attached.state == State::Busy);
        progress::end();
        Ok(Self { attachments, pools: pools.collect(), is_busy })
    }

    /// What has changed since. A call at work is told of when it is done.
    fn changes(&self, now: &Self) -> Vec<Event> {
        let mut events = Vec::new();
        for (key, shown) in &now.attachments {
            match self.attachments.get(key) {
                None if is_busy(shown) => {}
                None => events.push(Event::of(key, "attached", (shown, None))),
                Some(before) if is_busy(before) && !is_busy(shown) => {
                    events.push(Event::of(key, "attached", (shown, None)));
                }
                Some(before) if before != shown && !is_busy(shown) => {
                    events.push(Event::of(key, "changed", (shown, Some(before))));
                }
                Some(_) => {}
            }
        }
        let gone = self.attachments.iter().filter(|(key, _)| !now.attachments.contains_key(key));
        events.extend(gone.map(|(key, shown)| Event::of(key, "detached", (shown, None))));
        for ((network, set), numbers) in &now.pools {
            let before = self.pools.get(&(network.clone(), *set));
            if before != Some(numbers) {
                let key = Key { network: network.clone(), ..Key::default() };
                let mut event = Event::of(&key, "pool", (numbers, before));
                event.what.insert("set", json!(set));
                events.push(event);
            }
        }
        events
    }
}

fn is_busy(shown: &Shown) -> bool {
    shown.get("state").is_some_and(|state| state == State::Busy.word())
}

fn shown(attached: &Attached) -> Shown {
    let addresses = attached.addresses();
    let addresses: Vec<String> = addresses.iter().map(|one| one.ip().to_string()).collect();
    let ports = output::distinct(&attached.ports);
    let rules: Vec<&str> = attached.rules.iter().map(|rules| rules.word()).collect();
    Shown::from([
        ("state", json!(attached.state.word())),
        ("addresses", json!(addresses)),
        ("hostInterface", json!(attached.host_name())),
        ("ports", json!(ports)),
        ("rules", json!(rules)),
    ])
}

impl Event {
    fn of(key: &Key, event: &'static str, (shown, before): (&Shown, Option<&Shown>)) -> Self {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let changed =
            before.into_iter().flatten().filter(|(key, value)| shown.get(*key) != Some(value));
        Self {
            version: output::SHAPE,
            time: time.as_secs(),
            event,
            network: key.network.clone(),
            container: part(&key.container),
            interface: part(&key.ifname),
            what: shown.clone(),
            before: changed.map(|(key, value)| (*key, value.clone())).collect(),
        }
    }
}

fn line(event: &Event, output: Output) -> String {
    if output.form == Form::Json {
        let text = serde_json::to_string(event).unwrap_or_default();
        return format!("{text}\n");
    }
    let day = event.time % 86_400;
    let time = format!("{:02}:{:02}:{:02}Z", day / 3600, day / 60 % 60, day % 60);
    let whose = match (&event.container, &event.interface) {
        (None, _) => event.network.clone(),
        (Some(container), interface) => {
            format!("{}/{container}/{}", event.network, interface.as_deref().unwrap_or("?"))
        }
    };
    let colour = match event.event {
        "attached" => Colour::Good,
        "detached" => Colour::Warning,
        _ => Colour::Plain,
    };
    let facts = event
        .what
        .iter()
        .filter(|(key, _)| event.event != "changed" || event.before.contains_key(*key));
    let facts: Vec<String> = facts
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| match event.before.get(key) {
            Some(before) => format!("{key} {} → {}", plain(before), plain(value)),
            None => format!("{key} {}", plain(value)),
        })
        .collect();
    format!("{time} {} {whose}: {}\n", output.paint(colour, event.event), facts.join(", "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// Notifications of address files.
fn files(places: &Places) -> Result<OwnedFd> {
    let files = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|errno| Error::new(Code::Io, format!("watch address files: {errno}")))?;
    watch_pools(&files, places)?;
    Ok(files)
}

/// Watches every pool that there is; one that is watched already stays so.
fn watch_pools(files: &OwnedFd, places: &Places) -> Result<()> {
    let networks = crate::networks::Networks::read(places)?;
    let pools = networks.all.values().filter_map(|network| network.pool.as_ref());
    let folders = pools.map(|pool| pool.folder()).chain([places.data_dir.clone()]);
    let changes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ONLYDIR;
    for folder in folders {
        // One that is not there will be seen by its first link.
        inotify::add_watch(files, &folder, changes).ok();
    }
    Ok(())
}

/// Takes what has come.
fn drain(files: &OwnedFd) {
    let mut buffer = [0; 4096];
    while rustix::io::read(files, &mut buffer).is_ok_and(|length| length > 0) {}
}
