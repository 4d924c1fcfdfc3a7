//! The installer for Kubernetes: its manifest, its image's recipe, and its script, which is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use testsupport::{Background, Host, PLUGINS, REFERENCE_DIR, executable, golden};

fn manifest() -> Value {
    // YAML's anchors are resolved by the parser.
    serde_yaml_ng::from_str(&golden::read("examples/kubernetes/installer.yaml")).unwrap()
}

/// Fails on a key that the API does not have there (a typing error would be dropped in silence).
#[track_caller]
fn assert_keys(object: &Value, known: &[&str], required: &[&str]) {
    let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    for key in &keys {
        assert!(known.contains(key) || required.contains(key), "{key} in {object:#}");
    }
    for key in required {
        assert!(keys.contains(key), "no {key} in {object:#}");
    }
}

#[test]
fn the_manifest_is_a_daemon_set_of_keys_that_the_api_has() {
    let set = manifest();
    assert_keys(&set, &[], &["apiVersion", "kind", "metadata", "spec"]);
    assert_eq!((&set["apiVersion"], &set["kind"]), (&json!("apps/v1"), &json!("DaemonSet")));
    assert_keys(&set["metadata"], &["labels", "annotations"], &["name", "namespace"]);
    let spec = &set["spec"];
    assert_keys(spec, &["updateStrategy", "minReadySeconds"], &["selector", "template"]);
    assert_keys(&spec["selector"], &[], &["matchLabels"]);
    assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]);
    assert_eq!(spec["updateStrategy"]["type"], "RollingUpdate");
    assert!(spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"].is_u64());
    let pod = &spec["template"]["spec"];
    let known = [
        "hostNetwork",
        "automountServiceAccountToken",
        "priorityClassName",
        "nodeSelector",
        "terminationGracePeriodSeconds",
        "tolerations",
    ];
    assert_keys(pod, &known, &["initContainers", "containers", "volumes"]);
    assert_eq!(pod["hostNetwork"], true, "it must start where no pod network is yet");
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]), "on every node");
    for container in containers(pod) {
        assert_keys(
            container,
            &["volumeMounts", "args", "env"],
            &["name", "image", "command", "securityContext", "resources"],
        );
        assert_keys(&container["resources"], &[], &["requests", "limits"]);
        let context = &container["securityContext"];
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{container:#}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{container:#}");
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let list = |key: &str| pod[key].as_array().unwrap().iter();
    list("initContainers").chain(list("containers"))
}

#[test]
fn the_manifest_mounts_the_nodes_folder_where_the_script_installs() {
    let set = manifest();
    let pod = &set["spec"]["template"]["spec"];
    let volume = &pod["volumes"][0];
    assert_eq!(volume["hostPath"], json!({"path": "/opt/cni/bin", "type": "DirectoryOrCreate"}));
    let install = &pod["initContainers"][0];
    let mount = &install["volumeMounts"][0];
    assert_eq!(mount["name"], volume["name"]);
    assert_eq!(install["command"], json!(["/install-plugins", mount["mountPath"], "/plugins"]));
    assert_eq!(pod["containers"][0]["command"], json!(["/install-plugins", "--stay"]));
    let images: Vec<&Value> = containers(pod).map(|container| &container["image"]).collect();
    assert_eq!(images[0], images[1]);
}

#[test]
fn the_image_holds_what_the_manifest_calls() {
    let recipe = golden::read("examples/kubernetes/Containerfile");
    let instructions: Vec<Vec<&str>> = recipe
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    let copied: Vec<_> = instructions.iter().filter(|words| words[0] == "COPY").collect();
    // All that scripts/install put there.
    assert_eq!(copied[0][1..], ["plugins/", "/plugins/"]);
    assert_eq!(copied[1][1..], ["install-plugins", "/install-plugins"]);
    assert!(recipe.contains(manifest_image().as_str()), "both name one image");
}

fn manifest_image() -> String {
    let set = manifest();
    set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

/// A node's folder with the reference's plugins, and the image's with ours.
struct Folders {
    // Holds the folder.
    _host: Host,
    target: PathBuf,
    source: PathBuf,
}

impl Folders {
    fn new() -> Self {
        let host = Host::new();
        let [target, source] = ["target", "source"].map(|name| host.temp_dir().join(name));
        fs::create_dir(&target).unwrap();
        fs::create_dir(&source).unwrap();
        for name in PLUGINS {
            fs::copy(Path::new(REFERENCE_DIR).join(name), target.join(name)).unwrap();
            fs::copy(executable(name), source.join(name)).unwrap();
        }
        Self { _host: host, target, source }
    }

    fn install(&self, shell: &[&str]) -> Output {
        let script = golden::path("examples/kubernetes/install-plugins");
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(script).args([&self.target, &self.source]);
        command.output().unwrap()
    }

    fn is(&self, name: &str, file: &Path) -> bool {
        fs::read(self.target.join(name)).unwrap() == fs::read(file).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.target).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The shells at hand: the machine's, and that of the image.
fn shells() -> Vec<&'static [&'static str]> {
    let mut shells: Vec<&[&str]> = vec![&["sh"]];
    if Path::new("/bin/busybox").exists() || Path::new("/usr/bin/busybox").exists() {
        shells.push(&["busybox", "sh"]);
    } else {
        testsupport::not_run("busybox is not installed: the script ran in sh alone");
    }
    shells
}

#[test]
fn the_script_installs_by_rename_and_keeps_the_references() {
    for shell in shells() {
        let folders = Folders::new();
        // A runtime that has the old one open goes on with it.
        let old = fs::File::open(folders.target.join("bridge")).unwrap();
        let output = folders.install(shell);
        assert!(output.status.success(), "{output:?}");
        for name in PLUGINS {
            assert!(folders.is(name, &executable(name)), "{name}");
            let kept = format!("{name}.reference");
            assert!(folders.is(&kept, &Path::new(REFERENCE_DIR).join(name)), "{kept}");
        }
        let reference = Path::new(REFERENCE_DIR).join("bridge");
        assert_eq!(old.metadata().unwrap().len(), reference.metadata().unwrap().len());
        assert_eq!(folders.names().len(), 2 * PLUGINS.len(), "{:?}", folders.names());
        // Again, and over an older one of ours: the reference's stay kept.
        let again = folders.install(shell);
        assert!(String::from_utf8_lossy(&again.stdout).contains("bridge: unchanged"), "{again:?}");
        fs::write(folders.source.join("bridge"), "{\"causeway\":another").unwrap();
        assert!(folders.install(shell).status.success());
        assert!(folders.is("bridge.reference", &reference));
        assert_eq!(fs::read(folders.target.join("bridge")).unwrap(), b"{\"causeway\":another");
    }
}

#[test]
fn the_script_changes_nothing_unless_all_is_there() {
    for shell in shells() {
        let folders = Folders::new();
        fs::remove_file(folders.source.join("loopback")).unwrap();
        let output = folders.install(shell);
        assert!(!output.status.success(), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("nothing was changed"),
            "{output:?}"
        );
        assert!(folders.is("bridge", &Path::new(REFERENCE_DIR).join("bridge")));
        assert_eq!(folders.names(), PLUGINS);
    }
}

#[test]
fn the_script_stays_until_it_is_told_to_end() {
    let host = Host::new();
    let script = golden::path("examples/kubernetes/install-plugins");
    let staying: Background = host.background(["sh", script.to_str().unwrap(), "--stay"]);
    let children = || host.finish(["pgrep", "-P", &staying.id().to_string()]).status == Some(0);
    let started = std::time::Instant::now();
    while !children() {
        assert!(started.elapsed() < crate::node::SOON, "it never came to wait");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let sleeper = host.run(["pgrep", "-P", &staying.id().to_string()]);
    host.run(["kill", "-TERM", &staying.id().to_string()]);
    let ended = format!("/proc/{}/stat", staying.id());
    while !fs::read_to_string(&ended).is_ok_and(|stat| stat.contains(") Z ")) {
        assert!(started.elapsed() < crate::node::SOON, "it did not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    host.finish(["kill", sleeper.trim()]);
}
