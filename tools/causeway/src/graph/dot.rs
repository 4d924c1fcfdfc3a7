//! The picture in the language of graphviz (graphviz.org/doc/info/lang.html).

use std::fmt::Write as _;

use super::picture::{Bridge, Drawn, Part, Picture};
use crate::attachments::State;
use crate::output::distinct;

/// Draws it.
pub(super) fn draw(picture: &Picture) -> String {
    let mut text = String::from(
        "digraph causeway {\n    rankdir=LR;\n    node [shape=box, fontname=\"monospace\"];\n    \
         edge [fontname=\"monospace\", arrowhead=none];\n",
    );
    let has_ports = picture
        .bridges
        .iter()
        .flat_map(|one| &one.attachments)
        .any(|one| !one.listed.ports.is_empty());
    if has_ports {
        text.push_str("    host [label=\"published ports\", shape=plaintext];\n");
    }
    for (index, bridge) in picture.bridges.iter().enumerate() {
        draw_bridge(&mut text, bridge, index);
    }
    text.push_str("}\n");
    text
}

fn draw_bridge(text: &mut String, bridge: &Bridge, index: usize) {
    let mut lines = vec![bridge.title().to_owned(), bridge.condition()];
    lines.extend(bridge.networks.iter().map(Part::line));
    let style = if bridge.up == Some(true) { "bold" } else { "dashed" };
    let label = quoted(&lines);
    // A text can always be written to.
    writeln!(text, "    bridge{index} [label={label}, style={style}];").ok();
    for (number, drawn) in bridge.attachments.iter().enumerate() {
        draw_attachment(text, drawn, (index, number));
    }
}

fn draw_attachment(text: &mut String, drawn: &Drawn, (bridge, number): (usize, usize)) {
    let name = format!("attachment{bridge}_{number}");
    let listed = &drawn.listed;
    let mut lines = vec![drawn.title(), format!("{} {}", drawn.network, listed.interface)];
    lines.extend(listed.addresses.iter().cloned().chain(drawn.traits()));
    let (mut node, mut edge) = ("", "");
    if drawn.state != State::Alive {
        lines.push(listed.state.to_owned());
        node = ", style=dashed, color=red";
    }
    if !drawn.is_port {
        edge = ", style=dashed";
    }
    writeln!(text, "    {name} [label={}{node}];", quoted(&lines)).ok();
    let host = listed.host_interface.clone().unwrap_or_else(|| "no link".to_owned());
    writeln!(text, "    bridge{bridge} -> {name} [label={}{edge}];", quoted(&[host])).ok();
    if !listed.ports.is_empty() {
        let label = quoted(&distinct(&listed.ports));
        writeln!(text, "    host -> {name} [label={label}, arrowhead=normal, constraint=false];")
            .ok();
    }
}

/// Lines as one quoted string: of what a string may hold only quotes, backslashes and entities mean anything.
fn quoted(lines: &[String]) -> String {
    let escaped = |line: &String| {
        let line: String = line.chars().filter(|one| !one.is_control()).collect();
        line.replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"")
    };
    let lines: Vec<String> = lines.iter().filter(|line| !line.is_empty()).map(escaped).collect();
    format!("\"{}\"", lines.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_its_string() {
        let lines = ["a\"]; evil [\"".to_owned(), "back\\ &lt;".to_owned(), "new\nline".to_owned()];
        assert_eq!(quoted(&lines), r#""a\"]; evil [\"\nback\\ &amp;lt;\nnewline""#);
    }
}
