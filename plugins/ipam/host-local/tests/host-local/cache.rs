//! The index is only a cache: it is not needed, it is believed only when it is right, and on the
//! usual path nothing else is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pool::{Pool, under_strace};

fn cache_dir(pool: &Pool) -> PathBuf {
    pool.data_dir().join(".causeway")
}

fn index(pool: &Pool) -> PathBuf {
    cache_dir(pool).join("net1.index")
}

/// Copies with times, as a backup does.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Whether a call lists the pool or reads another lease than those of `expected`.
#[track_caller]
fn assert_reads_only(pool: &Pool, command: &str, container: &str, expected: &[&str]) {
    let options = ["-e", "trace=openat,getdents64,readlink"];
    let (fine, trace) = under_strace(pool, &pool.call(command, container), &options);
    assert!(fine, "{trace}");
    assert!(!trace.contains("getdents64"), "{command} {container} lists a folder:\n{trace}");
    let opened = trace.lines().filter(|line| line.contains("\"10.0."));
    let others: Vec<&str> = opened
        .filter(|line| !expected.iter().any(|ip| line.contains(&format!("\"{ip}\""))))
        .collect();
    assert!(others.is_empty(), "{command} {container} opens other leases: {others:?}");
}

#[test]
fn the_usual_path_lists_nothing_and_opens_no_other_lease() {
    let pool = Pool::small();
    for number in 0..20 {
        pool.add(&format!("c{number}")).expect_success();
    }
    assert_reads_only(&pool, "ADD", "d1", &[]);
    assert_reads_only(&pool, "DEL", "c3", &["10.0.0.5"]);
    assert_reads_only(&pool, "DEL", "never", &[]);
    assert_reads_only(&pool, "CHECK", "c4", &["10.0.0.6"]);
    assert_reads_only(&pool, "STATUS", "", &[]);
    assert_reads_only(&pool, "ADD", "d2", &[]);
}

#[test]
fn a_refused_second_add_reads_only_the_lease_that_is_in_its_way() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    pool.add("c2").expect_success();
    let options = ["-e", "trace=getdents64,openat"];
    let (fine, trace) = under_strace(&pool, &pool.call("ADD", "c1"), &options);
    assert!(!fine);
    assert!(trace.contains("\"10.0.0.2\"") && !trace.contains("\"10.0.0.3\""), "{trace}");
    assert!(!trace.contains("getdents64"), "{trace}");
}

#[test]
fn nothing_of_the_cache_is_in_the_pool_folder() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    assert_eq!(pool.names(), ["10.0.0.2", "last_reserved_ip.0", "lock"]);
    assert!(index(&pool).is_file());
}

/// Damages the cache in one way, and then asks for all that it answers.
fn survives(damage: impl Fn(&Pool)) {
    let pool = Pool::small();
    for id in ["c1", "c2", "c3"] {
        pool.add(id).expect_success();
    }
    pool.write("10.0.0.9", "old-style");
    damage(&pool);
    pool.add("c2").expect_error(101);
    damage(&pool);
    assert_eq!(pool.allocated("c4"), ["10.0.0.5"]);
    damage(&pool);
    pool.del("c2").expect_silent_success();
    damage(&pool);
    pool.del("old-style").expect_silent_success();
    let left: Vec<String> = pool.leases().into_keys().collect();
    assert_eq!(left, ["10.0.0.2", "10.0.0.4", "10.0.0.5"]);
    damage(&pool);
    pool.gc(&[]).expect_silent_success();
    assert!(pool.leases().is_empty());
}

#[test]
fn the_cache_may_be_deleted() {
    survives(|pool| fs::remove_dir_all(cache_dir(pool)).unwrap());
}

#[test]
fn the_cache_may_be_cut_short() {
    survives(|pool| fs::write(index(pool), "").unwrap());
}

#[test]
fn the_cache_may_hold_anything() {
    survives(|pool| {
        let length = fs::metadata(index(pool)).unwrap().len();
        let noise = vec![0xa5; usize::try_from(length).unwrap()];
        fs::write(index(pool), noise).unwrap();
    });
}

#[test]
fn the_cache_may_lose_everything_but_its_header() {
    survives(|pool| {
        let mut bytes = fs::read(index(pool)).unwrap();
        bytes[4096..].fill(0);
        fs::write(index(pool), bytes).unwrap();
    });
}

#[test]
fn the_cache_may_be_of_another_version() {
    survives(|pool| {
        let mut bytes = fs::read(index(pool)).unwrap();
        bytes[7] = b'9';
        fs::write(index(pool), bytes).unwrap();
    });
}

