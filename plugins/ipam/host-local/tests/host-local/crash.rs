//! Killed at any system call of ADD or DEL: what follows finds everything in order.

use std::collections::BTreeMap;
use std::thread;

use serde_json::json;

use crate::pool::{Pool, under_strace};

/// How often each system call is made by `command`, in a pool like the one it will be killed in.
fn system_calls(make: fn() -> Pool, command: &str) -> BTreeMap<String, usize> {
    let pool = make();
    let (fine, trace) = under_strace(&pool, &pool.call(command, "victim"), &[]);
    assert!(fine, "{trace}");
    let mut calls = BTreeMap::new();
    for line in trace.lines() {
        // `<pid> <name>(…`
        let words = line.split_whitespace().nth(1).unwrap_or_default();
        let Some((name, _)) = words.split_once('(') else { continue };
        *calls.entry(name.to_owned()).or_insert(0) += 1;
    }
    assert!(calls.values().sum::<usize>() > 30, "{calls:?}");
    calls
}

/// Kills `command` at every one of its system calls in turn.
fn sweep(make: fn() -> Pool, command: &'static str) {
    let points: Vec<(String, usize)> = system_calls(make, command)
        .into_iter()
        // The call that starts the program; strace counts from the next one on.
        .filter(|(name, _)| name != "execve")
        .flat_map(|(name, count)| (1..=count).map(move |number| (name.clone(), number)))
        .collect();
    let half = points.len().div_ceil(2);
    thread::scope(|scope| {
        for part in points.chunks(half) {
            scope.spawn(move || {
                part.iter().for_each(|(name, number)| kill_at(make, command, name, *number))
            });
        }
    });
}

fn kill_at(make: fn() -> Pool, command: &str, name: &str, number: usize) {
    let place = format!("{command} killed at {name} #{number}");
    let pool = make();
    let before = pool.leases();
    let inject = format!("inject={name}:signal=KILL:when={number}");
    let (fine, trace) = under_strace(&pool, &pool.call(command, "victim"), &["-e", &inject]);
    let killed = !fine && trace.contains("+++ killed by SIGKILL");
    assert!(killed, "{place}: not killed\n{trace}");
    for (ip, content) in pool.leases() {
        assert!(content.ends_with("\r\neth0"), "{place}: {ip} says {content:?}");
    }
    let allocated = pool.allocated("next");
    for ip in &allocated {
        assert!(!before.contains_key(ip), "{place}: {ip} was held");
    }
    pool.del("victim").expect_silent_success();
    pool.del("next").expect_silent_success();
    let left = pool.leases();
    assert!(left.values().all(|content| content.starts_with("bystander")), "{place}: {left:?}");
    assert_eq!(left.len(), before.values().filter(|id| id.starts_with("bystander")).count());
    // And whoever comes again with the same ID is served.
    pool.add("victim").expect_success();
    pool.gc(&[]).expect_silent_success();
    assert!(pool.leases().is_empty(), "{place}");
    let names = pool.names();
    assert!(names.iter().all(|name| name.starts_with("last_") || name == "lock"), "{names:?}");
}

fn dual_stack() -> Pool {
    Pool::new(json!({
        "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }]],
    }))
}

fn used() -> Pool {
    let pool = dual_stack();
    pool.add("bystander").expect_success();
    pool
}

fn with_victim() -> Pool {
    let pool = used();
    pool.add("victim").expect_success();
    pool
}

fn with_memory() -> Pool {
    let mut pool = dual_stack();
    pool.ipam["cooldownSeconds"] = 60.into();
    pool.add("bystander").expect_success();
    pool.add("victim").expect_success();
    pool
}

#[test]
fn the_first_add_of_a_pool_may_be_killed_anywhere() {
    sweep(dual_stack, "ADD");
}

#[test]
fn an_add_may_be_killed_anywhere() {
    sweep(used, "ADD");
}

#[test]
fn a_del_may_be_killed_anywhere() {
    sweep(with_victim, "DEL");
}

#[test]
fn a_del_that_remembers_may_be_killed_anywhere() {
    sweep(with_memory, "DEL");
}

/// Makes each system call that may fail do so in turn: ADD allocates all its addresses or none.
#[test]
fn an_add_that_fails_anywhere_leaves_the_pool_as_it_was() {
    let may_fail = [
        "openat",
        "read",
        "write",
        "pread64",
        "pwrite64",
        "linkat",
        "unlinkat",
        "mkdir",
        "mkdirat",
        "flock",
        "ftruncate",
        "renameat",
        "utimensat",
        "fsetxattr",
        "newfstatat",
        "fcntl",
        "getdents64",
        "statx",
    ];
    let calls = system_calls(used, "ADD");
    let mut failed = 0;
    for (name, count) in calls.into_iter().filter(|(name, _)| may_fail.contains(&name.as_str())) {
        for number in 1..=count {
            let pool = used();
            let before = pool.leases();
            let inject = format!("inject={name}:error=EIO:when={number}");
            let call = pool.call("ADD", "victim");
            let (fine, trace) = under_strace(&pool, &call, &["-e", &inject]);
            let more = if fine { 2 } else { 0 };
            failed += usize::from(!fine);
            assert_eq!(pool.leases().len(), before.len() + more, "{inject}\n{trace}");
            pool.del("victim").expect_silent_success();
            assert_eq!(pool.leases(), before, "{inject}\n{trace}");
        }
    }
    assert!(failed > 5, "{failed}");
}

/// Without unnamed files or without /proc, the other way of writing an address file is as whole.
#[test]
fn a_file_system_without_unnamed_files_is_served_too() {
    for inject in ["inject=openat:error=EOPNOTSUPP:when=", "inject=linkat:error=ENOENT:when="] {
        let mut served = 0;
        for number in 1..40 {
            let pool = used();
            let inject = format!("{inject}{number}");
            let (fine, trace) = under_strace(&pool, &pool.call("ADD", "victim"), &["-e", &inject]);
            let hidden = trace.contains(".causeway-new");
            if fine && hidden {
                served += 1;
                assert_eq!(pool.leases().len(), 4, "{trace}");
                assert!(!pool.names().iter().any(|name| name.starts_with('.')), "{trace}");
            }
            pool.del("victim").expect_silent_success();
            assert_eq!(pool.leases().len(), 2, "{trace}");
        }
        assert!(served >= 1, "{inject}");
    }
}
