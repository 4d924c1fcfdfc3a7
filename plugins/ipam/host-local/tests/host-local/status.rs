//! STATUS: ready unless something is wrong that makes every ADD fail; at once, whatever goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::pool::Pool;

/// More than a loaded machine takes to run the plugin, less than any wait for a lock.
const AT_ONCE: Duration = Duration::from_secs(10);

/// STATUS fails, and so does ADD, for the same reason.
#[track_caller]
fn assert_neither_works(pool: &Pool, code: u64, reason: &str) {
    let (status, add) = (pool.status(), pool.add("c1"));
    let message = status.expect_error(code) + " " + &status.details();
    assert!(message.contains(reason), "{status}");
    assert_eq!(add.status(), Some(1));
    assert!(add.to_string().contains(reason), "{add}");
}

#[test]
fn a_full_pool_is_ready() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/29" }));
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    pool.status().expect_silent_success();
    pool.add("f").expect_error(104);
    pool.status().expect_silent_success();
    // An ADD that a released address waits for finds it.
    pool.del("a").expect_silent_success();
    assert_eq!(pool.allocated("f"), ["10.0.0.2"]);
}

#[test]
fn status_leaves_no_trace() {
    let pool = Pool::small();
    pool.status().expect_silent_success();
    assert_eq!(fs::read_dir(pool.data_dir()).unwrap().count(), 0);
    pool.add("c1").expect_success();
    let (names, time) = (pool.names(), fs::metadata(pool.folder()).unwrap().modified().unwrap());
    pool.status().expect_silent_success();
    assert_eq!(pool.names(), names);
    assert_eq!(fs::metadata(pool.folder()).unwrap().modified().unwrap(), time);
}

#[test]
fn status_does_not_wait_for_the_lock() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    let lock = fs::File::options().write(true).open(pool.folder().join("lock")).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let begun = Instant::now();
    pool.status().expect_silent_success();
    assert!(begun.elapsed() < AT_ONCE);
}

#[test]
fn status_never_fails_while_adds_and_dels_run() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/28" }));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (pool, done) = (&pool, &done);
        let calls: Vec<_> = (0..4)
            .map(|worker| {
                scope.spawn(move || {
                    for round in 0..30 {
                        let id = format!("w{worker}-{round}");
                        pool.add(&id).expect_success();
                        pool.del(&id).expect_silent_success();
                    }
                })
            })
            .collect();
        let asked = scope.spawn(move || {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                pool.status().expect_silent_success();
                assert!(begun.elapsed() < AT_ONCE);
                asked += 1;
            }
            asked
        });
        let outcomes: Vec<_> = calls.into_iter().map(|call| call.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(asked.join().unwrap() > 10);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
}

#[test]
fn a_missing_resolv_conf_is_not_ready() {
    let mut pool = Pool::small();
    pool.ipam["resolvConf"] = "/nowhere/resolv.conf".into();
    assert_neither_works(&pool, 50, "/nowhere/resolv.conf");
}

#[test]
fn a_range_that_holds_its_gateway_alone_is_not_ready() {
    let range =
        json!({ "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.1", "rangeEnd": "10.9.0.1" });
    let pool = Pool::new(json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }], [range]] }));
    assert_neither_works(&pool, 50, "its only addresses are the gateway (10.9.0.1)");
    let message = pool.add("c1").expect_error(7);
    assert_eq!(
        message,
        "failed to allocate for range 1: no IP addresses available in range set: 10.9.0.1-10.9.0.1"
    );
    assert!(!pool.add("c1").details().contains("delete"), "there are no files to delete");
    assert!(pool.leases().is_empty());
}

#[test]
fn a_data_dir_that_is_a_dangling_link_is_named() {
    let mut pool = Pool::small();
    let link = pool.data_dir().join("link");
    symlink("/nowhere/at/all", &link).unwrap();
    pool.ipam["dataDir"] = link.to_str().unwrap().into();
    let reason = format!("{} is a symbolic link to /nowhere/at/all", link.display());
    assert_neither_works(&pool, 50, &reason);
}

#[test]
fn a_file_where_the_pool_should_be_is_not_ready() {
    let pool = Pool::small();
    fs::write(pool.folder(), "").unwrap();
    assert_neither_works(&pool, 50, "Not a directory");
}

/// Calls `work` with a pool in a file system that was remounted read-only.
fn read_only(prepare: impl Fn(&Pool), work: impl FnOnce(&Pool)) {
    let pool = Pool::small();
    prepare(&pool);
    let mount = |arguments: &[&str]| {
        let status = Command::new("mount").args(arguments).arg(pool.data_dir()).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
    };
    mount(&["--bind", pool.data_dir().to_str().unwrap()]);
    mount(&["-o", "remount,bind,ro"]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&pool)));
    assert!(Command::new("umount").arg(pool.data_dir()).status().unwrap().success());
    outcome.unwrap();
}

#[test]
fn a_read_only_data_folder_is_not_ready_with_a_pool_or_without() {
    if !Path::new("/proc/self/ns/mnt").exists() || !nix::unistd::geteuid().is_root() {
        testsupport::not_run("mounting needs root");
        return;
    }
    read_only(|_| (), |pool| assert_neither_works(pool, 50, "Read-only file system"));
    let prepare = |pool: &Pool| {
        pool.add("c0").expect_success();
    };
    read_only(prepare, |pool| assert_neither_works(pool, 50, "Read-only file system"));
}
