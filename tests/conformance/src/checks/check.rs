//! CHECK: what it passes, and what it finds.

use serde_json::{Map, Value, json};

use crate::check::{ALL, Check, INTERFACE};
use crate::checks::result::{address, list, text};
use crate::reply::{Verdict, not_run, require};
use crate::spec::Levels;
use crate::stage::{Attached, Stage, beforehand};

pub(crate) const CHECKS: [Check; 9] = [
    Check {
        name: "check-passes-right-after-add",
        section: "2 CHECK",
        levels: Levels::MUST,
        roles: ALL,
        run: passes,
    },
    Check {
        name: "check-prints-nothing-where-it-passes",
        section: "0.4.0 Parameters, CHECK; Appendix",
        levels: Levels::MUST_THEN_SHOULD,
        roles: ALL,
        run: prints_nothing,
    },
    Check {
        name: "check-without-a-needed-variable-is-refused",
        section: "2 CHECK, required parameters",
        levels: Levels::MUST,
        roles: ALL,
        run: needs_variables,
    },
    Check {
        name: "check-passes-what-a-later-plugin-changed",
        section: "2 CHECK",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: allows_changes,
    },
    Check {
        name: "check-asks-prevresult-what-is-expected",
        section: "2 CHECK",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: consults_previous,
    },
    Check {
        name: "check-finds-that-the-interface-is-gone",
        section: "2 CHECK",
        levels: Levels::SHOULD,
        roles: INTERFACE,
        run: finds_interface,
    },
    Check {
        name: "check-finds-that-an-address-is-gone",
        section: "2 CHECK",
        levels: Levels::SHOULD,
        roles: INTERFACE,
        run: finds_address,
    },
    Check {
        name: "check-finds-that-a-route-is-gone",
        section: "2 CHECK",
        levels: Levels::SHOULD,
        roles: INTERFACE,
        run: finds_route,
    },
    Check {
        name: "check-finds-that-other-resources-are-gone",
        section: "2 CHECK",
        levels: Levels::SHOULD,
        roles: ALL,
        run: finds_others,
    },
];

fn passes(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    stage.call(&stage.later("CHECK", &attached))?.must_succeed()
}

fn prints_nothing(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let reply = beforehand(stage.call(&stage.later("CHECK", &attached)))?;
    reply.expect_success()?;
    require(reply.stdout().trim().is_empty(), || reply.shown())
}

/// A container whose CHECK passes: what is found later is what was broken since.
fn sound(stage: &Stage<'_>) -> Result<Attached, crate::reply::Finding> {
    let attached = stage.attached()?;
    beforehand(stage.call(&stage.later("CHECK", &attached)))?.expect_success()?;
    Ok(attached)
}

fn needs_variables(stage: &Stage<'_>) -> Verdict {
    let attached = sound(stage)?;
    ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"].into_iter().try_for_each(|variable| {
        stage.call(&stage.later("CHECK", &attached).without(variable))?.must_fail()
    })
}

/// The example of the specification, `tuning` with another MAC address, and a route more.
fn allows_changes(stage: &Stage<'_>) -> Verdict {
    const MAC: &str = "0a:58:0a:4d:ff:02";
    let mut attached = sound(stage)?;
    let (name, inside) = (attached.subject.ifname.clone(), Some(&attached.subject));
    stage.run("ip route add 198.51.100.0/24 via 10.77.0.1", inside)?;
    let route = json!({"dst": "198.51.100.0/24", "gw": "10.77.0.1"});
    if stage.run(&format!("ip link set {name} address {MAC}"), inside).is_ok() {
        set_mac(&mut attached.result, &name, MAC);
    }
    let mut routes = list(&attached.result, "routes").to_vec();
    routes.push(route);
    attached.result.insert("routes".to_owned(), routes.into());
    let request = stage.later("CHECK", &attached);
    stage.call(&request.called("CHECK after another MAC address and route"))?.must_succeed()
}

fn set_mac(result: &mut Map<String, Value>, name: &str, mac: &str) {
    let Some(Value::Array(interfaces)) = result.get_mut("interfaces") else { return };
    for interface in interfaces.iter_mut().filter(|one| text(one, "name") == name) {
        if let Value::Object(interface) = interface {
            interface.insert("mac".to_owned(), mac.into());
        }
    }
}

fn consults_previous(stage: &Stage<'_>) -> Verdict {
    let mut attached = sound(stage)?;
    let Some(Value::Array(ips)) = attached.result.get_mut("ips") else {
        return not_run("the result has no address");
    };
    let Some(Value::Object(ip)) = ips.first_mut() else {
        return not_run("the result has no address");
    };
    ip.insert("address".to_owned(), "10.77.0.250/24".into());
    let request = stage.later("CHECK", &attached);
    stage
        .call(&request.called("CHECK with an address in prevResult that is not there"))?
        .must_fail()
}

fn finds_interface(stage: &Stage<'_>) -> Verdict {
    let attached = sound(stage)?;
    let line = format!("ip link delete {}", attached.subject.ifname);
    stage.run(&line, Some(&attached.subject))?;
    let request = stage.later("CHECK", &attached);
    stage.call(&request.called("CHECK after the interface was deleted"))?.must_fail()
}

fn finds_address(stage: &Stage<'_>) -> Verdict {
    let attached = sound(stage)?;
    let Some(ip) = list(&attached.result, "ips").first() else {
        return not_run("the result has no address");
    };
    let (ip, name) = (text(ip, "address"), &attached.subject.ifname);
    stage.run(&format!("ip address del {ip} dev {name}"), Some(&attached.subject))?;
    // The routes go with the address: put back, so that they are not what is found.
    let add = format!("ip route replace default dev {name}");
    stage.run(&add, Some(&attached.subject))?;
    let shown = format!("CHECK after {} was deleted", address(ip));
    stage.call(&stage.later("CHECK", &attached).called(&shown))?.must_fail()
}

fn finds_route(stage: &Stage<'_>) -> Verdict {
    let attached = sound(stage)?;
    let Some(route) = list(&attached.result, "routes").first() else {
        return not_run("the result has no route");
    };
    let dst = text(route, "dst");
    stage.run(&format!("ip route del {dst}"), Some(&attached.subject))?;
    let shown = format!("CHECK after the route to {dst} was deleted");
    stage.call(&stage.later("CHECK", &attached).called(&shown))?.must_fail()
}

fn finds_others(stage: &Stage<'_>) -> Verdict {
    let spoils = &stage.plugin.configuration.spoils;
    if spoils.is_empty() {
        return not_run("its configuration says nothing that could be broken");
    }
    let mut unseen = Vec::new();
    for spoil in spoils {
        let attached = sound(stage)?;
        let subject = &attached.subject;
        let line = spoil.command.replace("@ifname", &subject.ifname);
        let line = line.replace("@host", &subject.peer);
        stage.run(&line, spoil.is_inside.then_some(subject))?;
        if stage.call(&stage.later("CHECK", &attached))?.succeeded() {
            unseen.push(format!("{} ({line})", spoil.what));
        }
        stage.detach(&attached).ok();
    }
    require(unseen.is_empty(), || format!("CHECK passes without {}", unseen.join(", ")))
}
