//! The picture as text.

use super::picture::{Bridge, Drawn, Picture};
use crate::attachments::State;
use crate::ls;
use crate::output::{Colour, Output, distinct};

/// Draws it.
pub(super) fn draw(picture: &Picture, output: Output) -> String {
    let mut text = String::new();
    for bridge in &picture.bridges {
        draw_bridge(&mut text, bridge, output);
    }
    if text.is_empty() {
        "no network has a bridge, and nobody is attached\n".clone_into(&mut text);
    }
    text
}

fn draw_bridge(text: &mut String, bridge: &Bridge, output: Output) {
    let colour = if bridge.up == Some(true) { Colour::Good } else { Colour::Bad };
    let condition = output.paint(colour, &bridge.condition());
    text.push_str(format!("{}  {condition}", bridge.title()).trim_end());
    text.push('\n');
    for part in &bridge.networks {
        text.push_str(&format!("│ {}\n", output.paint(Colour::Faint, &part.line())));
    }
    let last = bridge.attachments.len().saturating_sub(1);
    for (index, drawn) in bridge.attachments.iter().enumerate() {
        let (branch, below) = if index == last { ("└", " ") } else { ("├", "│") };
        draw_attachment(text, drawn, (branch, below, output));
    }
}

fn draw_attachment(
    text: &mut String,
    drawn: &Drawn,
    (branch, below, output): (&str, &str, Output),
) {
    let line = if drawn.is_port { "──" } else { "╌╌" };
    let state = match drawn.state {
        State::Alive => String::new(),
        state => format!("  {}", output.paint(ls::colour(state), state.word())),
    };
    let whose = format!("{}  {}", drawn.title(), drawn.network);
    text.push_str(&format!("{branch}{line} {} – {whose}{state}\n", drawn.link()));
    let addresses = drawn.listed.addresses.iter().cloned();
    let facts: Vec<String> = addresses.chain(drawn.traits()).collect();
    if !facts.is_empty() {
        text.push_str(&format!("{below}     {}\n", facts.join(", ")));
    }
    if !drawn.listed.ports.is_empty() {
        let ports = distinct(&drawn.listed.ports);
        text.push_str(&format!("{below}     published {}\n", ports.join(", ")));
    }
}
