//! The one image: `peer` and busybox, packed here, as no registry is within reach.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{Node, peer};

/// Its names. It does nothing unless it is given a command; the second is that of docs/runtimes.
const NAMES: [&str; 2] = ["localhost/peer:test", "docker.io/library/busybox:latest"];

/// Packs the image as an archive that `ctr images import` and `podman load` read.
pub fn archive(node: &Node) -> PathBuf {
    let folder = node.temp_dir().join("image");
    let archive = folder.join("image.tar");
    if archive.exists() {
        return archive;
    }
    let root = folder.join("root");
    for name in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    fs::copy(peer::program(), root.join("bin/peer")).unwrap();
    fs::copy("/usr/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in ["sh", "ping", "ip", "sleep", "httpd"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    pack(node, &root, &folder.join("layer.tar"));
    let digest = node.run(["sha256sum", folder.join("layer.tar").to_str().unwrap()]);
    let digest = digest.split_whitespace().next().unwrap();
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Entrypoint": [], "Cmd": ["/bin/peer", "wait"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": NAMES, "Layers": ["layer.tar"] }]);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    fs::remove_dir_all(&root).unwrap();
    pack(node, &folder, &archive);
    archive
}

fn pack(node: &Node, folder: &Path, archive: &Path) {
    let outside = node.temp_dir().join("packing.tar");
    let (outside, folder) = (outside.to_str().unwrap(), folder.to_str().unwrap());
    node.run([
        "tar",
        "--create",
        "--owner=0",
        "--group=0",
        "--file",
        outside,
        "--directory",
        folder,
        ".",
    ]);
    fs::rename(outside, archive).unwrap();
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
