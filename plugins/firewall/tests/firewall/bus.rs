//! firewalld where there is none, and where nobody answers. `tests/e2e` has the real one.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::Call;

use crate::world::{At, World, config};

/// As long as all that is asked of firewalld by one call may take, and some more.
const TIMEOUT: Duration = Duration::from_secs(10);
const BUSY: Duration = Duration::from_secs(20);

fn firewalld() -> Value {
    json!({ "backend": "firewalld" })
}

#[test]
fn where_firewalld_does_not_run_its_backend_is_refused_but_on_del() {
    let world = World::new();
    for (command, code) in [("ADD", 11), ("CHECK", 102)] {
        let message = world.call(command, At(5, 0), &firewalld()).expect_error(code);
        assert!(message.contains("firewalld is not running"), "{message}");
    }
    let mut status = json!({ "cniVersion": "1.1.0", "name": "net", "type": "firewall" });
    status["backend"] = json!("firewalld");
    Call::new("firewall").command("STATUS").config(status).run().expect_error(50);
    world.call("DEL", At(5, 0), &firewalld()).expect_silent_success();
    assert_eq!(world.ruleset(), "");
}

#[test]
fn a_bus_at_another_address_is_asked_and_one_that_is_none_is_an_error() {
    let world = World::new();
    let call = |bus: &str| {
        let call = Call::new("firewall").env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        world.call_of(call, "ADD", (At(5, 0), config(At(5, 0), &json!({}))))
    };
    let folder = world.host.temp_dir();
    // Whoever connects is told nothing: the connection is closed.
    let path = folder.join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let closes = std::thread::spawn(move || listener.accept().map(|_| ()).unwrap());
    let message = call(&format!("unix:path={}", path.display())).expect_error(5);
    assert!(message.contains("connect to the system bus"), "{message}");
    closes.join().unwrap();
    assert_eq!(world.ruleset(), "");
    // Nobody listens there any more.
    call(&format!("unix:path={}", path.display())).expect_success();
    world.call("DEL", At(5, 0), &json!({})).expect_silent_success();
}

#[test]
fn a_bus_that_does_not_answer_ends_an_add_at_its_deadline_and_a_del_as_done() {
    let world = World::new();
    world.add(At(6, 0), &json!({}));
    std::fs::create_dir_all("/run/dbus").unwrap();
    let _listener = UnixListener::bind("/run/dbus/system_bus_socket").unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let message = world.call("ADD", At(5, 0), &json!({})).expect_error(11);
            assert!(message.contains("no answer over the system bus within 10 s"), "{message}");
        });
        // Nothing is known of it, so that the reference may have told firewalld of it.
        scope.spawn(|| world.call("DEL", At(7, 0), &json!({})).expect_silent_success());
    });
    assert!((TIMEOUT..TIMEOUT + BUSY).contains(&started.elapsed()), "{:?}", started.elapsed());
    // What is recorded without a zone needs no bus.
    let started = Instant::now();
    world.call("DEL", At(6, 0), &json!({})).expect_silent_success();
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    assert_eq!(world.ruleset().matches("causeway").count(), 0, "{}", world.ruleset());
}
