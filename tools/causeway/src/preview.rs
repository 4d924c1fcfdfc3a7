//! `causeway plan`: what an ADD would do here, line by line, without doing it. Each plugin's own planning
//! says so; nothing is reserved, so that another ADD may come first.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use causeway_bridge::config::BridgeConfig;
use causeway_host_local::address::address_of;
use causeway_host_local::allocate;
use causeway_host_local::config::Config as Ranges;
use causeway_host_local::range::RangeSet;
use causeway_host_local::store::View;
use clap::Args;
use cni_common::spec::{CniArgs, CniResult, Interface, Ip, NetworkConfig, Object, Version};
use cni_common::sys::Netlink;
use cni_common::types::Attachment;
use cni_common::{Code, Context, Error, Result, names};
use cni_runtime::{NetworkList, Plugin};
use ipnetwork::IpNetwork;
use serde::Serialize;

use crate::exit::Exit;
use crate::net;
use crate::networks::Places;
use crate::output::{self, Colour, Output};

/// What is to be planned.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// The name of a network, or the file of a network list
    network: String,
    /// The path of the network namespace
    #[arg(long, default_value = "/run/netns/NAME", hide_default_value = true)]
    netns: String,
    /// The name of the interface in it
    #[arg(long, env = "CNI_IFNAME", default_value = "eth0")]
    ifname: String,
    /// The container's ID
    #[arg(long, value_name = "ID", default_value = "CONTAINER", hide_default_value = true)]
    container_id: String,
    /// KEY=VALUE pairs for the plugins, separated by semicolons
    #[arg(long, env = "CNI_ARGS", default_value = "", hide_default_value = true)]
    args: String,
    /// The capability arguments, as one JSON object by the capabilities' names
    #[arg(long, env = "CAP_ARGS", default_value = "", hide_default_value = true)]
    cap_args: String,
}

/// The plan, as JSON has it.
#[derive(Serialize)]
struct Plan {
    network: String,
    plugins: Vec<Planned>,
}

#[derive(Serialize)]
struct Planned {
    #[serde(rename = "type")]
    kind: String,
    /// What it would do; `null` where that is not known.
    lines: Option<Vec<String>>,
}

/// Plans it.
pub(crate) fn plan(target: &Target, places: &Places, output: Output) -> Result<Exit> {
    let list = target.list(places)?;
    let attachment = Attachment {
        network: list.name().parse()?,
        container: target.container_id.parse()?,
        ifname: target.ifname.parse()?,
    };
    let about = cni_runtime::Attachment::new(&target.container_id, &target.netns)
        .ifname(&target.ifname)
        .args(&target.args)
        .capabilities(net::capabilities(&target.cap_args)?);
    let planning = Planning { list: &list, attachment: &attachment, about: &about };
    let mut result = None;
    let mut plugins = Vec::new();
    for plugin in list.plugins() {
        let lines = planning.lines(plugin, &mut result);
        let lines = lines.with_context(|| plugin.kind().to_owned())?;
        plugins.push(Planned { kind: plugin.kind().to_owned(), lines });
    }
    let plan = Plan { network: list.name().to_owned(), plugins };
    output.show(&plan, || text(&plan, output))?;
    Ok(Exit::OK)
}

impl Target {
    fn list(&self, places: &Places) -> Result<NetworkList> {
        let failed = |error: cni_runtime::Error| Error::new(Code::InvalidConfig, error.to_string());
        match Path::new(&self.network).is_file() {
            true => NetworkList::read(&self.network).map_err(failed),
            false => net::find(places, &self.network),
        }
    }
}

struct Planning<'a> {
    list: &'a NetworkList,
    attachment: &'a Attachment,
    about: &'a cni_runtime::Attachment,
}

