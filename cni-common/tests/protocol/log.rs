//! The log: what stands in it, and that nothing that becomes of it fails or delays a call.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use serde_json::{Value, json};
use testsupport::Answer;

use super::{Journal, call, config, with};

/// The most bytes of a line with its break.
const MAX_LINE: usize = 4096;

fn lines(text: &str) -> Vec<Value> {
    let line = |line: &str| {
        assert!(line.len() < MAX_LINE, "{line}");
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(value["causeway"], 1, "{line}");
        value
    };
    text.lines().map(line).collect()
}

fn logging_to(path: &Path) -> Value {
    with(config(), "logFile", path.to_str().unwrap())
}

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = Journal::new().0.with_extension("d");
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn each_step_is_a_line_and_only_when_asked_for() {
    let quiet = call("DEL").config(config()).run();
    assert_eq!(quiet.stderr(), "");
    let asked = call("DEL").env("CNI_DEBUG", "1").config(config()).run();
    let level = call("DEL").config(with(config(), "logLevel", "debug")).run();
    let folder = Folder::new();
    let path = folder.path("log");
    let file = call("DEL").config(logging_to(&path)).run();
    assert_eq!(file.stderr(), "");
    for (answer, text) in [
        (&asked, asked.stderr()),
        (&level, level.stderr()),
        (&file, fs::read_to_string(path).unwrap()),
    ] {
        answer.expect_silent_success();
        let lines = lines(&text);
        let [begin, step, end] = lines.as_slice() else { panic!("{text}") };
        for line in &lines {
            for (key, value) in [
                ("plugin", "probe"),
                ("command", "DEL"),
                ("network", "net"),
                ("container", "c1"),
                ("interface", "eth0"),
            ] {
                assert_eq!(line[key], value, "{line}");
            }
            assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
            assert!(line.get("trace_id").is_none(), "{line}");
            assert_eq!(line["call"], begin["call"]);
            assert!(line["pid"].as_u64().unwrap() > 1);
        }
        assert_eq!((&begin["kind"], &begin["id"]), (&json!("begin"), &json!(0)));
        assert_eq!((&step["kind"], &step["id"]), (&json!("step"), &json!(1)));
        assert_eq!((&step["step"], &step["within"]), (&json!("del net/c1/eth0"), &json!(0)));
        assert_eq!((&end["kind"], &end["outcome"]), (&json!("end"), &json!("ok")));
        let micros = |line: &Value, key: &str| line[key].as_u64().unwrap();
        assert!(
            micros(step, "start_us") + micros(step, "duration_us") <= micros(end, "duration_us")
        );
    }
}

#[test]
fn off_is_off_and_a_value_that_is_not_known_is_on() {
    let folder = Folder::new();
    let path = folder.path("log");
    let off = with(logging_to(&path), "logLevel", "OFF");
    assert_eq!(call("DEL").config(off).run().stderr(), "");
    assert!(!path.exists());
    for level in ["debug", "nonsense", "on"] {
        let answer = call("DEL").config(with(config(), "logLevel", level)).run();
        assert_eq!(lines(&answer.stderr()).len(), 3, "{answer}");
    }
    for level in [json!(7), json!(null), json!([])] {
        let answer = call("DEL").config(with(config(), "logLevel", level)).run();
        answer.expect_silent_success();
        assert_eq!(answer.stderr(), "");
    }
}

#[test]
fn a_call_that_fails_says_in_its_last_line_why() {
    let config = with(with(config(), "fault", "error"), "logLevel", "debug");
    let answer = call("ADD").config(&config).run();
    let all = lines(&answer.stderr());
    let last = all.last().unwrap();
    assert_eq!(last["kind"], "end");
    assert_eq!((&last["outcome"], &last["code"]), (&json!("failed"), &json!(100)));
    assert_eq!(
        (&last["message"], &last["details"]),
        (&json!("asked to fail"), &json!("a\nline, a \"quote\""))
    );
    // A step, too.
    let all = lines(&call("CHECK").config(&config).run().stderr());
    assert_eq!((&all[1]["kind"], &all[1]["code"]), (&json!("step"), &json!(100)));
    // A panic.
    let config = with(config, "fault", "panic");
    let all = lines(&call("DEL").config(config).run().stderr());
    assert_eq!(all.last().unwrap()["code"], 999);
}

#[test]
fn a_call_that_has_no_configuration_is_logged_for_whoever_asks_by_the_variable() {
    let bad = call("ADD").env("CNI_DEBUG", "1").stdin("{").run();
    bad.expect_error(6);
    let all = lines(&bad.stderr());
    assert_eq!((&all[1]["kind"], &all[1]["code"]), (&json!("end"), &json!(6)), "{bad}");
    let bad = call("ADD").env("CNI_DEBUG", "1").ifname("").run();
    bad.expect_error(4);
    assert_eq!(lines(&bad.stderr())[1]["code"], 4, "{bad}");
    assert_eq!(call("ADD").stdin("{").run().stderr(), "");
}

#[test]
fn the_trace_of_the_runtime_is_told_where_it_is_valid() {
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let run = |value: &[u8]| {
        use std::os::unix::ffi::OsStrExt;
        let value = std::ffi::OsStr::from_bytes(value);
        let answer =
            call("DEL").env("CNI_DEBUG", "1").env("TRACEPARENT", value).config(config()).run();
        answer.expect_silent_success();
        lines(&answer.stderr())
    };
    for line in run(format!("00-{trace}-{parent}-01").as_bytes()) {
        assert_eq!((&line["trace_id"], &line["parent_id"]), (&json!(trace), &json!(parent)));
    }
    let long = "0".repeat(100_000);
    let zeros = format!("00-{}-{parent}-01", "0".repeat(32));
    for value in [b"".as_slice(), b"\xff\xfe", b"00-x-y-01", long.as_bytes(), zeros.as_bytes()] {
        for line in run(value) {
            assert!(line.get("trace_id").is_none() && line.get("parent_id").is_none(), "{line}");
        }
    }
}

