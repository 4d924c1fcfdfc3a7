//! DEL: what it leaves, and that it does not fail for what is gone.

use crate::check::{ALL, CHAINED, Check, INTERFACE, IPAM};
use crate::reply::{Finding, Reply, Verdict, not_run, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::{Attached, OTHER_NETWORK, Stage, beforehand, gone, is_link_local, settle};
use crate::subject::Subject;

const fn rule(name: &'static str, levels: Levels, run: fn(&Stage<'_>) -> Verdict) -> Check {
    Check { name, section: "2 DEL", levels, roles: ALL, run }
}

const fn of(roles: &'static [crate::plugin::Role], check: Check) -> Check {
    Check { roles, ..check }
}

pub(crate) const CHECKS: [Check; 14] = [
    rule("del-succeeds", Levels::MUST, succeeds),
    of(INTERFACE, rule("del-removes-the-interface", Levels::SHOULD, removes)),
    of(CHAINED, rule("del-undoes-what-add-changed", Levels::SHOULD, undoes)),
    rule("del-leaves-nothing", Levels::SHOULD, leaves_nothing),
    rule("del-succeeds-again", Levels::SHOULD_THEN_MUST, again),
    rule("del-succeeds-for-what-was-never-added", Levels::SHOULD_THEN_MUST, never_added),
    rule("del-succeeds-without-namespace", Levels::SHOULD, without_namespace),
    rule("del-succeeds-after-the-namespace-is-gone", Levels::SHOULD, after_namespace),
    rule("del-leaves-nothing-after-the-namespace-is-gone", Levels::SHOULD, leaves_nothing_after),
    rule("del-leaves-nothing-without-prevresult", Levels::SHOULD, without_previous),
    rule("del-spares-other-containers", Levels::SHOULD, spares_others),
    Check {
        name: "del-spares-another-interface-of-the-container",
        section: "3 Execution of Network Configurations; 0.4.0 General considerations",
        levels: Levels::SHOULD,
        roles: IPAM,
        run: spares_other_interface,
    },
    Check {
        name: "del-spares-another-network-of-the-container",
        section: "0.4.0 General considerations",
        levels: Levels::SHOULD_IN_0_4,
        roles: IPAM,
        run: spares_other_network,
    },
    of(
        INTERFACE,
        Check {
            section: "3 Lifecycle & Ordering",
            ..rule("del-clears-what-a-failed-add-left", Levels::SHOULD, after_failed_add)
        },
    ),
];

fn del(stage: &Stage<'_>, attached: &Attached) -> Result<Reply, Finding> {
    stage.call(&stage.later("DEL", attached))
}

fn succeeds(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    del(stage, &attached)?.must_succeed()
}

fn removes(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    beforehand(del(stage, &attached))?.expect_success()?;
    let mut links = Vec::new();
    settle(|| {
        links = stage.links(&attached.subject).unwrap_or_default();
        links.is_empty()
    });
    require(links.is_empty(), || format!("after DEL in the container: {links:?}"))
}

/// What a chained plugin may change inside a container: links, addresses, routes and their rules.
fn inside(stage: &Stage<'_>, subject: &Subject) -> Result<Vec<String>, Finding> {
    let mut lines = Vec::new();
    for command in [
        "ip -details -oneline link",
        "ip -oneline address",
        "ip -4 route show table all",
        "ip rule",
    ] {
        let text = stage.run(command, Some(subject))?;
        let kept = text.lines().filter(|line| !is_link_local(line));
        lines.extend(kept.map(|line| line.trim().to_owned()));
    }
    Ok(lines)
}

fn undoes(stage: &Stage<'_>) -> Verdict {
    let subject = stage.subject()?;
    let before = inside(stage, &subject)?;
    let attached = stage.attach(subject)?;
    stage.detach(&attached)?;
    let after = inside(stage, &attached.subject)?;
    let (lost, new) = (gone(&before, &after), gone(&after, &before));
    let is_same = lost.is_empty() && new.is_empty();
    require(is_same, || format!("in the container, gone: {lost:?}, new: {new:?}"))
}

