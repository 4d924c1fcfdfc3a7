//! The result of an IPAM plugin.

use std::collections::BTreeSet;

use crate::check::{Check, IPAM};
use crate::checks::result::{list, text};
use crate::reply::{Verdict, not_run, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::{Stage, beforehand};

/// How many containers at a time.
const MANY: usize = 6;

pub(crate) const CHECKS: [Check; 3] = [
    Check {
        name: "ipam-gives-an-address",
        section: "4 Plugin Delegation",
        levels: Levels::MUST,
        roles: IPAM,
        run: gives_address,
    },
    Check {
        name: "ipam-result-is-abbreviated",
        section: "5 Delegated plugins (IPAM)",
        levels: Levels::SHOULD_THEN_MUST,
        roles: IPAM,
        run: is_abbreviated,
    },
    Check {
        name: "ipam-gives-no-address-twice",
        section: "3 Lifecycle & Ordering",
        levels: Levels::MUST_SINCE_1_0,
        roles: IPAM,
        run: gives_each_once,
    },
];

fn gives_address(stage: &Stage<'_>) -> Verdict {
    let result = stage.attached()?.result;
    require(!list(&result, "ips").is_empty(), || format!("no address: {result:?}"))
}

fn is_abbreviated(stage: &Stage<'_>) -> Verdict {
    let result = stage.attached()?.result;
    let interfaces = list(&result, "interfaces");
    require(interfaces.is_empty(), || format!("interfaces: {interfaces:?}"))?;
    let mut ips = list(&result, "ips").iter();
    let with_index = ips.find(|ip| ip.get("interface").is_some());
    require(with_index.is_none(), || format!("an address with interface: {with_index:?}"))
}

fn gives_each_once(stage: &Stage<'_>) -> Verdict {
    if !stage.plugin.configuration.is_pool {
        return not_run("its addresses are those of the configuration");
    }
    let subjects = (0..MANY).map(|_| stage.subject()).collect::<Result<Vec<_>, _>>()?;
    let requests: Vec<Request> = subjects.iter().map(|one| stage.request("ADD", one)).collect();
    let mut given = BTreeSet::new();
    for reply in beforehand(stage.call_at_once(&requests))? {
        reply.expect_success()?;
        for ip in list(&beforehand(reply.object())?, "ips") {
            let address = text(ip, "address").to_owned();
            let is_new = given.insert(address.clone());
            require(is_new, || format!("{address} was given twice, {MANY} asking at a time"))?;
        }
    }
    Ok(())
}