#[test]
fn a_new_file_is_for_its_owner_alone_and_one_that_is_there_goes_on() {
    let folder = Folder::new();
    let path = folder.path("log");
    call("DEL").config(logging_to(&path)).run().expect_silent_success();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let link = folder.path("link");
    symlink(&path, &link).unwrap();
    call("DEL").config(logging_to(&link)).run().expect_silent_success();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 6);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    // Rotated by renaming: the next call makes it anew.
    fs::rename(&path, folder.path("log.1")).unwrap();
    call("DEL").config(logging_to(&path)).run().expect_silent_success();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 3);
}

/// Whether the call did what it should within a time that no waiting fits in.
#[track_caller]
fn succeeds_soon(path: &Path) -> Answer {
    let journal = Journal::new();
    let begun = Instant::now();
    let answer =
        call("DEL").config(with(journal.config(), "logFile", path.to_str().unwrap())).run();
    answer.expect_silent_success();
    assert!(begun.elapsed() < Duration::from_secs(10), "{}", path.display());
    assert_eq!(journal.lines(), ["del net/c1/eth0"]);
    answer
}

#[test]
fn a_file_that_can_not_be_had_is_replaced_by_stderr() {
    let folder = Folder::new();
    let (fifo, nested, around) =
        (folder.path("fifo"), folder.path("no/such/log"), folder.path("loop"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink(&around, &around).unwrap();
    let long = folder.path(&"n".repeat(5000));
    let below_a_file = folder.path("file/log");
    fs::write(folder.path("file"), "").unwrap();
    let nul = Path::new("/tmp/a\0b");
    for path in
        [&fifo, &nested, &around, &long, &below_a_file, &folder.0].map(|path| path.as_path())
    {
        let answer = succeeds_soon(path);
        assert_eq!(lines(&answer.stderr()).len(), 3, "{}: {answer}", path.display());
    }
    assert_eq!(lines(&succeeds_soon(nul).stderr()).len(), 3);
    assert!(!folder.path("no").exists());
}

#[test]
fn what_takes_no_line_loses_it() {
    for device in ["/dev/full", "/dev/null"] {
        assert_eq!(succeeds_soon(Path::new(device)).stderr(), "");
    }
    // A FIFO whose reader does not read.
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut reader = options.open(&fifo).unwrap();
    while reader
        .write(&[b'x'; 4096])
        .map_err(|e| assert_eq!(e.kind(), ErrorKind::WouldBlock))
        .is_ok()
    {}
    assert_eq!(succeeds_soon(&fifo).stderr(), "");
}

#[test]
fn a_file_beyond_the_limit_of_the_process_ends_no_call() {
    let folder = Folder::new();
    let path = folder.path("log");
    // In blocks of 512 bytes: room for one line and a half.
    let program = testsupport::example("probe");
    let script = format!("ulimit -f 1; exec {}", program.display());
    let mut command = call("DEL").process();
    let variables: Vec<_> =
        command.get_envs().map(|(k, v)| (k.to_owned(), v.unwrap().to_owned())).collect();
    command = std::process::Command::new("sh");
    command.args(["-c", &script]).env_clear().envs(variables).stdin(Stdio::piped());
    for round in 0..2 {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(logging_to(&path).to_string().as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "round {round}");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 512);
}

#[test]
fn the_answer_is_alone_on_stdout_wherever_the_log_goes() {
    let folder = Folder::new();
    for name in ["/dev/stdout", "/proc/self/fd/1"] {
        let answer = call("ADD").config(logging_to(Path::new(name))).run();
        assert_eq!(answer.expect_success().json(), json!({"cniVersion": "1.1.0"}));
        assert_eq!(lines(&answer.stderr()).len(), 2, "{answer}");
    }
    // Its file by its own name, too.
    let path = folder.path("answer");
    let mut child = call("ADD")
        .process()
        .stdin(Stdio::piped())
        .stdout(File::create(&path).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(logging_to(&path).to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let answer: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(answer, json!({"cniVersion": "1.1.0"}));
}

#[test]
fn lines_of_many_calls_at_once_are_whole() {
    const CALLS: usize = 50;
    let folder = Folder::new();
    let path = folder.path("log");
    let barrier = Barrier::new(CALLS);
    // As long as lines come: every text is cut.
    let long = "x".repeat(9000);
    std::thread::scope(|scope| {
        for number in 0..CALLS {
            let (path, barrier, long) = (&path, &barrier, &long);
            scope.spawn(move || {
                let id = format!("c{number}-{long}");
                let config = with(logging_to(path), "name", format!("net-{long}"));
                let call = call("DEL").container_id(&id).config(config);
                barrier.wait();
                call.run().expect_success();
            });
        }
    });
    let all = lines(&fs::read_to_string(&path).unwrap());
    assert_eq!(all.len(), 3 * CALLS);
    for number in 0..CALLS {
        let id = format!("c{number}-x");
        let own: Vec<&Value> = all
            .iter()
            .filter(|line| line["container"].as_str().unwrap().starts_with(&id))
            .collect();
        let kinds: Vec<&Value> = own.iter().map(|line| &line["kind"]).collect();
        assert_eq!(kinds, ["begin", "step", "end"]);
        assert!(own.iter().all(|line| line["call"] == own[0]["call"]));
    }
    assert_eq!(fs::metadata(&path).unwrap().uid(), nix::unistd::getuid().as_raw());
}
