//! `causeway metrics --listen`: scrapes, and clients that nobody wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use testsupport::bin_dir;

use crate::node::{Node, pods, tool};

/// The tool, listening; it is killed when the guard is dropped.
pub(crate) struct Listening {
    child: Child,
    address: SocketAddr,
}

impl Listening {
    pub(crate) fn start(node: &Node, words: &[&str]) -> Self {
        let mut command = Command::new(tool());
        command.args(words).env("NETCONFPATH", node.conf_dir()).env("CNI_PATH", bin_dir());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").unwrap();
        let address = address.strip_suffix("/metrics\n").unwrap().parse().unwrap();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// What is answered to a request; empty if it was refused.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        // One that is refused early is not read to its end.
        stream.write_all(request.as_bytes()).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8(answer).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n"))
    }

    /// Sends a signal, and returns the exit status.
    pub(crate) fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on");
    }

    /// The most memory that it has had, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The head and the body of an answer, by its length.
fn parts(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let length = format!("content-length: {}", body.len());
    assert!(head.lines().any(|line| line == length), "{answer}");
    (head, body)
}

#[test]
fn each_scrape_reads_the_host_anew_and_a_signal_ends_it() {
    let node = Node::new(&[pods()]);
    let (_one, _) = node.attach("pods", "one");
    let alive = |text: &str, count: u32| {
        let line = format!("causeway_attachments{{network=\"pods\",state=\"alive\"}} {count}");
        text.lines().any(|found| found == line)
    };
    for (address, signal) in [("127.0.0.1:0", "-TERM"), ("[::1]:0", "-INT")] {
        let tool = Listening::start(&node, &["metrics", "--listen", address]);
        assert_ne!(tool.address.port(), 0);
        let answer = tool.get("/metrics");
        let (head, body) = parts(&answer);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
        assert!(head.lines().any(|line| line == kind), "{head}");
        assert!(alive(body, 1), "{body}");
        let printed = node.text(&["metrics"], 0);
        let numbers = printed.split("# HELP causeway_metrics_time").next().unwrap();
        assert!(body.starts_with(numbers), "{body}");
        assert_eq!(tool.end(signal), Some(0), "{signal}");
    }
    let tool = Listening::start(&node, &["metrics", "--listen", "127.0.0.1:0"]);
    assert!(alive(&tool.get("/metrics"), 1));
    let (_two, _) = node.attach("pods", "two");
    thread::scope(|scope| {
        let all: Vec<_> = (0..16).map(|_| scope.spawn(|| tool.get("/metrics?x=1"))).collect();
        all.into_iter().for_each(|one| assert!(alive(&one.join().unwrap(), 2)));
    });
}

#[test]
fn nothing_else_is_served() {
    let node = Node::new(&[pods()]);
    let tool = Listening::start(&node, &["metrics", "--listen", "127.0.0.1:0"]);
    let answer = tool.get("/");
    assert!(parts(&answer).1.contains("<a href=\"/metrics\">"), "{answer}");
    for path in ["/metrics/", "/favicon.ico", "/../etc/passwd", "/Metrics"] {
        assert!(tool.get(path).starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: node\r\nContent-Length: 2\r\n\r\nhi");
        let answer = tool.ask(&request);
        assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
        assert!(answer.contains("\r\nallow: GET\r\n"), "{answer}");
    }
    for nonsense in
        ["\r\n\r\n\0", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}"]
    {
        let mut stream = tool.connect();
        stream.write_all(nonsense.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{nonsense:?}: {answer}");
    }
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(!tool.ask(&long).contains(" 200 "));
    assert!(tool.get("/metrics").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn silent_and_slow_clients_keep_nobody_else_waiting() {
    let node = Node::new(&[pods()]);
    let tool = Listening::start(&node, &["metrics", "--listen", "127.0.0.1:0"]);
    let before = (tool.get("/metrics"), tool.memory()).1;
    let silent: Vec<TcpStream> = (0..300).map(|_| tool.connect()).collect();
    let begun = Instant::now();
    assert!(tool.get("/metrics").starts_with("HTTP/1.1 200 OK\r\n"));
    // A silent one is closed after five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(silent);

    // A byte now and then does not prolong it.
    let mut slow = tool.connect();
    let begun = Instant::now();
    let mut is_open = true;
    while is_open && begun.elapsed() < Duration::from_secs(15) {
        is_open = slow.write_all(b"G").is_ok();
        thread::sleep(Duration::from_millis(250));
    }
    assert!(!is_open, "it may take for ever");
    let asked: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = tool.connect();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok();
            stream
        })
        .collect();
    let waited = (0..50).any(|_| {
        thread::sleep(Duration::from_millis(100));
        tool.get("/metrics").starts_with("HTTP/1.1 200 OK\r\n")
    });
    assert!(waited, "those who ask and do not read are in the way");
    drop(asked);
    let grown = tool.memory() - before;
    assert!(grown < 8 * 1024, "{grown} KiB more");
    assert_eq!(tool.end("-TERM"), Some(0));
}

#[test]
fn an_address_in_use_is_a_clear_failure() {
    let node = Node::new(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = node.tool(&["metrics", "--listen", &address]);
    assert_eq!(failed.status, Some(8), "{failed}");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains(&format!("listen on {address}: Address")), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert!(failed.stdout.is_empty(), "{failed}");
    let failed = node.tool(&["metrics", "--listen", "here"]);
    assert_eq!(failed.status, Some(16), "{failed}");
}