#[test]
fn the_cache_may_be_a_folder_or_a_link() {
    survives(|pool| {
        if index(pool).is_file() {
            fs::remove_file(index(pool)).unwrap();
            fs::create_dir(index(pool)).unwrap();
        }
    });
    survives(|pool| {
        fs::remove_file(index(pool)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", index(pool)).unwrap();
    });
    survives(|pool| {
        fs::remove_dir_all(cache_dir(pool)).or_else(|_| fs::remove_file(cache_dir(pool))).unwrap();
        fs::write(cache_dir(pool), "a file").unwrap();
    });
}

#[test]
fn an_old_copy_of_the_cache_is_noticed() {
    let pool = Pool::small();
    let copies = pool.data_dir().join("copies");
    pool.add("c1").expect_success();
    pool.add("c2").expect_success();
    copy(&cache_dir(&pool), &copies);
    pool.del("c1").expect_silent_success();
    pool.add("c3").expect_success();
    for round in 0..3 {
        // The copy knows c1, and that 10.0.0.4 is free.
        fs::remove_dir_all(cache_dir(&pool)).unwrap();
        copy(&copies, &cache_dir(&pool));
        match round {
            0 => pool.add("c3").expect_error(101),
            1 => pool.allocated("c4").remove(0),
            _ => {
                pool.del("c3").expect_silent_success();
                String::new()
            }
        };
    }
    let leases = pool.leases();
    let held: Vec<(&str, &str)> =
        leases.iter().map(|(ip, id)| (ip.as_str(), id.as_str())).collect();
    assert_eq!(held, [("10.0.0.3", "c2\r\neth0"), ("10.0.0.5", "c4\r\neth0")]);
}

#[test]
fn a_copy_of_the_cache_of_another_pool_is_noticed() {
    let (one, other) = (Pool::small(), Pool::small());
    one.add("c1").expect_success();
    other.add("c2").expect_success();
    fs::remove_dir_all(cache_dir(&other)).unwrap();
    copy(&cache_dir(&one), &cache_dir(&other));
    other.del("c2").expect_silent_success();
    assert!(other.leases().is_empty());
    assert_eq!(one.leases().len(), 1);
}

/// As many times as it takes to meet any step of a clock: changes follow calls at once.
const ROUNDS: usize = 100;

#[test]
fn a_file_that_an_operator_deletes_is_noticed_at_once() {
    let pool = Pool::new(serde_json::json!({ "subnet": "10.0.0.0/29" }));
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    for round in 0..ROUNDS {
        let ip = format!("10.0.0.{}", 2 + round % 5);
        fs::remove_file(pool.file(&ip)).unwrap();
        assert_eq!(pool.allocated(&format!("n{round}")), [ip]);
        assert!(pool.add("full").expect_error(104).contains("no IP addresses available"));
    }
}

#[test]
fn a_file_that_an_operator_makes_is_noticed_at_once() {
    let pool = Pool::small();
    for round in 0..ROUNDS {
        let id = format!("c{round}");
        pool.add(&id).expect_success();
        pool.write("10.0.0.200", &format!("by-hand-{round}\r\neth0"));
        // The very next call must know: it holds something, and that is let go.
        pool.add(&format!("by-hand-{round}")).expect_error(101);
        pool.del(&format!("by-hand-{round}")).expect_silent_success();
        assert!(!pool.file("10.0.0.200").exists());
        pool.write("10.0.0.201", &format!("by-hand-{round}"));
        pool.del(&format!("by-hand-{round}")).expect_silent_success();
        assert!(!pool.file("10.0.0.201").exists(), "round {round}");
        pool.del(&id).expect_silent_success();
    }
    assert!(pool.leases().is_empty());
}

#[test]
fn a_file_made_in_two_steps_is_known_after_the_second() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    pool.write("10.0.0.50", "");
    pool.del("nobody").expect_silent_success();
    // In place: the folder does not change.
    fs::write(pool.file("10.0.0.50"), "c9\r\neth0").unwrap();
    pool.add("c9").expect_error(101);
    pool.del("c9").expect_silent_success();
    assert!(!pool.file("10.0.0.50").exists());
}

#[test]
fn a_folder_that_is_made_anew_is_another_one() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    fs::rename(pool.folder(), pool.data_dir().join("away")).unwrap();
    pool.write("10.0.0.7", "c1\r\neth0");
    pool.del("c1").expect_silent_success();
    assert!(pool.leases().is_empty());
}

#[test]
fn files_that_are_no_leases_are_nobodys_business() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    fs::write(pool.file("README"), "c2\r\neth0").unwrap();
    fs::write(pool.file("10.0.0.03"), "c2\r\neth0").unwrap();
    fs::create_dir(pool.file("10.0.0.3")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", pool.file("10.0.0.4")).unwrap();
    std::os::unix::fs::symlink("/nowhere", pool.file("10.0.0.5")).unwrap();
    nix::unistd::mkfifo(&pool.file("10.0.0.6"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(pool.allocated("c2"), ["10.0.0.7"]);
    pool.del("c2").expect_silent_success();
    pool.gc(&["c1"]).expect_silent_success();
    for name in ["README", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"] {
        assert!(fs::symlink_metadata(pool.file(name)).is_ok(), "{name}");
    }
}

#[test]
fn a_file_made_while_all_are_being_read_is_noticed() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    for round in 0..3 {
        fs::remove_dir_all(cache_dir(&pool)).unwrap();
        let id = format!("late-{round}");
        std::thread::scope(|scope| {
            // Half a second passes between the listing and what is done with it.
            let slow = ["-e", "inject=getdents64:delay_exit=500000"];
            let (pool, call) = (&pool, pool.call("DEL", "nobody"));
            let reading = scope.spawn(move || under_strace(pool, &call, &slow));
            while !cache_dir(pool).exists() {
                std::thread::yield_now();
            }
            std::thread::sleep(std::time::Duration::from_millis(600));
            pool.write("10.0.0.200", &format!("{id}\r\neth0"));
            let (fine, trace) = reading.join().unwrap();
            assert!(fine && trace.contains("DELAYED"), "{trace}");
        });
        pool.del(&id).expect_silent_success();
        assert!(!pool.file("10.0.0.200").exists(), "round {round}");
    }
}
