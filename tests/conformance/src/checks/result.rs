//! The result of ADD: what it says, and whether that is so.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::check::{ALL, Check, INTERFACE};
use crate::reply::{Finding, Verdict, failed, not_run, require};
use crate::spec::{Levels, Spec};
use crate::stage::{Attached, Stage};

pub(crate) const CHECKS: [Check; 7] = [
    Check {
        name: "result-has-the-version-of-the-configuration",
        section: "5 Success, cniVersion",
        levels: Levels::MUST,
        roles: ALL,
        run: has_version,
    },
    Check {
        name: "result-is-well-formed",
        section: "5 Success, interfaces, ips, routes, dns",
        levels: Levels::MUST,
        roles: ALL,
        run: is_well_formed,
    },
    Check {
        name: "result-lists-the-container-interface",
        section: "5 Success, interfaces",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: lists_interface,
    },
    Check {
        name: "result-has-the-namespace-as-it-was-given",
        section: "5 Success, interfaces, sandbox",
        levels: Levels::SHOULD,
        roles: INTERFACE,
        run: has_sandbox,
    },
    Check {
        name: "interfaces-of-the-result-are-there",
        section: "5 Success, interfaces",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: interfaces_are_there,
    },
    Check {
        name: "addresses-of-the-result-are-there",
        section: "5 Success, ips",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: addresses_are_there,
    },
    Check {
        name: "routes-of-the-result-are-there",
        section: "5 Success, routes",
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

fn is_well_formed(stage: &Stage<'_>) -> Verdict {
    let result = stage.attached()?.result;
    for key in ["interfaces", "ips", "routes"] {
        let value = result.get(key);
        let is_list = value.is_none_or(|value| value.is_array() || value.is_null());
        require(is_list, || format!("{key} is no list: {value:?}"))?;
    }
    let dns = result.get("dns");
    require(dns.is_none_or(|dns| dns.is_object() || dns.is_null()), || format!("dns: {dns:?}"))?;
    for interface in list(&result, "interfaces") {
        require(!text(interface, "name").is_empty(), || format!("interface: {interface}"))?;
    }
    let count = list(&result, "interfaces").len();
    for ip in list(&result, "ips") {
        well_formed_ip(ip, count, stage.spec)?;
    }
    for route in list(&result, "routes") {
        let (dst, gateway) = (text(route, "dst"), text(route, "gw"));
        let is_gateway =
            gateway.parse::<IpAddr>().is_ok_and(|one| one.is_ipv6() == dst.contains(':'));
        let is_route = is_cidr(dst) && (gateway.is_empty() || is_gateway);
        require(is_route, || format!("route: {route}"))?;
    }
    Ok(())
}

fn well_formed_ip(ip: &Value, interfaces: usize, spec: Spec) -> Verdict {
    let (address, gateway) = (text(ip, "address"), text(ip, "gateway"));
    require(is_cidr(address), || format!("address {address:?}: {ip}"))?;
    let is_gateway = gateway.is_empty() || gateway.parse::<IpAddr>().is_ok();
    require(is_gateway, || format!("gateway {gateway:?}: {ip}"))?;
    if let Some(index) = ip.get("interface") {
        let is_index = index.as_u64().is_some_and(|index| index < interfaces as u64);
        require(is_index, || format!("interface {index} of {interfaces}: {ip}"))?;
    }
    if spec == Spec::V0_4_0 {
        let family = if address.contains(':') { "6" } else { "4" };
        require(text(ip, "version") == family, || format!("version is not {family:?}: {ip}"))?;
    }
    Ok(())
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
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

fn interfaces_are_there(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let interfaces = list(&attached.result, "interfaces");
    if interfaces.is_empty() {
        return not_run("the result lists no interface");
    }
    for interface in interfaces {
        let inside = !text(interface, "sandbox").is_empty();
        let links = stage.ip("link", inside.then_some(&attached.subject))?;
        let mut links = links.as_array().into_iter().flatten();
        let Some(link) = links.find(|link| text(link, "ifname") == text(interface, "name")) else {
            return failed(format!("it is not there: {interface}"));
        };
        let (said, mac) = (text(interface, "mac"), text(link, "address"));
        let is_it = said.is_empty() || said.eq_ignore_ascii_case(mac);
        require(is_it, || format!("its MAC address is {mac}: {interface}"))?;
    }
    Ok(())
}

/// The addresses of an interface in a container, as `ADDRESS/LENGTH`.
pub(crate) fn addresses(stage: &Stage<'_>, attached: &Attached) -> Result<Vec<String>, Finding> {
    let all = stage.ip("address", Some(&attached.subject))?;
    let links = all.as_array().into_iter().flatten();
    let link = links.filter(|link| text(link, "ifname") == attached.subject.ifname);
    let infos = link.filter_map(|link| link.get("addr_info")?.as_array()).flatten();
    let shown = infos.filter_map(|info| {
        let length = info.get("prefixlen")?.as_u64()?;
        Some(format!("{}/{length}", text(info, "local")))
    });
    Ok(shown.collect())
}

fn addresses_are_there(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let ips = list(&attached.result, "ips");
    if ips.is_empty() {
        return not_run("the result has no address");
    }
    let there = addresses(stage, &attached)?;
    ips.iter().try_for_each(|ip| {
        let said = text(ip, "address");
        require(there.iter().any(|one| one == said), || {
            format!("{said} is not on {}, {there:?} are", attached.subject.ifname)
        })
    })
}

fn routes_are_there(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let routes = list(&attached.result, "routes");
    if routes.is_empty() {
        return not_run("the result has no route");
    }
    let there = stage.ip("route", Some(&attached.subject))?;
    let there: Vec<&str> =
        there.as_array().into_iter().flatten().map(|route| text(route, "dst")).collect();
    routes.iter().try_for_each(|route| {
        let dst = match text(route, "dst") {
            "0.0.0.0/0" => "default",
            dst => dst,
        };
        require(there.contains(&dst), || format!("{route} is not there, but {there:?}"))
    })
}
