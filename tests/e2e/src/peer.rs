//! Connections between containers, node and neighbour, by the program `peer` (`src/bin/peer.rs`).

use std::path::PathBuf;

use testsupport::{Background, Container, Finished};

use crate::{Node, Pod};

/// The port on which containers and the neighbour answer.
pub const PORT: &str = "9000";

/// The program; cargo puts it beside the plugins.
pub fn program() -> PathBuf {
    // Not `testsupport::executable`: CNI_BIN_DIR may name another suite's.
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("peer");
    assert!(program.is_file(), "{} is not there", program.display());
    program
}

/// From where a connection is made, or where one is answered.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The node itself.
    Node,
    /// A container of it.
    Pod(&'a Pod),
    /// A namespace that no runtime made.
    Beside(&'a Container),
}

impl Place<'_> {
    fn finish(self, node: &Node, words: &[&str]) -> Finished {
        match self {
            Self::Node => node.finish(words),
            Self::Pod(pod) => pod.finish(node, words),
            Self::Beside(container) => container.finish(words),
        }
    }

    /// Answers everyone on [`PORT`] until that is dropped.
    pub fn answer(self, node: &Node) -> Background {
        let program = program();
        let words = [program.to_str().unwrap(), "answer", PORT];
        let background = match self {
            Self::Node => node.background(words),
            Self::Pod(pod) => pod.background(node, &words),
            Self::Beside(container) => container.background(words),
        };
        let listens = || {
            let sockets = self.finish(node, &["ss", "-ltnH", &format!("sport = :{PORT}")]);
            (!sockets.success().trim().is_empty()).then_some(())
        };
        node.wait_for("peer to listen", listens);
        background
    }

    /// The address as which `address`, on `port`, sees who asks from here; the test fails without answer.
    pub fn ask(self, node: &Node, address: &str, port: &str) -> String {
        let program = program();
        let finished = self.finish(node, &[program.to_str().unwrap(), "ask", address, port]);
        assert!(finished.status == Some(0), "from {self:?}: {finished}");
        String::from_utf8_lossy(&finished.stdout).trim().to_owned()
    }
}
