//! The result of ADD: what it says, and whether that is so.

use serde_json::{Map, Value};

use crate::check::{ALL, Check, INTERFACE};
use crate::checks::form;
use crate::plugin::Role;
use crate::reply::{Finding, Verdict, failed, not_run, require};
use crate::spec::{Levels, Spec};
use crate::stage::{Attached, Stage};
use crate::subject::Subject;

pub(crate) const CHECKS: [Check; 10] = [
    Check {
        name: "result-has-the-version-of-the-configuration",
        section: "5 ADD Success, cniVersion",
        levels: Levels::MUST,
        roles: ALL,
        run: has_version,
    },
    Check {
        name: "result-is-well-formed",
        section: "5 ADD Success, interfaces, ips, routes, dns",
        levels: Levels::MUST,
        roles: ALL,
        run: |stage| form::judge(&stage.attached()?.result, stage.spec),
    },
    Check {
        name: "result-lists-the-container-interface",
        section: "5 ADD Success, interfaces",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: lists_interface,
    },
    Check {
        name: "result-lists-the-host-interfaces",
        section: "5 ADD Success, interfaces",
        levels: Levels::MUST_SINCE_1_0,
        roles: &[Role::Interface, Role::Chained],
        run: lists_host_interfaces,
    },
    Check {
        name: "result-has-the-namespace-as-it-was-given",
        section: "5 ADD Success, interfaces, sandbox",
        levels: Levels::SHOULD,
        roles: INTERFACE,
        run: has_sandbox,
    },
    Check {
        name: "interfaces-of-the-result-are-there",
        section: "5 ADD Success, interfaces",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: interfaces_are_there,
    },
    Check {
        name: "interfaces-of-the-result-have-their-mac",
        section: "5 ADD Success, interfaces, mac",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: have_mac,
    },
    Check {
        name: "addresses-of-the-result-say-their-interface",
        section: "5 ADD Success, ips, interface; 0.4.0 Result",
        levels: Levels::SHOULD_THEN_MUST,
        roles: INTERFACE,
        run: say_interface,
    },
    Check {
        name: "addresses-of-the-result-are-there",
        section: "5 ADD Success, ips",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: addresses_are_there,
    },
    Check {
        name: "routes-of-the-result-are-there",
        section: "5 ADD Success, routes",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: routes_are_there,
    },
];

/// The list of this key; empty where there is none.
pub(crate) fn list<'a>(result: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    result.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text of this key; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An address without its length.
pub(crate) fn address(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

fn has_version(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let version = attached.result.get("cniVersion").and_then(Value::as_str);
    require(version == Some(stage.spec.text()), || {
        format!("the configuration says {}, the result {version:?}", stage.spec)
    })
}

/// The container interface as the result has it.
fn container_interface(attached: &Attached) -> Option<&Value> {
    let mut all = list(&attached.result, "interfaces").iter();
    all.find(|one| text(one, "name") == attached.subject.ifname && !text(one, "sandbox").is_empty())
}

fn lists_interface(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    require(container_interface(&attached).is_some(), || {
        let interfaces = attached.result.get("interfaces");
        format!("{} with a sandbox is not among {interfaces:?}", attached.subject.ifname)
    })
}

fn has_sandbox(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let Some(interface) = container_interface(&attached) else {
        return not_run("the result does not list the container interface");
    };
    let (given, sandbox) = (attached.subject.path(), text(interface, "sandbox"));
    require(sandbox == given, || format!("CNI_NETNS is {given}, sandbox is {sandbox:?}"))
}

/// What ADD made on the host, chained plugins' own included.
fn lists_host_interfaces(stage: &Stage<'_>) -> Verdict {
    let names = || -> Result<Vec<String>, Finding> {
        let links = stage.ip("link", None)?;
        let all = links.as_array().into_iter().flatten();
        Ok(all.map(|link| text(link, "ifname").to_owned()).collect())
    };
    let subject = stage.subject()?;
    let before = names()?;
    let attached = stage.attach(subject)?;
    let interfaces = list(&attached.result, "interfaces").iter();
    let listed: Vec<&str> = interfaces
        .filter(|one| text(one, "sandbox").is_empty())
        .map(|one| text(one, "name"))
        .collect();
    let is_missing = |name: &&String| !before.contains(name) && !listed.contains(&name.as_str());
    let missing: Vec<String> = names()?.iter().filter(is_missing).cloned().collect();
    require(missing.is_empty(), || {
        format!("ADD made {missing:?} on the host, the result has {listed:?} there")
    })
}

/// Every interface of the result with its link, where there is one.
fn with_links<'r>(
    stage: &Stage<'_>,
    attached: &'r Attached,
) -> Result<Vec<(&'r Value, Option<Value>)>, Finding> {
    let interfaces = list(&attached.result, "interfaces");
    if interfaces.is_empty() {
        return not_run("the result lists no interface");
    }
    let link = |interface: &'r Value| {
        let inside = !text(interface, "sandbox").is_empty();
        let links = stage.ip("link", inside.then_some(&attached.subject))?;
        let mut links = links.as_array().into_iter().flatten();
        let link = links.find(|link| text(link, "ifname") == text(interface, "name"));
        Ok((interface, link.cloned()))
    };
    interfaces.iter().map(link).collect()
}

