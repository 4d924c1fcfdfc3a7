//! ADD: what it makes, and what it refuses.

use crate::check::{ALL, Check, INTERFACE};
use crate::reply::{Verdict, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::Stage;

/// How many containers at a time.
const MANY: usize = 4;

pub(crate) const CHECKS: [Check; 8] = [
    Check {
        name: "add-answers-with-a-result",
        section: "2 ADD",
        levels: Levels::MUST,
        roles: ALL,
        run: answers,
    },
    Check {
        name: "add-uses-the-given-interface-name",
        section: "2 Parameters, CNI_IFNAME",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: uses_name,
    },
    Check {
        name: "add-refuses-an-interface-that-is-there",
        section: "2 ADD",
        levels: Levels::MUST_SINCE_1_0,
        roles: INTERFACE,
        run: refuses_existing,
    },
    Check {
        name: "add-refuses-a-namespace-that-is-not-there",
        section: "2 Errors",
        levels: Levels::MUST,
        roles: INTERFACE,
        run: refuses_namespace,
    },
    Check {
        name: "a-container-can-have-two-interfaces",
        section: "2 ADD; 0.4.0 General considerations",
        levels: Levels::SHOULD,
        roles: INTERFACE,
        run: two_interfaces,
    },
    Check {
        name: "containers-can-be-attached-at-the-same-time",
        section: "3 Lifecycle & Ordering",
        levels: Levels::MUST_SINCE_1_0,
        roles: ALL,
        run: concurrent,
    },
    Check {
        name: "args-that-are-not-understood-are-ignored",
        section: "0.4.0 Network Configuration, args",
        levels: Levels::SHOULD_IN_0_4,
        roles: ALL,
        run: ignores_args,
    },
    Check {
        name: "add-skips-a-default-route-that-is-there",
        section: "0.4.0 IP Allocation, Notes",
        levels: Levels::SHOULD_IN_0_4,
        roles: INTERFACE,
        run: skips_default_route,
    },
];

fn answers(stage: &Stage<'_>) -> Verdict {
    let reply = stage.call(&stage.request_of_new("ADD")?)?;
    reply.must_succeed()?;
    reply.object().map(drop)
}

fn uses_name(stage: &Stage<'_>) -> Verdict {
    let mut subject = stage.subject()?;
    subject.ifname = "net7".to_owned();
    let attached = stage.attach(subject)?;
    let links = stage.links(&attached.subject)?;
    require(links == ["net7"], || format!("CNI_IFNAME is net7, in the container is {links:?}"))
}

fn refuses_existing(stage: &Stage<'_>) -> Verdict {
    let subject = stage.subject()?;
    stage.run("ip link add eth0 type veth peer name other0", Some(&subject))?;
    let request = stage.request("ADD", &subject).called("ADD where eth0 is there");
    stage.call(&request)?.must_fail()
}

fn refuses_namespace(stage: &Stage<'_>) -> Verdict {
    let request = stage.request_of_new("ADD")?;
    stage.call(&request.with_wrong("CNI_NETNS", "/run/netns/nobody"))?.must_fail()
}

fn two_interfaces(stage: &Stage<'_>) -> Verdict {
    stage.needs_several()?;
    let mut attached = stage.attached()?;
    let first = attached.subject.ifname.clone();
    // Another address, if the configuration says one.
    let other = stage.subject()?;
    let request = stage
        .request("ADD", &other)
        .with("CNI_CONTAINERID", &attached.subject.id)
        .with("CNI_NETNS", &attached.subject.path())
        .with("CNI_IFNAME", "net7");
    stage.call(&request.called("ADD of a second interface"))?.must_succeed()?;
    "net7".clone_into(&mut attached.subject.ifname);
    let del = stage.later("DEL", &attached).without_key("prevResult");
    stage.call(&del.called("DEL of the second interface"))?.must_succeed()?;
    let links = stage.links(&attached.subject)?;
    require(links == [first.as_str()], || {
        format!("after DEL of net7 there is {links:?} of eth0 and net7")
    })
}

fn concurrent(stage: &Stage<'_>) -> Verdict {
    stage.needs_several()?;
    let _alone = stage.attached()?;
    let subjects = (0..MANY).map(|_| stage.subject()).collect::<Result<Vec<_>, _>>()?;
    let shown = format!("ADD, {MANY} at a time");
    let add = |subject| stage.request("ADD", subject).called(&shown);
    let requests: Vec<Request> = subjects.iter().map(add).collect();
    for reply in stage.call_at_once(&requests)? {
        reply.must_succeed()?;
    }
    let shown = format!("DEL, {MANY} at a time");
    let del = |subject| stage.request("DEL", subject).called(&shown).without_key("prevResult");
    let requests: Vec<Request> = subjects.iter().map(del).collect();
    for reply in stage.call_at_once(&requests)? {
        reply.must_succeed()?;
    }
    Ok(())
}

fn ignores_args(stage: &Stage<'_>) -> Verdict {
    let args = serde_json::json!({"labels": {"appVersion": "1.0"}});
    let request = stage.request_of_new("ADD")?.key("args", args);
    stage.call(&request.called("ADD with args.labels"))?.must_succeed()
}

/// The IPAM plugin gives a default route, and the container has one by another network.
fn skips_default_route(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let subject = stage.subject()?;
    for line in [
        "ip link add other0 type veth peer name other1",
        "ip address add 192.0.2.2/24 dev other0",
        "ip link set other0 up",
        "ip link set other1 up",
        "ip route add default via 192.0.2.1",
    ] {
        stage.run(line, Some(&subject))?;
    }
    let request = stage.request("ADD", &subject);
    stage.call(&request.called("ADD where there is a default route"))?.must_succeed()
}
