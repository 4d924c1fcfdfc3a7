//! GC and STATUS, of 1.1.0.

use serde_json::{Value, json};

use crate::check::{ALL, Check};
use crate::reply::{Finding, Reply, Verdict, require};
use crate::spec::Levels;
use crate::stage::{Attached, Stage, beforehand};

pub(crate) const CHECKS: [Check; 4] = [
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
        name: "status-succeeds",
        section: "2 STATUS",
        levels: Levels::MUST_SINCE_1_1,
        roles: ALL,
        run: status,
    },
];

/// GC with those that are still attached.
fn gc(stage: &Stage<'_>, valid: &[&Attached]) -> Result<Reply, Finding> {
    let key =
        |one: &&Attached| json!({"containerID": one.subject.id, "ifname": one.subject.ifname});
    let valid: Value = valid.iter().map(key).collect();
    let request = stage.request_of_network("GC").key("cni.dev/valid-attachments", valid);
    stage.call(&request)
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
    let after = stage.host.traces();
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).cloned().collect();
    require(gone.is_empty(), || format!("gone by GC though valid: {}", gone.join(" | ")))
}

fn status(stage: &Stage<'_>) -> Verdict {
    stage.call(&stage.request_of_network("STATUS"))?.must_succeed()
}
