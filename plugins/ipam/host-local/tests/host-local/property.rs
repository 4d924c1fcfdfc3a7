//! Random sequences of everything that can happen to a pool, against a model of a few lines:
//! never two holders of one address, never an address lost for good.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;
use testsupport::Numbers;

use crate::pool::{Pool, addresses, reference};

/// Steps of one sequence; each is one or two processes.
const STEPS: usize = 250;
/// Addresses in the pool: few, so that it is often full.
const SIZE: usize = 13;
/// Containers that come and go: more than there are addresses.
const CONTAINERS: usize = 17;

/// Who holds what, as far as the world can know. An empty file is held by "".
struct World {
    pool: Pool,
    theirs: Pool,
    numbers: Numbers,
    held: BTreeMap<String, String>,
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let ipam = json!({ "subnet": "10.0.0.0/28" });
        let mut pool = Pool::new(ipam);
        pool.version = "1.0.0";
        let mut theirs = Pool::new(json!({ "subnet": "10.0.0.0/28", "dataDir": pool.data_dir() }));
        theirs.version = "1.0.0";
        theirs.program = reference();
        let story = vec![format!("seed {seed}")];
        Self { pool, theirs, numbers: Numbers::new(seed), held: BTreeMap::new(), story }
    }

    fn container(&mut self) -> String {
        format!("c{}", self.numbers.below(CONTAINERS))
    }

    fn address(&mut self) -> String {
        format!("10.0.0.{}", 2 + self.numbers.below(SIZE))
    }

    fn holds(&self, container: &str) -> bool {
        self.held.values().any(|id| id == container)
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    fn step(&mut self) {
        match self.numbers.below(20) {
            0..=6 => self.add(),
            7..=9 => self.del(),
            10 => self.gc(),
            11 => self.their_add(),
            12 => self.their_del(),
            13 => self.operator_deletes(),
            14 => self.operator_writes(),
            15 | 16 => self.lose_cache(),
            17 => self.swap_cache(),
            _ => self.kill(),
        }
        self.compare();
    }

    fn add(&mut self) {
        let id = self.container();
        self.tell(format!("ADD {id}"));
        let answer = self.pool.add(&id);
        let unfinished = self.held.values().any(String::is_empty);
        if self.holds(&id) {
            answer.expect_error(101);
        } else if self.held.len() == SIZE && !unfinished {
            answer.expect_error(104);
        } else {
            let ip = addresses(&answer).remove(0);
            if self.held.len() == SIZE {
                // All that was unfinished was reclaimed at once.
                self.held.retain(|_, holder| !holder.is_empty());
            }
            let before = self.held.insert(ip.clone(), id);
            assert_eq!(before, None, "{ip} was held: {:#?}", self.story);
        }
    }

    fn del(&mut self) {
        let id = self.container();
        self.tell(format!("DEL {id}"));
        self.pool.del(&id).expect_silent_success();
        self.held.retain(|_, holder| *holder != id);
    }

    fn gc(&mut self) {
        let living: Vec<String> =
            self.held.values().filter(|id| !id.is_empty()).step_by(2).cloned().collect();
        self.tell(format!("GC {living:?}"));
        let living: Vec<&str> = living.iter().map(String::as_str).collect();
        self.pool.version = "1.1.0";
        self.pool.gc(&living).expect_silent_success();
        self.pool.version = "1.0.0";
        self.held.retain(|_, holder| living.contains(&holder.as_str()));
    }

    fn their_add(&mut self) {
        let id = self.container();
        self.tell(format!("their ADD {id}"));
        let answer = self.theirs.add(&id);
        match self.holds(&id) || self.held.len() == SIZE {
            true => assert_eq!(answer.status(), Some(1), "{answer}"),
            false => {
                let before = self.held.insert(addresses(&answer).remove(0), id);
                assert_eq!(before, None, "{:#?}", self.story);
            }
        }
    }

    fn their_del(&mut self) {
        let id = self.container();
        self.tell(format!("their DEL {id}"));
        if self.pool.folder().is_dir() {
            self.theirs.del(&id).expect_silent_success();
            self.held.retain(|_, holder| *holder != id);
        }
    }

    fn operator_deletes(&mut self) {
        let ip = self.address();
        self.tell(format!("rm {ip}"));
        fs::remove_file(self.pool.file(&ip)).ok();
        self.held.remove(&ip);
    }

    fn operator_writes(&mut self) {
        let (ip, id) = (self.address(), self.container());
        if self.held.contains_key(&ip) || self.holds(&id) {
            return;
        }
        let (content, holder) = match self.numbers.below(3) {
            0 => (String::new(), String::new()),
            1 => (id.clone(), id),
            _ => (format!("{id}\r\neth0"), id),
        };
        self.tell(format!("write {content:?} to {ip}"));
        self.pool.write(&ip, &content);
        self.held.insert(ip, holder);
    }

    fn cache_dir(&self) -> PathBuf {
        self.pool.data_dir().join(".causeway")
    }

    fn lose_cache(&mut self) {
        let index = self.cache_dir().join("net1.index");
        let way = self.numbers.below(3);
        self.tell(format!("lose the cache, {way}"));
        let Ok(mut bytes) = fs::read(&index) else { return };
        match way {
            0 => fs::remove_dir_all(self.cache_dir()).unwrap(),
            1 => fs::write(&index, &bytes[..bytes.len() / 2]).unwrap(),
            _ => {
                // One bucket is wiped: its leases would be missed, were it believed.
                let page = 1 + self.numbers.below(bytes.len() / 4096 - 1);
                bytes[page * 4096..(page + 1) * 4096].fill(0);
                fs::write(&index, bytes).unwrap();
            }
        }
    }

    /// Puts an older copy of the cache in its place, times and all, and makes the next copy.
    fn swap_cache(&mut self) {
        self.tell("restore an old cache".to_owned());
        let copy = self.pool.data_dir().join("copy");
        let run = |from: PathBuf, to: PathBuf| {
            Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        };
        if copy.is_dir() {
            fs::remove_dir_all(self.cache_dir()).ok();
            run(copy.clone(), self.cache_dir());
            if self.numbers.below(2) == 0 {
                fs::remove_dir_all(&copy).unwrap();
            }
        } else if self.cache_dir().is_dir() {
            run(self.cache_dir(), copy);
        }
    }

    /// Kills an ADD or DEL at some moment, and has it tidied up as a runtime would: by a DEL.
    fn kill(&mut self) {
        let id = self.container();
        if self.holds(&id) {
            return;
        }
        let delay = Duration::from_micros(100 * u64::try_from(self.numbers.below(40)).unwrap());
        self.tell(format!("ADD {id}, killed after {delay:?}, then DEL"));
        let config = self.pool.data_dir().join("config.json");
        fs::write(&config, self.pool.config().to_string()).unwrap();
        let mut process = self.pool.call("ADD", &id).process();
        process.stdin(File::open(config).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = process.spawn().unwrap();
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        self.pool.del(&id).expect_silent_success();
        let empties: Vec<String> =
            self.held.iter().filter(|(_, id)| id.is_empty()).map(|(ip, _)| ip.clone()).collect();
        // It may have come as far as to reclaim.
        for ip in empties {
            if self.held.len() == SIZE && !self.pool.file(&ip).exists() {
                self.held.retain(|_, holder| !holder.is_empty());
            }
        }
    }

    /// The folder says what the model says.
    fn compare(&self) {
        let said = |content: String| content.split("\r\n").next().unwrap_or_default().to_owned();
        let found: BTreeMap<String, String> =
            self.pool.leases().into_iter().map(|(ip, content)| (ip, said(content))).collect();
        assert_eq!(found, self.held, "{:#?}", self.story);
    }

    /// Nothing is lost for good: when everybody has left, the whole pool can be allocated.
    fn end(mut self) {
        for number in 0..CONTAINERS {
            let id = format!("c{number}");
            self.pool.del(&id).expect_silent_success();
            self.held.retain(|_, holder| *holder != id);
        }
        self.compare();
        assert!(self.held.values().all(String::is_empty), "{:#?}", self.story);
        for number in 0..SIZE {
            self.pool.add(&format!("d{number}")).expect_success();
        }
        self.pool.add("one-too-many").expect_error(104);
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.end();
}

/// `CAUSEWAY_SEED` chooses other sequences than the usual ones.
fn seed() -> u64 {
    std::env::var("CAUSEWAY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn any_sequence_agrees_with_the_model_1() {
    run(seed());
}

#[test]
fn any_sequence_agrees_with_the_model_2() {
    run(seed() + 1_000_000);
}

#[test]
fn any_sequence_agrees_with_the_model_3() {
    run(seed() + 2_000_000);
}
