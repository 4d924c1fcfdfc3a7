//! Figures as a picture: bars that say how many times the bare kernel sequence a call takes, from the
//! line that stands for that: to the right what takes longer, to the left what is over sooner. Pure.

use std::fmt::Write;

use crate::figures::{Figure, Figures, What};

/// Width of the picture, and where its bars begin.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
/// Room that the longest titles need beyond that, to the left.
const MARGIN: f64 = 70.0;
/// Height of a line.
const LINE: f64 = 20.0;
/// The picture's colours, legible on light and on dark pages.
const COLOURS: [&str; 4] = ["#2a9d8f", "#e76f51", "#8d6ad8", "#c9a227"];

/// A bar for each contender but the floor, in each scenario, for ADD and for DEL.
pub(crate) fn svg(figures: &Figures, date: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for figure in figures.iter().filter(|figure| figure.contender != "floor") {
        if !names.contains(&figure.contender.as_str()) {
            names.push(&figure.contender);
        }
    }
    let bars: Vec<(&Figure, f64)> = [What::Add, What::Del]
        .iter()
        .flat_map(|what| figures.iter().filter(move |figure| figure.what == *what))
        .filter(|figure| figure.contender != "floor")
        .filter_map(|figure| Some((figure, figures.against_floor(figure)?)))
        .collect();
    let longest = bars.iter().map(|(_, times)| *times).fold(10.0, f64::max);
    let shortest = bars.iter().map(|(_, times)| *times).fold(1.0, f64::min);
    let place_of = |times: f64| {
        LEFT + (WIDTH - LEFT - 60.0) * (times / shortest).ln() / (longest / shortest).ln()
    };
    let mut body = String::new();
    let mut y = 58.0;
    let mut group = ("", What::Memory);
    for (figure, times) in bars {
        if group != (figure.state.id, figure.what) {
            group = (figure.state.id, figure.what);
            y += 8.0;
            let command = if figure.what == What::Add { "ADD" } else { "DEL" };
            text(
                &mut body,
                (LEFT - 10.0, y + 13.0),
                "end",
                &format!("{command}, {}", figure.state.title),
            );
        }
        let place = names.iter().position(|name| *name == figure.contender).unwrap_or_default();
        let colour = COLOURS.get(place).unwrap_or(&"#888888");
        let ends = (place_of(times.min(1.0)), place_of(times.max(1.0)));
        bar(&mut body, y + 2.0, ends, colour);
        text(&mut body, (ends.1 + 6.0, y + 14.0), "start", &shown(times));
        y += LINE;
    }
    let one = place_of(1.0);
    writeln!(body, r#"<path d="M{one:.1} 54V{y:.1}" stroke="gray" stroke-dasharray="4 3"/>"#).ok();
    y += 16.0;
    text(&mut body, (one, y), "middle", "1×: the bare kernel sequence; of a DEL, ip link del");
    let title = "Times the bare kernel sequence (logarithmic; less is better)";
    let mut head = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="-{MARGIN} 0 {} {:.0}" font-family="sans-serif" font-size="13" fill="gray">"#,
        WIDTH + MARGIN,
        y + 14.0
    );
    head.push('\n');
    text(&mut head, (LEFT, 20.0), "start", &format!("{title}, {date}"));
    let mut x = LEFT;
    for (name, colour) in names.iter().zip(COLOURS) {
        writeln!(head, r#"<rect x="{x}" y="32" width="14" height="14" fill="{colour}"/>"#).ok();
        text(&mut head, (x + 20.0, 44.0), "start", name);
        x += 130.0;
    }
    format!("{head}{body}</svg>\n")
}

fn bar(body: &mut String, y: f64, (from, to): (f64, f64), colour: &str) {
    let (width, height) = ((to - from).max(1.0), LINE - 4.0);
    writeln!(
        body,
        r#"<rect x="{from:.1}" y="{y:.1}" width="{width:.1}" height="{height}" fill="{colour}"/>"#,
    )
    .ok();
}

fn shown(times: f64) -> String {
    match times {
        times if times < 10.0 => format!("{times:.2}×"),
        times => format!("{times:.0}×"),
    }
}

fn text(body: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(body, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#).ok();
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use serde_json::Value;
    use testsupport::golden;

    use super::svg;
    use crate::contender::Contender;
    use crate::figures::{Figures, What};
    use crate::scenario;

    /// The picture and the figures that are published are of one run.
    #[test]
    fn the_published_picture_is_of_the_published_figures() {
        let text = std::fs::read_to_string(golden::path("docs/bench.json")).unwrap();
        let run: Value = serde_json::from_str(&text).unwrap();
        let mut figures = Figures::default();
        for figure in run["figures"].as_array().unwrap() {
            let id = figure["scenario"].as_str().unwrap();
            let state = scenario::ALL.iter().find(|one| one.state.id == id).unwrap().state;
            let what = match figure["what"].as_str().unwrap() {
                "ADD" => What::Add,
                "DEL" => What::Del,
                _ => What::Memory,
            };
            let contender = Contender::suite(figure["contender"].as_str().unwrap(), "".into());
            figures.add(state, &contender, (what, figure["value"].as_f64().unwrap()));
        }
        golden::assert_matches("docs/bench.svg", &svg(&figures, run["date"].as_str().unwrap()));
    }
}
