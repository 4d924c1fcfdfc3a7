//! `causeway explain`, and that every finding has its row in the document.

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
}
