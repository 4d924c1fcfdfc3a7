//! `causeway explain`, and that the document shows what it prints.

use testsupport::golden;

use crate::node::Node;

#[test]
fn an_error_is_explained_as_its_reader_has_it() {
    let node = Node::new(&[]);
    let text = node.text(&["explain", "104"], 0);
    assert!(text.starts_with("code 104: no address is left in a range set\n"), "{text}");
    assert!(text.contains("causeway pool"), "{text}");
    let object = r#"{"code": 101, "msg": "x", "cniVersion": "1.0.0"}"#;
    assert!(node.text(&["explain", object], 0).contains("in the way"));
    let all = node.json(&["explain", "mtu"], 0)["explanations"].as_array().unwrap().clone();
    let what: Vec<&str> = all.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["mtu of bridge", "mtu of tuning"]);
    let unknown = node.tool(&["explain", "what", "is", "this"]);
    assert_eq!(unknown.status, Some(8), "{unknown}");
    assert!(unknown.to_string().contains("no error text that it knows"), "{unknown}");
}

#[test]
fn the_message_of_an_error_object_leads_to_the_row_of_its_plugin() {
    let node = Node::new(&[]);
    let object =
        r#"{"cniVersion": "1.1.0", "code": 7, "msg": "sysctls: Required prevResult missing"}"#;
    let all = node.json(&["explain", object], 0)["explanations"].clone();
    assert_eq!(all[0]["plugin"], "tuning");
    assert_eq!(all[0]["code"], 7);
    assert_eq!(all[0]["means"], "Required prevResult missing");
    assert_eq!(all[0]["advice"], "put `tuning` behind the plugin that makes the interface");
    assert_eq!(all[1]["what"], "code 7");
}

#[test]
fn the_document_shows_what_is_printed() {
    let page = golden::read("docs/operating.md");
    let section = page.split_once("\n## What does this error mean?\n").unwrap().1;
    let shown = section.split_once("```text\n").unwrap().1.split_once("```\n").unwrap().0;
    let node = Node::new(&[]);
    let mut count = 0;
    for call in shown.split("# causeway explain ").skip(1) {
        let (what, printed) = call.split_once('\n').unwrap();
        assert_eq!(node.text(&["explain", what.trim_matches('\'')], 0), printed);
        count += 1;
    }
    assert_eq!(count, 3);
}
