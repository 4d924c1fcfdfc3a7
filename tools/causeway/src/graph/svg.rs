//! The picture as an SVG image: bridges as bars, one below the other; under each what hangs on it, in columns
//! of cards.

use super::card::{self, Card};
use super::picture::{Bridge, Part, Picture};
use super::style::{CHARACTER, LINE, Line, STYLE, escaped, shortened, wrap};

/// Around everything, in pixels.
const MARGIN: usize = 20;
/// From the wire of a column to its cards.
const STUB: usize = 20;
/// Between two cards, and two columns.
const GAP: usize = 14;
/// Within the bar of a bridge.
const PADDING: usize = 10;
/// A screen is as wide.
const MAX_COLUMNS: usize = 4;
/// So many are better below each other than beside.
const CARDS_OF_A_COLUMN: usize = 3;
/// One column.
const COLUMN: usize = STUB + card::WIDTH + GAP;

/// Draws it.
pub(super) fn draw(picture: &Picture) -> String {
    let most = picture.bridges.iter().map(|bridge| bridge.attachments.len()).max();
    let columns = most.unwrap_or_default().div_ceil(CARDS_OF_A_COLUMN).clamp(1, MAX_COLUMNS);
    let mut page = Page { columns, y: MARGIN, body: String::new() };
    for bridge in &picture.bridges {
        page.bridge(bridge);
    }
    if picture.bridges.is_empty() {
        let text = "no network has a bridge, and nobody is attached".to_owned();
        page.body.push_str(&card::lines(&[Line { class: "", text }], (MARGIN, page.y)));
        page.y += LINE;
    }
    page.finish(picture)
}

/// What is drawn so far.
struct Page {
    columns: usize,
    /// How far down.
    y: usize,
    body: String,
}

impl Page {
    /// Between the margins.
    fn inner(&self) -> usize {
        self.columns * COLUMN - GAP
    }

    fn bridge(&mut self, bridge: &Bridge) {
        let width = (self.inner() - 2 * PADDING) / CHARACTER;
        let mut lines = vec![Line { class: "name", text: shortened(bridge.title(), width) }];
        let class = if bridge.up == Some(true) { "" } else { "wrong" };
        let condition = Some(bridge.condition()).filter(|text| !text.is_empty());
        lines.extend(condition.map(|text| Line { class, text }));
        for part in &bridge.networks {
            lines.extend(network(part, width));
        }
        let height = lines.len() * LINE + 2 * PADDING;
        let dashed = if bridge.up == Some(true) { "" } else { " dashed" };
        let (top, inner) = (self.y, self.inner());
        self.y += height;
        // The wires begin under the bar.
        let cards: Vec<Card<'_>> =
            bridge.attachments.iter().map(|one| Card::of(one, bridge)).collect();
        self.cards(bridge, &cards);
        self.body.push_str(&format!(
            "<rect class=\"bridge{dashed}\" x=\"{MARGIN}\" y=\"{top}\" width=\"{inner}\" \
             height=\"{height}\" rx=\"5\"/>\n"
        ));
        self.body.push_str(&card::lines(&lines, (MARGIN + PADDING, top + PADDING)));
        self.y += 2 * GAP;
    }

    /// The cards in columns of about one height.
    fn cards(&mut self, bridge: &Bridge, cards: &[Card<'_>]) {
        let total: usize = cards.iter().map(|card| card.height() + GAP).sum();
        let most = total.div_ceil(self.columns);
        let (top, mut lowest) = (self.y, self.y);
        let (mut column, mut y, mut used) = (0, top, 0);
        for (card, drawn) in cards.iter().zip(&bridge.attachments) {
            let taken = card.height() + GAP;
            // Where half of it is beyond the share of the columns so far, it is the next one's.
            if y > top && used + taken / 2 > most * (column + 1) && column + 1 < self.columns {
                (column, y) = (column + 1, top);
            }
            used += taken;
            let x = MARGIN + column * COLUMN;
            y += GAP;
            let wire = y + 18;
            let dashed = if drawn.is_port { "" } else { " dashed" };
            let from = MARGIN + column * COLUMN + PADDING;
            let to = x + STUB;
            if bridge.name.is_some() {
                self.body.push_str(&format!(
                    "<path class=\"wire{dashed}\" d=\"M{from} {top}V{wire}H{to}\"/>\n"
                ));
            }
            self.body.push_str(&card.draw((to, y)));
            y += card.height();
            lowest = lowest.max(y);
        }
        self.y = lowest;
    }

    fn finish(self, picture: &Picture) -> String {
        let (width, height) = (self.inner() + 2 * MARGIN, self.y - GAP + MARGIN);
        let (count, dead) = picture.count();
        let names: Vec<&str> = picture.bridges.iter().map(Bridge::title).collect();
        let description = format!(
            "{count} attachments, {dead} of them dead, on these bridges: {}. Each bridge is a bar, and each \
             attachment a card that a line joins to its bridge. Cards of dead attachments and lines \
             to what is no port of the bridge are dashed.",
            names.join(", ")
        );
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">Networks of containers</title>\n\
             <desc id=\"description\">{}</desc>\n<style>\n{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escaped(&description),
            self.body
        )
    }
}

/// The lines of a network.
fn network(part: &Part, width: usize) -> Vec<Line> {
    let lines = wrap(&part.words(), width, 6);
    lines.into_iter().map(|text| Line { class: "faint", text }).collect()
}
