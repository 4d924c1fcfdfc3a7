//! `causeway metrics`: what `ls`, `pool` and `check` tell, as numbers in the Prometheus text format.

mod calls;

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use cni_common::Result;

use crate::attachments::State;
use crate::check::{self, MAX_PORTS, Seen};
use crate::exit::Exit;
use crate::networks::Places;
use crate::{output, pool, serve};

/// Prints them, or writes them into a file for the node exporter's textfile collector: as a whole, by
/// renaming.
pub(crate) fn metrics(places: &Places, textfile: Option<&Path>) -> Result<Exit> {
    let (text, exit) = text(places)?;
    match textfile {
        None => output::print(&text)?,
        // The collector reads what ends in .prom, and nothing else.
        Some(path) => output::replace(path, &text)?,
    }
    Ok(exit)
}

/// Serves them over HTTP until the process is told to end.
pub(crate) fn serve(places: &Places, address: SocketAddr) -> Result<Exit> {
    let places = places.clone();
    serve::serve(address, move || Ok(text(&places)?.0))?;
    Ok(Exit::OK)
}

/// All numbers, and what it comes to that some can't be told.
fn text(places: &Places) -> Result<(String, Exit)> {
    let seen = Seen::new(places)?;
    let exit = seen.attachments.complain(None);
    let mut text = Text::default();
    attachments(&seen, &mut text);
    pools(&seen, &mut text);
    bridges(&seen, &mut text);
    let mut findings: BTreeMap<&str, u64> = check::KINDS.iter().map(|kind| (*kind, 0)).collect();
    for finding in check::findings(&seen)? {
        *findings.entry(finding.kind).or_default() += 1;
    }
    let title = ("findings", "What `causeway check` finds, by kind, in one look.");
    let numbers = findings.iter().map(|(kind, count)| (vec![("kind", *kind)], *count));
    text.gauge(title, numbers.collect());
    calls::calls(places, &mut text)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let title = ("metrics_time_seconds", "When these numbers were taken, in seconds since 1970.");
    text.gauge(title, vec![(Vec::new(), now.as_secs())]);
    Ok((text.0, exit))
}

fn attachments(seen: &Seen, text: &mut Text) {
    let mut states: BTreeMap<(&str, State), u64> = BTreeMap::new();
    let (mut rules, mut ports) =
        (BTreeMap::<(&str, &str), u64>::new(), BTreeMap::<&str, u64>::new());
    for name in seen.networks.all.keys() {
        states.extend(State::ALL.map(|state| ((name.as_str(), state), 0)));
        ports.insert(name, 0);
    }
    for (key, attached) in &seen.attachments.all {
        let network = key.network.as_str();
        *states.entry((network, attached.state)).or_default() += 1;
        *ports.entry(network).or_default() += attached.ports.len() as u64;
        for kind in &attached.rules {
            *rules.entry((network, kind.word())).or_default() += 1;
        }
    }
    let numbers = states.iter().map(|((network, state), count)| {
        (vec![("network", *network), ("state", state.word())], *count)
    });
    text.gauge(("attachments", "Attachments by state."), numbers.collect());
    let numbers = rules.iter().map(|((network, plugin), count)| {
        (vec![("network", *network), ("rules", *plugin)], *count)
    });
    text.gauge(
        ("attachments_with_rules", "Attachments that have rules of a kind."),
        numbers.collect(),
    );
    let numbers = ports.iter().map(|(network, count)| (vec![("network", *network)], *count));
    text.gauge(
        ("published_ports", "Ports of the host that lead to containers."),
        numbers.collect(),
    );
}

fn pools(seen: &Seen, text: &mut Text) {
    let (pools, _said) = pool::list(&seen.networks);
    let set = |pool: &pool::Listed| pool.set.map_or("none".to_owned(), |set| set.to_string());
    let sets: Vec<String> = pools.iter().map(set).collect();
    let (mut sizes, mut uses) = (Vec::new(), Vec::new());
    for (pool, set) in pools.iter().zip(&sets) {
        let labels = vec![("network", pool.network.as_str()), ("set", set.as_str())];
        for (word, count) in [
            ("held", pool.held),
            ("reclaimable", pool.reclaimable),
            ("cooling", pool.cooling_down),
            ("excluded", pool.excluded),
            ("free", pool.free),
        ] {
            let use_label = [("use", word)];
            uses.push((labels.iter().copied().chain(use_label).collect(), count));
        }
        sizes.push((labels, pool.size));
    }
    text.gauge(("pool_size", "Addresses of a range set."), sizes);
    text.gauge(("pool_addresses", "Addresses of a range set by use."), uses);
}

fn bridges(seen: &Seen, text: &mut Text) {
    let bridges = seen.attachments.bridges.values();
    let known = bridges.filter(|bridge| {
        seen.networks.all.values().any(|one| one.bridge_name() == Some(bridge.name.as_str()))
    });
    let count =
        |index| seen.attachments.pairs.iter().filter(|link| link.master == Some(index)).count();
    let numbers: Vec<_> = known
        .map(|bridge| (vec![("bridge", bridge.name.as_str())], count(bridge.index) as u64))
        .collect();
    let limits = numbers.iter().map(|(labels, _)| (labels.clone(), MAX_PORTS as u64)).collect();
    text.gauge(("bridge_ports", "Pairs that are ports of a bridge."), numbers);
    text.gauge(("bridge_ports_limit", "Ports that the kernel gives a bridge."), limits);
}

/// The labels of a number.
type Labels<'a> = Vec<(&'a str, &'a str)>;

/// The text of all numbers (prometheus.io/docs/instrumenting/exposition_formats).
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    /// Adds the numbers of one name; none are no name.
    fn gauge<N: Display>(&mut self, (name, help): (&str, &str), numbers: Vec<(Labels<'_>, N)>) {
        if numbers.is_empty() {
            return;
        }
        let name = format!("causeway_{name}");
        let mut lines = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, number) in numbers {
            let pairs: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
            let labels =
                if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            // A text can always be written to.
            writeln!(lines, "{name}{labels} {number}").ok();
        }
        self.0.push_str(&lines);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_behind_its_labels() {
        let mut text = Text::default();
        text.gauge(("none", "x"), Vec::<(Labels<'_>, u64)>::new());
        text.gauge(("ports", "Ports."), vec![(vec![("network", "a\"b"), ("state", "alive")], 3)]);
        assert_eq!(
            text.0,
            "# HELP causeway_ports Ports.\n# TYPE causeway_ports gauge\n\
             causeway_ports{network=\"a\\\"b\",state=\"alive\"} 3\n"
        );
    }
}
