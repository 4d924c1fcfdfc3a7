//! The card of an attachment in the SVG image. Pure.

use super::picture::{Bridge, Drawn, Part};
use super::style::{CHARACTER, LINE, Line, escaped, shortened, wrap};
use crate::attachments::State;
use crate::output::distinct;

/// Characters in a line: an IPv6 address with its prefix.
const COLUMNS: usize = 43;
/// Lines of published ports.
const MAX_PORT_LINES: usize = 6;
/// Around the lines, in pixels.
const PADDING: usize = 10;
/// In pixels.
pub(super) const WIDTH: usize = COLUMNS * CHARACTER + 2 * PADDING;

/// A card with its lines.
pub(super) struct Card<'a> {
    drawn: &'a Drawn,
    lines: Vec<Line>,
}

impl<'a> Card<'a> {
    /// The card of an attachment: what holds for all of its bridge stands there.
    pub(super) fn of(drawn: &'a Drawn, bridge: &Bridge) -> Self {
        let mut lines = Vec::new();
        let mut add = |class, texts: Vec<String>| {
            lines.extend(texts.into_iter().map(|text| Line { class, text }));
        };
        add("name", vec![shortened(&drawn.title(), COLUMNS)]);
        if drawn.state != State::Alive {
            add("wrong", vec![drawn.listed.state.to_owned()]);
        }
        if bridge.networks.len() > 1 {
            add("faint", vec![shortened(&format!("network {}", drawn.network), COLUMNS)]);
        }
        add("faint", vec![shortened(&drawn.link(), COLUMNS)]);
        let one_each = drawn.listed.addresses.iter().map(|address| shortened(address, COLUMNS));
        add("", one_each.collect());
        let part = bridge.networks.iter().find(|part| part.name == drawn.network);
        let shared = part.map(Part::words).unwrap_or_default();
        let own: Vec<String> =
            drawn.traits().into_iter().filter(|word| !shared.contains(word)).collect();
        add("faint", wrap(&own, COLUMNS, 3));
        add("port", wrap(&distinct(&drawn.listed.ports), COLUMNS, MAX_PORT_LINES));
        Self { drawn, lines }
    }

    /// In pixels.
    pub(super) fn height(&self) -> usize {
        self.lines.len() * LINE + 2 * PADDING
    }

    /// The card at a place.
    pub(super) fn draw(&self, (x, y): (usize, usize)) -> String {
        let (class, dashed) = if self.drawn.is_dead { ("dead", " dashed") } else { ("", "") };
        let mut text = format!(
            "<g class=\"{class}\"><title>{}</title>\n<rect class=\"card{dashed}\" x=\"{x}\" y=\"{y}\" \
             width=\"{WIDTH}\" height=\"{}\" rx=\"5\"/>\n",
            escaped(&self.details()),
            self.height()
        );
        text.push_str(&lines(&self.lines, (x + PADDING, y + PADDING)));
        text.push_str("</g>\n");
        text
    }

    /// All that has no room, for who points at it, or has it read.
    fn details(&self) -> String {
        let listed = &self.drawn.listed;
        let mut all = vec![format!("{}, network {}", self.drawn.title(), self.drawn.network)];
        all.push(format!("container {}", listed.container));
        all.push(self.drawn.link());
        all.push(match &listed.reason {
            Some(reason) => format!("{}: {reason}", listed.state),
            None => listed.state.to_owned(),
        });
        all.extend(listed.addresses.iter().cloned());
        all.extend(self.drawn.traits());
        all.extend(listed.ports.iter().map(ToString::to_string));
        all.join("\n")
    }
}

/// Lines of text, one below the other.
pub(super) fn lines(lines: &[Line], (x, y): (usize, usize)) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        // The letters stand on this height.
        let y = y + index * LINE + 13;
        let shown = escaped(&line.text);
        text.push_str(&format!(
            "<text class=\"{}\" x=\"{x}\" y=\"{y}\">{shown}</text>\n",
            line.class
        ));
    }
    text
}
