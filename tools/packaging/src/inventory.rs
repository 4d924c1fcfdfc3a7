//! A software bill of materials, as CycloneDX 1.5: the executables, what is in each, and what built it.

use std::path::Path;

use serde_json::{Value, json};

use crate::Fault;
use crate::cargo::{Crate, Id, Suite, run};
use crate::linked::{Library, Linked};

/// The document of the executables in a folder.
pub(crate) fn print(
    suite: &Suite,
    linked: &Linked,
    (date, folder): (&str, &Path),
) -> Result<String, Fault> {
    let own = suite.executables.get("causeway").and_then(|id| suite.crates.get(id));
    let version = &own.ok_or("no executable causeway")?.version;
    let mut components = Vec::new();
    let mut dependencies = vec![json!({
        "ref": "causeway-suite",
        "dependsOn": suite.executables.keys().map(|name| executable_ref(name)).collect::<Vec<_>>(),
    })];
    for (name, id) in &suite.executables {
        components.push(executable(name, version, folder)?);
        let parts = [id.clone(), library_ref(&linked.rust), library_ref(&linked.c)];
        dependencies.push(json!({ "ref": executable_ref(name), "dependsOn": parts }));
    }
    for (id, found) in &suite.crates {
        components.push(component(id, found, suite.linked.contains(id)));
        let named = suite.edges.get(id);
        dependencies.push(json!({ "ref": id, "dependsOn": named }));
    }
    for library in [&linked.rust, &linked.c] {
        components.push(json!({
            "type": "library",
            "bom-ref": library_ref(library),
            "name": library.name,
            "version": library.version,
            "scope": "required",
            "licenses": [{ "expression": library.license }],
        }));
        dependencies.push(json!({ "ref": library_ref(library), "dependsOn": [] }));
    }
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": date,
            "component": {
                "type": "application",
                "bom-ref": "causeway-suite",
                "name": "causeway",
                "version": version,
                "licenses": [{ "expression": "Apache-2.0" }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

fn executable_ref(name: &str) -> String {
    format!("executable {name}")
}

fn library_ref(library: &Library) -> Id {
    format!("{} {}", library.name, library.version)
}

fn executable(name: &str, version: &str, folder: &Path) -> Result<Value, Fault> {
    let file = folder.join(name);
    let said = run("sha256sum", &["--", &file.to_string_lossy()])?;
    let sum = said.trim_start_matches('\\').split(' ').next().unwrap_or_default();
    Ok(json!({
        "type": "application",
        "bom-ref": executable_ref(name),
        "name": name,
        "version": version,
        "hashes": [{ "alg": "SHA-256", "content": sum }],
    }))
}

fn component(id: &Id, found: &Crate, is_linked: bool) -> Value {
    let Crate { name, version, description, license, .. } = found;
    let mut component = json!({
        "type": "library",
        "bom-ref": id,
        "name": name,
        "version": version,
        "description": description,
        // Excluded: it ran when the executables were built, and is in none.
        "scope": if is_linked { "required" } else { "excluded" },
        "licenses": [{ "expression": license }],
    });
    let Some(object) = component.as_object_mut() else { return component };
    // The workspace's own have no archive.
    if let Some(checksum) = &found.checksum {
        object.insert("hashes".into(), json!([{ "alg": "SHA-256", "content": checksum }]));
        object.insert("purl".into(), json!(format!("pkg:cargo/{name}@{version}")));
        if let Some(repository) = &found.repository {
            let reference = json!([{ "type": "vcs", "url": repository }]);
            object.insert("externalReferences".into(), reference);
        }
    }
    component
}
