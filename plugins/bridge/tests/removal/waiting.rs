//! Who waits: a process of the plugin's that keeps nobody else, where there may be one.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::json;

use crate::network::Network;
use crate::processes::{Group, adopted, descriptors};

/// The most that may be waiting at a time before a caller's were seen to be reaped.
const UNPROVEN: usize = 4;

#[test]
fn where_nobody_reaps_200_removals_leave_a_handful_of_zombies() {
    prctl::set_child_subreaper(true).unwrap();
    let (network, group) = (Network::new(), Group::new());
    for number in 0..200 {
        let container = network.attached(&format!("c{number}"));
        network.del_in_group(&container, group.number());
        network.host.run(["ip", "netns", "delete", container.name()]);
    }
    let left = group.adopted();
    assert_eq!(left.len(), UNPROVEN, "{left:?}");
}

#[test]
fn where_processes_are_reaped_late_they_go_on_waiting() {
    /// As on a host that was measured.
    const LATE: Duration = Duration::from_millis(500);
    prctl::set_child_subreaper(true).unwrap();
    let (network, group) = (Network::new(), Group::new());
    let mut first_seen = HashMap::new();
    let mut reap = |group: &Group| {
        for pid in group.adopted() {
            let seen = *first_seen.entry(pid).or_insert_with(Instant::now);
            if seen.elapsed() > LATE {
                waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).unwrap();
            }
        }
        first_seen.len()
    };
    let blue = network.host.container("blue");
    let removed = |group: &Group| {
        network.call("ADD", &blue).run().expect_success();
        network.del_in_group(&blue, group.number());
    };
    let begun = Instant::now();
    while begun.elapsed() < 2 * LATE {
        removed(&group);
        reap(&group);
    }
    removed(&group);
    let before = reap(&group);
    for _ in 0..30 {
        removed(&group);
        reap(&group);
    }
    // On a busy machine a call may come when all places are taken, and wait itself; with the waiting
    // switched off there would be four at most.
    let children = reap(&group) - before;
    assert!(children > 20, "{children} of 30");
}

#[test]
fn a_caller_that_reads_to_the_end_is_not_kept_by_who_waits() {
    prctl::set_child_subreaper(true).unwrap();
    let mut seen = 0;
    for _ in 0..20 {
        let network = Network::new();
        let blue = network.attached("blue");
        let (mut output, writer) = std::io::pipe().unwrap();
        let mut plugin = network.start(&network.call("DEL", &blue), 0, writer);
        let group = plugin.id().cast_signed();
        output.read_to_end(&mut Vec::new()).unwrap();
        assert!(plugin.wait().unwrap().success());
        let waiting = adopted().into_iter().find(|(_, of)| *of == group);
        let open = waiting.and_then(|(pid, _)| descriptors(pid));
        // Killing the group, as a runtime may, hits nothing that is still needed.
        killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
        network.assert_gone(&blue);
        network.call("ADD", &blue).run().expect_success();
        network.del(&blue);
        let Some(open) = open else { continue };
        seen += 1;
        let allowed =
            |path: &str| path.starts_with("socket:") || path.contains("/causeway.removals-");
        assert!(open.iter().all(|path| allowed(&path.to_string_lossy())), "{open:?}");
    }
    assert!(seen > 0, "the kernel was always done before the plugin was");
}

#[test]
fn sockets_of_the_packet_filter_are_kept_until_what_was_deleted_is_freed() {
    let network = Network::with(json!({"macspoofchk": true}));
    let blue = network.attached("blue");
    let (status, trace) = network.traced(&network.call("DEL", &blue), &["-e", "trace=poll"]);
    assert_eq!(status, Some(0), "{trace}");
    // The next plugin of a chain would have to wait while the kernel closes one.
    assert!(trace.contains(", 0, 100)"), "{trace}");
}

#[test]
fn an_add_to_an_empty_packet_filter_has_nothing_to_wait_for() {
    let network = Network::with(json!({"macspoofchk": true}));
    for name in ["blue", "green"] {
        let container = network.host.container(name);
        let started = ["-e", "trace=/^v?fork$|^clone"];
        let (status, trace) = network.traced(&network.call("ADD", &container), &started);
        assert_eq!((status, trace.as_str()), (Some(0), ""), "{name}");
    }
}

#[test]
fn sixty_four_removals_at_once() {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::new();
    let containers: Vec<_> =
        (0..64).map(|number| network.attached(&format!("c{number}"))).collect();
    let calls: Vec<_> = containers.iter().map(|container| network.call("DEL", container)).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = calls.iter().map(|call| scope.spawn(|| call.run())).collect();
        running.into_iter().for_each(|call| call.join().unwrap().expect_silent_success());
    });
    assert_eq!(network.host_ends(), (String::new(), Vec::new()));
    containers.iter().for_each(|container| network.assert_gone(container));
    network.call("ADD", &containers[0]).run().expect_success();
}
