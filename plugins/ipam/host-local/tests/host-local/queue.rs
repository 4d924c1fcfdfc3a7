//! The pool's lock: everybody is served, in turn, and not waited for without end.

use std::collections::HashSet;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::pool::Pool;

/// Starts an ADD without waiting for it.
fn start(pool: &Pool, container: &str) -> Child {
    let config = pool.data_dir().join("config.json");
    if !config.exists() {
        fs::write(&config, pool.config().to_string()).unwrap();
    }
    let mut process = pool.call("ADD", container).process();
    process.stdin(File::open(config).unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
    process.spawn().unwrap()
}

fn open_lock(pool: &Pool) -> File {
    fs::create_dir_all(pool.folder()).unwrap();
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options.open(pool.file("lock")).unwrap()
}

/// Waits until as many calls queue for the lock as `number`.
fn wait_for_tickets(pool: &Pool, number: usize) {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(pool.file("lock")).unwrap().ino();
    let place = format!(":{inode} ");
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let ticket = |line: &&str| {
            line.contains("OFDLCK") && line.contains("WRITE") && line.contains(&place)
        };
        if locks.lines().filter(ticket).count() >= number {
            return;
        }
        assert!(Instant::now() < limit, "{number} calls do not queue:\n{locks}");
        std::thread::yield_now();
    }
}

#[test]
fn those_who_come_first_are_served_first() {
    let pool = Pool::small();
    let lock = open_lock(&pool);
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let calls: Vec<Child> = (0..10)
        .map(|number| {
            let child = start(&pool, &format!("c{number}"));
            wait_for_tickets(&pool, number + 1);
            child
        })
        .collect();
    drop(lock);
    for call in calls {
        assert!(call.wait_with_output().unwrap().status.success());
    }
    let holders: Vec<String> = (0..10)
        .map(|number| fs::read_to_string(pool.file(&format!("10.0.0.{}", number + 2))).unwrap())
        .collect();
    let expected: Vec<String> = (0..10).map(|number| format!("c{number}\r\neth0")).collect();
    assert_eq!(holders, expected);
}

/// Whether all threads of a process are stopped; one that is not may still take a lock.
fn is_stopped(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let status = |path: std::path::PathBuf| fs::read_to_string(path.join("status")).unwrap();
    threads.map(|thread| status(thread.unwrap().path())).all(|text| text.contains("State:\tT"))
}

#[test]
fn nobody_overtakes_one_who_is_slow_to_wake() {
    use nix::sys::signal::{Signal, kill};
    let pool = Pool::small();
    let lock = open_lock(&pool);
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let slow = start(&pool, "slow");
    wait_for_tickets(&pool, 1);
    let quick = start(&pool, "quick");
    wait_for_tickets(&pool, 2);
    let slow_pid = nix::unistd::Pid::from_raw(slow.id().try_into().unwrap());
    kill(slow_pid, Signal::SIGSTOP).unwrap();
    while !is_stopped(slow.id()) {
        std::thread::yield_now();
    }
    drop(lock);
    // Time enough for the other to take the lock, were it to race for it.
    std::thread::sleep(Duration::from_millis(500));
    assert!(pool.leases().is_empty());
    kill(slow_pid, Signal::SIGCONT).unwrap();
    for call in [slow, quick] {
        assert!(call.wait_with_output().unwrap().status.success());
    }
    let leases = pool.leases();
    assert_eq!(leases["10.0.0.2"], "slow\r\neth0");
    assert_eq!(leases["10.0.0.3"], "quick\r\neth0");
}

#[test]
fn a_holder_that_is_killed_blocks_nobody() {
    let pool = Pool::small();
    let mut holder = std::process::Command::new("flock")
        .arg(open_path(&pool))
        .args(["sleep", "60"])
        .spawn()
        .unwrap();
    let probe = open_lock(&pool);
    while fs2::FileExt::try_lock_exclusive(&probe).is_ok() {
        fs2::FileExt::unlock(&probe).unwrap();
        std::thread::yield_now();
    }
    let mut waiting = start(&pool, "dies-waiting");
    wait_for_tickets(&pool, 1);
    let served = start(&pool, "served");
    wait_for_tickets(&pool, 2);
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    // flock's child holds the lock with it.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id())).unwrap();
    for pid in children.split_whitespace() {
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(served.wait_with_output().unwrap().status.success());
    assert_eq!(pool.leases().into_values().collect::<Vec<_>>(), ["served\r\neth0"]);
}

fn open_path(pool: &Pool) -> std::path::PathBuf {
    drop(open_lock(pool));
    pool.file("lock")
}

#[test]
fn a_lock_not_had_in_30_seconds_is_error_11_naming_its_holder() {
    let pool = Pool::small();
    let lock = open_lock(&pool);
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let begin = Instant::now();
    let message = pool.add("c1").expect_error(11);
    assert!((29..55).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    let path = pool.file("lock");
    let wanted = format!(
        "lock {} not acquired within 30 s: held by process {} (",
        path.display(),
        std::process::id()
    );
    assert!(message.starts_with(&wanted), "{message}");
    drop(lock);
    pool.add("c1").expect_success();
}

#[test]
fn five_hundred_at_once_are_all_served() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/22" }));
    let calls: Vec<Child> = (0..500).map(|number| start(&pool, &format!("c{number}"))).collect();
    for call in calls {
        let output = call.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let leases = pool.leases();
    assert_eq!(leases.len(), 500);
    assert_eq!(leases.values().collect::<HashSet<_>>().len(), 500);
}

#[test]
fn a_folder_deleted_while_a_call_waits_is_made_anew() {
    let pool = Pool::small();
    let lock = open_lock(&pool);
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let call = start(&pool, "c1");
    wait_for_tickets(&pool, 1);
    fs::remove_dir_all(pool.folder()).unwrap();
    drop(lock);
    assert!(call.wait_with_output().unwrap().status.success());
    assert_eq!(pool.leases().len(), 1);
}
