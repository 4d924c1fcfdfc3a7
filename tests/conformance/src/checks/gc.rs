//! GC and STATUS, of 1.1.0.

use serde_json::{Value, json};

use crate::check::{ALL, Check};
use crate::reply::{Finding, Reply, Verdict, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::{Attached, OTHER_NETWORK, Stage, beforehand};

pub(crate) const CHECKS: [Check; 6] = [
    Check {
        name: "gc-succeeds",
        section: "2 GC",
        levels: Levels::SHOULD_SINCE_1_1,
        roles: ALL,
        run: succeeds,
    },
    Check {
        name: "gc-removes-what-is-not-valid",
        section: "2 GC",
        levels: Levels::SHOULD_SINCE_1_1,
        roles: ALL,
        run: removes,
    },
    Check {
        name: "gc-spares-what-is-valid",
        section: "2 GC",
        levels: Levels::MUST_SINCE_1_1,
        roles: ALL,
        run: spares,
    },
    Check {
        name: "gc-spares-other-networks",
        section: "2 GC",
        levels: Levels::MUST_SINCE_1_1,
        roles: ALL,
        run: spares_networks,
    },
    Check {
        name: "gc-prints-nothing-where-it-succeeds",
        section: "2 GC, output",
        levels: Levels::SHOULD_SINCE_1_1,
        roles: ALL,
        run: prints_nothing,
    },
    Check {
        name: "status-succeeds",
        section: "2 STATUS",
        levels: Levels::MUST_SINCE_1_1,
        roles: ALL,
        run: status,
    },
];

/// GC with those that are still attached. The first texts of 1.1.0 had another key: libcni sends both.
pub(crate) fn gc_request(stage: &Stage<'_>, valid: &[&Attached]) -> Request {
    let key =
        |one: &&Attached| json!({"containerID": one.subject.id, "ifname": one.subject.ifname});
    let valid: Value = valid.iter().map(key).collect();
    let request = stage.request_of_network("GC").key("cni.dev/valid-attachments", valid.clone());
    request.key("cni.dev/attachments", valid)
}

fn gc(stage: &Stage<'_>, valid: &[&Attached]) -> Result<Reply, Finding> {
    stage.call(&gc_request(stage, valid))
}

fn succeeds(stage: &Stage<'_>) -> Verdict {
    gc(stage, &[])?.must_succeed()
}

fn removes(stage: &Stage<'_>) -> Verdict {
    let before = stage.warmed_up()?;
    let mut stale = stage.attached()?;
    stale.subject.container.vanish();
    beforehand(gc(stage, &[]))?.expect_success()?;
    stage.nothing_new_since(&before)
}

fn spares(stage: &Stage<'_>) -> Verdict {
    let attached = stage.attached()?;
    let before = stage.host.traces();
    beforehand(gc(stage, &[&attached]))?.expect_success()?;
    stage.nothing_gone_since(&before)
}

fn spares_networks(stage: &Stage<'_>) -> Verdict {
    let _attached = stage.attached()?;
    let before = stage.host.traces();
    let request = gc_request(stage, &[]).key("name", OTHER_NETWORK);
    beforehand(stage.call(&request))?.expect_success()?;
    stage.nothing_gone_since(&before)
}

fn prints_nothing(stage: &Stage<'_>) -> Verdict {
    let reply = beforehand(gc(stage, &[]))?;
    reply.expect_success()?;
    require(reply.stdout().trim().is_empty(), || reply.shown())
}

fn status(stage: &Stage<'_>) -> Verdict {
    stage.call(&stage.request_of_network("STATUS"))?.must_succeed()
}
