//! Calls for one attachment at the same time (`docs/decisions/0022`).

use std::sync::mpsc;
use std::time::Duration;

use cni_common::names;
use cni_common::sys::attacher;
use serde_json::json;

use crate::world::{At, World};

/// In which a call that does not wait would have ended.
const WHILE: Duration = Duration::from_millis(500);

#[test]
fn add_and_del_wait_for_another_call_of_the_attachment_and_for_no_others() {
    let world = World::new();
    let keys = json!({ "ingressPolicy": "same-bridge" });
    for command in ["ADD", "DEL"] {
        let lock =
            attacher::lock(names::lock_offset(&At(5, 0).attachment()), &At(5, 0).attachment())
                .unwrap();
        assert!(lock.is_some());
        let (ended, end) = mpsc::channel();
        std::thread::scope(|scope| {
            let (world, keys) = (&world, &keys);
            scope.spawn(move || {
                let answer = world.call(command, At(5, 0), keys);
                ended.send(()).unwrap();
                answer.expect_success();
            });
            world.call(command, At(6, 0), keys).expect_success();
            assert!(end.recv_timeout(WHILE).is_err(), "{command} did not wait");
            drop(lock);
        });
        end.recv().unwrap();
    }
    assert!(!world.ruleset().contains("causeway"), "{}", world.ruleset());
}