fn leaves_nothing(stage: &Stage<'_>) -> Verdict {
    let before = stage.warmed_up()?;
    let attached = stage.attached()?;
    stage.detach(&attached)?;
    stage.nothing_new_since(&before)
}

fn again(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    stage.detach(&attached)?;
    let request = stage.later("DEL", &attached);
    stage.call(&request.called("second DEL"))?.must_succeed()
}

fn never_added(stage: &Stage<'_>) -> Verdict {
    let request = stage.request_of_new("DEL")?;
    stage.call(&request.called("DEL of a container that was never attached"))?.must_succeed()
}

/// DEL as it comes when the namespace is no more.
fn late(stage: &Stage<'_>, attached: &Attached) -> [Request; 2] {
    let path = attached.subject.path();
    let request = stage.later("DEL", attached);
    [
        request.clone().with("CNI_NETNS", "").called("DEL with an empty CNI_NETNS"),
        request.called(&format!("DEL after {path} is gone")),
    ]
}

fn without_namespace(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let [empty, _] = late(stage, &attached);
    stage.call(&empty)?.must_succeed()
}

fn after_namespace(stage: &Stage<'_>) -> Verdict {
    let mut attached = stage.attached()?;
    let [_, dangling] = late(stage, &attached);
    attached.subject.container.vanish();
    stage.call(&dangling)?.must_succeed()
}

fn leaves_nothing_after(stage: &Stage<'_>) -> Verdict {
    let before = stage.warmed_up()?;
    let mut attached = stage.attached()?;
    let [empty, _] = late(stage, &attached);
    attached.subject.container.vanish();
    beforehand(stage.call(&empty))?.expect_success()?;
    stage.nothing_new_since(&before)
}

fn without_previous(stage: &Stage<'_>) -> Verdict {
    let before = stage.warmed_up()?;
    let attached = stage.attached()?;
    let request = stage.request("DEL", &attached.subject);
    stage.call(&request.called("DEL without prevResult"))?.must_succeed()?;
    stage.nothing_new_since(&before)
}

fn spares_others(stage: &Stage<'_>) -> Verdict {
    stage.needs_several()?;
    let kept = stage.attached()?;
    let before = (inside(stage, &kept.subject)?, stage.host.traces());
    let other = stage.attached()?;
    stage.detach(&other)?;
    drop(other);
    let (own, host) = (inside(stage, &kept.subject)?, stage.host.traces());
    let mut lost = [gone(&before.0, &own), gone(&before.1, &host)].concat();
    lost.retain(|line| !line.contains("numtxqueues"));
    require(lost.is_empty(), || format!("gone with another container: {}", lost.join(" | ")))
}

fn spares_other_interface(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let before = stage.host.traces();
    // Another address, if the configuration says one.
    let other = stage.subject()?;
    let second = |command: &str| {
        stage
            .request(command, &other)
            .with("CNI_CONTAINERID", &attached.subject.id)
            .with("CNI_NETNS", &attached.subject.path())
            .with("CNI_IFNAME", "net7")
    };
    for command in ["ADD", "DEL"] {
        beforehand(stage.call(&second(command)))?.expect_success()?;
    }
    stage.nothing_gone_since(&before)
}

fn spares_other_network(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let before = stage.host.traces();
    let request = stage.request("DEL", &attached.subject).key("name", OTHER_NETWORK);
    beforehand(stage.call(&request))?.expect_success()?;
    stage.nothing_gone_since(&before)
}

fn after_failed_add(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let before = stage.warmed_up()?;
    let subject = stage.subject()?;
    stage.delegate.refuse("ADD")?;
    beforehand(stage.call(&stage.request("ADD", &subject)))?.expect_failure()?;
    let request = stage.request("DEL", &subject).called("DEL after an ADD that failed");
    stage.call(&request)?.must_succeed()?;
    match stage.makes_interface() {
        true => stage.nothing_new_since(&before),
        false => not_run("it makes no interface"),
    }
}