impl Planning<'_> {
    /// What a plugin would do, and what its result would be for the next one.
    fn lines(
        &self,
        plugin: &Plugin,
        result: &mut Option<CniResult>,
    ) -> Result<Option<Vec<String>>> {
        let config = self.list.config_of_attachment(plugin, self.about, None);
        let text = serde_json::Value::Object(config).to_string();
        let config = NetworkConfig::parse(Object::parse(&text, "network list")?, &Version::ALL)?;
        match plugin.kind() {
            "bridge" => self.bridge(&config, result).map(Some),
            "portmap" => self.portmap(&config, result.as_ref()),
            "firewall" => self.firewall(&config, result.as_ref()),
            _ => Ok(None),
        }
    }

    fn bridge(
        &self,
        config: &NetworkConfig<'_>,
        result: &mut Option<CniResult>,
    ) -> Result<Vec<String>> {
        let args = CniArgs::parse(&self.about.args)?;
        let bridge = BridgeConfig::parse(config, &args)?;
        let (mut lines, mut planned) = (Vec::new(), None);
        match bridge.ipam.as_deref() {
            None => planned = Some(CniResult::default()),
            Some("host-local") => {
                let ranges = Ranges::parse(config, &args)?;
                let (files, given) = addresses(&ranges)?;
                lines.extend(files);
                planned = Some(given);
            }
            Some(other) => lines.push(format!("what {other} would allocate is not known")),
        }
        if let Some(planned) = &mut planned {
            causeway_bridge::plan::complete_result(&bridge, planned, 2)?;
        }
        let what = (self.attachment, planned.as_ref());
        lines.extend(causeway_bridge::preview::lines(&mut Netlink::open()?, &bridge, what)?);
        if let Some(planned) = &mut planned {
            planned.interfaces = self.interfaces(&bridge);
        }
        *result = planned;
        Ok(lines)
    }

    /// As a result has them: bridge, host interface, container interface.
    fn interfaces(&self, bridge: &BridgeConfig) -> Vec<Interface> {
        let on_host = |name: String| Interface { name, ..Interface::default() };
        let inside = Interface {
            name: self.attachment.ifname.to_string(),
            sandbox: self.about.netns.clone(),
            ..Interface::default()
        };
        let host = on_host(names::host_interface(self.attachment));
        vec![on_host(bridge.bridge.to_string()), host, inside]
    }

    fn portmap(
        &self,
        config: &NetworkConfig<'_>,
        result: Option<&CniResult>,
    ) -> Result<Option<Vec<String>>> {
        let config = causeway_portmap::config::Config::parse(config)?;
        let Some(result) = result else { return Ok(None) };
        if config.mappings.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let targets = causeway_portmap::target::Targets::of(result, &self.attachment.ifname);
        let netns = PathBuf::from(&self.about.netns);
        let wanted = causeway_portmap::plan::wanted(self.attachment, (&config, &targets), &netns);
        Ok(Some(wanted.operations().iter().map(|one| format!("nft {one}")).collect()))
    }

    fn firewall(
        &self,
        config: &NetworkConfig<'_>,
        result: Option<&CniResult>,
    ) -> Result<Option<Vec<String>>> {
        let config = causeway_firewall::config::Config::parse(config)?;
        let Some(result) = result else { return Ok(None) };
        let subject = causeway_firewall::subject::Subject::with(self.attachment, result);
        let wanted = causeway_firewall::plan::wanted(&subject, &config);
        Ok(Some(wanted.operations().iter().map(|one| format!("nft {one}")).collect()))
    }
}

/// The addresses that `host-local` would give if no other ADD came first, and the files that would hold
/// them.
fn addresses(ranges: &Ranges) -> Result<(Vec<String>, CniResult)> {
    let view = View::open(&ranges.location)?;
    let (mut lines, mut result) = (Vec::new(), CniResult::default());
    for (index, set) in ranges.sets.iter().enumerate() {
        let asked = ranges.requested.iter().find(|ip| set.range_of(**ip).is_some());
        let ip = match asked {
            Some(ip) => *ip,
            None => next(ranges, view.as_ref(), (index, set))?,
        };
        lines.push(format!("write {}", ranges.location.folder().join(ip.to_string()).display()));
        let range = set.range_of(ip);
        let address = range.and_then(|range| IpNetwork::new(ip, range.subnet.prefix()).ok());
        let gateway = range.map(|range| range.gateway);
        result.ips.extend(address.map(|address| Ip { interface: None, address, gateway }));
    }
    result.routes.clone_from(&ranges.routes);
    Ok((lines, result))
}

fn next(ranges: &Ranges, view: Option<&View>, (index, set): (usize, &RangeSet)) -> Result<IpAddr> {
    let (leases, faults) = view.map_or(Ok(Default::default()), View::leases)?;
    faults.iter().for_each(|error| output::complain(&error.to_string()));
    let held = leases.iter().map(|lease| lease.ip);
    let cooling = view.map(|view| view.cooling(&ranges.location, ranges.cooldown));
    let taken: HashSet<IpAddr> = held.chain(cooling.into_iter().flatten()).collect();
    let last = view.and_then(|view| view.last_reserved(index));
    // Each round passes over an address that is taken: this ends.
    for span in allocate::order(set, last) {
        let mut number = span.first;
        while number <= span.last {
            let ip = address_of(number);
            if !taken.contains(&ip) {
                return Ok(ip);
            }
            match number.checked_add(1) {
                Some(next) => number = next,
                None => break,
            }
        }
    }
    Err(Error::new(Code::Exhausted, format!("no IP addresses available in range set: {set}")))
}

fn text(plan: &Plan, output: Output) -> String {
    let mut text = String::new();
    for Planned { kind, lines } in &plan.plugins {
        text.push_str(&format!("{}\n", output.paint(Colour::Good, kind)));
        match lines.as_deref() {
            None => text.push_str("    what it would do is not known here\n"),
            Some([]) => text.push_str("    nothing\n"),
            Some(lines) => lines.iter().for_each(|line| text.push_str(&format!("    {line}\n"))),
        }
    }
    text
}