fn interfaces_are_there(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    for (interface, link) in with_links(stage, &attached)? {
        let Some(link) = link else {
            return failed(format!("it is not there: {interface}"));
        };
        let (said, mac) = (text(interface, "mac"), text(&link, "address"));
        let is_it = said.is_empty() || said.eq_ignore_ascii_case(mac);
        require(is_it, || format!("its MAC address is {mac}: {interface}"))?;
        // Before 1.1.0 the key means nothing.
        if let Some(mtu) = interface.get("mtu").filter(|_| stage.spec == Spec::V1_1_0) {
            require(Some(mtu) == link.get("mtu"), || {
                format!("its MTU is {}: {interface}", link["mtu"])
            })?;
        }
    }
    Ok(())
}

fn have_mac(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    for (interface, link) in with_links(stage, &attached)? {
        // One without ARP needs no such address.
        let is_meant = |link: &Value| {
            let mut flags = link["flags"].as_array().into_iter().flatten();
            text(link, "link_type") == "ether" && !flags.any(|flag| flag == "NOARP")
        };
        let is_said = !text(interface, "mac").is_empty() || !link.as_ref().is_some_and(is_meant);
        require(is_said, || format!("its MAC address is not said: {interface}"))?;
    }
    Ok(())
}

/// The list of this key, which the check is about.
fn needed<'a>(attached: &'a Attached, key: &str, one: &str) -> Result<&'a [Value], Finding> {
    match list(&attached.result, key) {
        [] => not_run(format!("the result has no {one}")),
        some => Ok(some),
    }
}

fn say_interface(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let ips = needed(&attached, "ips", "address")?;
    let silent = ips.iter().find(|ip| ip.get("interface").and_then(Value::as_u64).is_none());
    require(silent.is_none(), || format!("an address without interface: {silent:?}"))
}

/// The addresses of an interface, as `ADDRESS/LENGTH`.
fn addresses(
    stage: &Stage<'_>,
    name: &str,
    inside: Option<&Subject>,
) -> Result<Vec<String>, Finding> {
    let all = stage.ip("address", inside)?;
    let links = all.as_array().into_iter().flatten();
    let link = links.filter(|link| text(link, "ifname") == name);
    let infos = link.filter_map(|link| link.get("addr_info")?.as_array()).flatten();
    let shown = infos.filter_map(|info| {
        let length = info.get("prefixlen")?.as_u64()?;
        Some(format!("{}/{length}", text(info, "local")))
    });
    Ok(shown.collect())
}

/// On the interface that each names, which may be one of the host.
fn addresses_are_there(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let interfaces = list(&attached.result, "interfaces");
    let ips = needed(&attached, "ips", "address")?;
    for ip in ips {
        let index = ip.get("interface").and_then(Value::as_u64);
        let named = index.and_then(|index| interfaces.get(usize::try_from(index).ok()?));
        let (name, is_inside) = match named {
            Some(interface) => (text(interface, "name"), !text(interface, "sandbox").is_empty()),
            None => (attached.subject.ifname.as_str(), true),
        };
        let there = addresses(stage, name, is_inside.then_some(&attached.subject))?;
        let said = text(ip, "address");
        require(there.iter().any(|one| one == said), || {
            format!("{said} is not on {name}, {there:?} are")
        })?;
    }
    Ok(())
}

/// In whichever table, and of both families.
fn routes_are_there(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let routes = needed(&attached, "routes", "route")?;
    let of_family = |family: &str| {
        let words = format!("{family} route show table all");
        stage.ip(&words, Some(&attached.subject))
    };
    for route in routes {
        let dst = text(route, "dst");
        let there = of_family(if dst.contains(':') { "-6" } else { "-4" })?;
        let there: Vec<&str> =
            there.as_array().into_iter().flatten().map(|route| text(route, "dst")).collect();
        let shown = if ["0.0.0.0/0", "::/0"].contains(&dst) { "default" } else { dst };
        require(there.contains(&shown), || format!("{route} is not there, but {there:?}"))?;
    }
    Ok(())
}
